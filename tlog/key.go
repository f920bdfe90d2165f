package tlog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Codes of what is wrong with keys and folders.
const (
	CodeKey    = "log_key"    // a key that can't be read, or is not the log's
	CodeExists = "log_exists" // it would be written over
	CodeGone   = "log_gone"   // it was there and is not any more
)

// Key signs checkpoints: an Ed25519 key in the form of signed notes, whose name is
// the log's origin.
type Key struct {
	text     string // PRIVATE+KEY+NAME+HASH+KEY
	verifier string
	handOver string // a note of the key before, empty for the first
	signer   note.Signer
}

// NewKey makes a key. An empty origin becomes tradetrail.local/ and a random name.
func NewKey(origin string) (Key, error) {
	if origin == "" {
		var name [8]byte
		_, _ = rand.Read(name[:]) // never fails
		origin = "tradetrail.local/" + hex.EncodeToString(name[:])
	}
	if strings.ContainsAny(origin, "+ \t\n\r") {
		return Key{}, domain.Rejectf(domain.CodeInvalid, "origin", "%.50q has a space or a plus sign", origin)
	}
	private, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return Key{}, fmt.Errorf("making a key for %s: %w", origin, err)
	}
	return ParseKey([]byte(private + "\n"))
}

// NewKeyAfter makes the key that takes over from another one, which signs that.
func NewKeyAfter(before Key) (Key, error) {
	k, err := NewKey(before.Origin())
	if err != nil {
		return Key{}, err
	}
	signed, err := note.Sign(&note.Note{Text: verify.HandOverText(k.verifier)}, before.signer)
	if err != nil {
		return Key{}, fmt.Errorf("handing %s over to a new key: %w", before.Origin(), err)
	}
	k.handOver = string(signed)
	return k, nil
}

// ParseKey reads what Marshal wrote.
func ParseKey(text []byte) (Key, error) {
	first, handOver, _ := bytes.Cut(text, []byte("\n"))
	k := Key{text: strings.TrimSpace(string(first)), handOver: string(handOver)}
	bad := func(err error) (Key, error) {
		// The text is secret: not even a piece of it is shown.
		return Key{}, domain.Rejectf(CodeKey, "", "the private key of the log can't be read: %v", err)
	}
	signer, err := note.NewSigner(k.text)
	if err != nil {
		return bad(err)
	}
	k.signer = signer
	// What stands behind the fourth plus sign is the key, which may hold more of them.
	parts := strings.SplitN(k.text, "+", 5)
	secret, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(secret) != 1+ed25519.SeedSize {
		return bad(errors.New("it is not an Ed25519 key"))
	}
	public, ok := ed25519.NewKeyFromSeed(secret[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return bad(errors.New("it has no public half"))
	}
	if k.verifier, err = note.NewEd25519VerifierKey(signer.Name(), public); err != nil {
		return bad(err)
	}
	return k, nil
}

// Marshal writes the private key, and behind it what hands over to it.
func (k Key) Marshal() []byte { return []byte(k.text + "\n" + k.handOver) }

// Origin is the name of the key and of the log.
func (k Key) Origin() string { return k.signer.Name() }

// Signer signs notes other than checkpoints, such as certificates. It keeps no history.
func (k Key) Signer() note.Signer { return k.signer }

// Verifier is the public key as text: NAME+HASH+KEY.
func (k Key) Verifier() string { return k.verifier }

// ReadKey reads the private key of a file.
func ReadKey(path string) (Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Key{}, fmt.Errorf("reading the key of the log: %w", err)
	}
	return ParseKey(text)
}

// WriteKey writes a private key that only its owner can read. It refuses to write
// over a file, with CodeExists.
func WriteKey(path string, k Key) error { return writeSecret(path, k.Marshal()) }

// First says that no key was before this one: a log in which it signs began with it.
func (k Key) First() bool { return strings.TrimSpace(k.handOver) == "" }
