package verify

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
)

// Checkpoint is what the key of a log signs: how many leaves there are and the
// root of their tree.
type Checkpoint struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   Digest `json:"root"`
}

// EmptyRoot is the root of a log without leaves.
func EmptyRoot() Digest { return Digest(rfc6962.DefaultHasher.EmptyRoot()) }

// maxSize is beyond every log, and keeps sums of indexes from overflowing.
const maxSize = 1 << 62

// ParseCheckpoint reads the text of a note in the form of C2SP tlog-checkpoint.
// Extension lines are none of ours and are refused.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	bad := domain.Rejectf(domain.CodeInvalid, "", "%.80q is not a checkpoint of three lines: origin, size, root", text)
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return Checkpoint{}, bad
	}
	c := Checkpoint{Origin: lines[0]}
	var err error
	if c.Size, err = strconv.ParseUint(lines[1], 10, 64); err != nil || c.Size > maxSize || strconv.FormatUint(c.Size, 10) != lines[1] {
		return Checkpoint{}, bad
	}
	if err := c.Root.UnmarshalText([]byte(lines[2])); err != nil {
		return Checkpoint{}, bad
	}
	return c, nil
}

// Key is a key of a log: it signs checkpoints of From leaves and more, until the
// next key takes over; at the size of the change both may.
type Key struct {
	From uint64

	text     string
	verifier note.Verifier
}

// Keys are all keys of one log, in the order in which they signed.
type Keys []Key

// ParseKey reads a verifier key as of a signed note, name+hash+key, which signs
// from the first checkpoint on.
func ParseKey(text string) (Key, error) {
	verifier, err := note.NewVerifier(text)
	if err != nil {
		return Key{}, domain.Rejectf(domain.CodeInvalid, "key", "%.80q is not a verifier key such as name+0123abcd+A...: %v", text, err)
	}
	return Key{text: text, verifier: verifier}, nil
}

// String is the key as it was read.
func (k Key) String() string { return k.text }

// ParseWitness reads the key of a witness, whose cosignatures have a time.
func ParseWitness(text string) (note.Verifier, error) {
	verifier, err := fnote.NewVerifierForCosignatureV1(text)
	if err == nil && !strings.HasPrefix(text, fmt.Sprintf("%s+%08x+", verifier.Name(), verifier.KeyHash())) {
		_, err = note.NewVerifier(text) // or it is that of the key as one that signs without times
	}
	if err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "witness", "%.80q is not a verifier key of a witness: %v", text, err)
	}
	return verifier, nil
}

// Signing returns the keys that may sign a checkpoint of a size.
func (k Keys) Signing(size uint64) []note.Verifier {
	var may []note.Verifier
	for i, key := range k {
		if size >= key.From && (i+1 == len(k) || size <= k[i+1].From) {
			may = append(may, key.verifier)
		}
	}
	return may
}

// Cosigned is a cosignature that was checked.
type Cosigned struct {
	Witness string    `json:"witness"`
	At      time.Time `json:"at"` // by the witness's clock
}

// Signed is a checkpoint whose signatures were checked.
type Signed struct {
	Checkpoint

	Key       string     // name and hash of the key that signed
	Witnesses []Cosigned // of those that were asked for, in the order of the note
	Unknown   int        // signatures by others, which were not checked
}

// Open checks that a note is a checkpoint of the log, signed by the key for its
// size. Cosignatures of witnesses are returned if they are right; that there are
// enough is for the caller to judge. A problem is a *Failure.
func (k Keys) Open(signed string, witnesses []note.Verifier) (Signed, *Failure) {
	text, _, _ := strings.Cut(signed, "\n\n")
	c, err := ParseCheckpoint(text + "\n")
	if err != nil {
		return Signed{}, &Failure{What: Malformed, Message: err.Error()}
	}
	out := Signed{Checkpoint: c}
	may := k.Signing(c.Size)
	ours := false
	for _, key := range k {
		ours = ours || key.verifier.Name() == c.Origin
	}
	if !ours {
		return out, &Failure{What: WrongLog, Message: fmt.Sprintf("the checkpoint is of the log %q, and the key that you gave of another", c.Origin)}
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(distinct(append(may, witnesses...))...))
	if err != nil {
		return out, &Failure{What: WrongKey, Message: fmt.Sprintf("the checkpoint of %d leaves is not signed by the key for this size: %v", c.Size, err)}
	}
	for _, s := range append(opened.Sigs, opened.UnverifiedSigs...) {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return out, &Failure{What: Malformed, Message: "a signature of the checkpoint is not written in the one form there is for it"}
		}
	}
	out.Unknown = len(opened.UnverifiedSigs)
	for _, s := range opened.Sigs {
		switch {
		case among(may, s):
			if s.Name == c.Origin {
				out.Key = fmt.Sprintf("%s+%08x", s.Name, s.Hash)
			}
		default:
			at, err := fnote.CoSigV1Timestamp(s)
			if err != nil {
				return out, &Failure{What: Malformed, Message: fmt.Sprintf("the cosignature of %s has no time: %v", s.Name, err)}
			}
			out.Witnesses = append(out.Witnesses, Cosigned{s.Name, at.UTC()})
		}
	}
	if out.Key == "" {
		return out, &Failure{What: WrongKey, Message: fmt.Sprintf("the checkpoint of %d leaves is not signed by the log's key for this size", c.Size)}
	}
	return out, nil
}

func among(keys []note.Verifier, s note.Signature) bool {
	for _, k := range keys {
		if k.Name() == s.Name && k.KeyHash() == s.Hash {
			return true
		}
	}
	return false
}

// distinct drops keys that were named twice: a list of verifiers with two of one
// name and hash opens nothing.
func distinct(keys []note.Verifier) []note.Verifier {
	var once []note.Verifier
	for _, k := range keys {
		if !among(once, note.Signature{Name: k.Name(), Hash: k.KeyHash()}) {
			once = append(once, k)
		}
	}
	return once
}

// Extends checks that the tree of a checkpoint begins with that of an older one:
// that nothing which the older one covers was changed, removed or moved. The
// hashes are in the order of RFC 6962.
func (c Checkpoint) Extends(older Checkpoint, hashes []Digest) *Failure {
	if c.Origin != older.Origin {
		return &Failure{What: WrongLog, Message: fmt.Sprintf("a checkpoint of the log %q does not continue one of the log %q", c.Origin, older.Origin)}
	}
	if c.Size < older.Size {
		return &Failure{What: Truncated, Message: fmt.Sprintf("the log had %d leaves, and has %d", older.Size, c.Size)}
	}
	if older.Size == 0 {
		if older.Root != EmptyRoot() || len(hashes) != 0 {
			return &Failure{What: Inconsistent, Message: "a log without leaves has another root"}
		}
		return nil
	}
	raw := make([][]byte, len(hashes))
	for i := range hashes {
		raw[i] = hashes[i][:]
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, older.Size, c.Size, raw, older.Root[:], c.Root[:]); err != nil {
		return &Failure{What: Inconsistent, Message: fmt.Sprintf(
			"the log of %d leaves does not begin with what it was at %d leaves: something among them was changed, removed, inserted or moved", c.Size, older.Size)}
	}
	return nil
}
