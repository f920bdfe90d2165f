package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/durable"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// stateFile stands in the log's folder. It is public, and holds nothing secret.
const stateFile = "audit.json"

// progress is how far a verification has come.
type progress struct {
	Size     uint64          `json:"size"`
	Root     verify.Digest   `json:"root"`
	Hashes   [][]byte        `json:"hashes,omitempty"`   // of the tree, from which it goes on
	Position domain.Position `json:"position,omitzero"`  // of the last event
	LastLeaf verify.Digest   `json:"last_leaf,omitzero"` // the hash of its leaf
}

// state is what a verification leaves to the next one. It is only ever written after
// everything up to its size was found intact.
type state struct {
	Origin string   `json:"origin"`
	Keys   []string `json:"keys"` // all that signed, by then
	Head   progress `json:"head"`
	Round  progress `json:"round"` // of the verification that begins anew when it is through
	Marks  []mark   `json:"history"`
	// Certified is the newest day with a certificate that was verified.
	Certified string `json:"certified,omitzero"`
}

// sealedState is the file: the state as text, and a code of that text.
type sealedState struct {
	State json.RawMessage `json:"state"`
	MAC   []byte          `json:"mac"`
}

// stateKey keeps whoever has no salt key from making a state.
func stateKey(saltKey []byte) []byte {
	mac := hmac.New(sha256.New, saltKey)
	mac.Write([]byte("tradetrail/audit-state/v1\n"))
	return mac.Sum(nil)
}

var errForged = errors.New("it was changed, or made with another salt key")

// readState reads what an earlier verification left; ok is false when there is
// nothing. errForged, and whatever else it can't be read for, says that somebody
// changed it.
func readState(root *os.Root, saltKey []byte) (s state, ok bool, err error) {
	text, err := readBounded(root, stateFile)
	if errors.Is(err, tlog.ErrTooLong) {
		return s, false, errForged
	}
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("reading %s: %w", stateFile, err)
	}
	var sealed sealedState
	if json.Unmarshal(text, &sealed) != nil {
		return s, false, errForged
	}
	canonical, err := encodeState(sealed.State, saltKey)
	if err != nil || string(canonical) != string(text) || json.Unmarshal(sealed.State, &s) != nil {
		return state{}, false, errForged
	}
	return s, true, nil
}

func encodeState(text json.RawMessage, saltKey []byte) ([]byte, error) {
	mac := hmac.New(sha256.New, stateKey(saltKey))
	mac.Write(text)
	sealed, err := json.Marshal(sealedState{text, mac.Sum(nil)})
	if err != nil {
		return nil, fmt.Errorf("encoding the state of the verification: %w", err)
	}
	return append(sealed, '\n'), nil
}

// write replaces the state as a whole.
func (s *state) write(root *os.Root, saltKey []byte) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the state of the verification: %w", err)
	}
	sealed, err := encodeState(text, saltKey)
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(root.Name(), stateFile), sealed, 0o644)
}
