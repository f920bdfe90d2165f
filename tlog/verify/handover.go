package verify

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// PublicKey is a line of a log's file of keys: from which size of the log on a key
// signs. It signs no checkpoint that is longer than the From of the next one. The
// first is to be known from elsewhere; each further one is signed by the one
// before.
type PublicKey struct {
	Verifier string `json:"vkey"`
	From     uint64 `json:"from"`
	HandOver string `json:"hand_over,omitempty"`
}

// HandOverText is what a key signs that lets another one sign from now on.
func HandOverText(verifier string) string { return "tradetrail/key/v1\n" + verifier + "\n" }

// TakesOver checks that the key before has signed that it hands over to this one.
func (k PublicKey) TakesOver(before PublicKey) error {
	verifier, err := note.NewVerifier(before.Verifier)
	if err != nil {
		return err
	}
	signed, err := note.Open([]byte(k.HandOver), note.VerifierList(verifier))
	if err != nil {
		return fmt.Errorf("the key before has not signed that it hands over: %w", err)
	}
	if signed.Text != HandOverText(k.Verifier) {
		return errors.New("the key before hands over to another one")
	}
	if k.From < before.From {
		return fmt.Errorf("it signs from %d leaves on, earlier than the key before", k.From)
	}
	return nil
}
