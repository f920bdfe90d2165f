package verify

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
)

// Seal is what the key of a log signs of a report: every byte of its file but the
// seal, and where in the file the bundle stands.
type Seal struct {
	Checkpoint // under which its events are proven

	Created time.Time // by the clock of whoever made the report
	Offset  uint64    // of the bundle, in bytes from the beginning of the file
	Length  uint64    // of the bundle as it stands there, as a zlib stream
	Digest  Digest    // SHA-256 of the file without the seal
}

// How a sealed file ends: SealBegins, the note of the seal in base64, and then
// SealEnds with the place of the table of objects, as every PDF has it. In the
// digest stands what is around the note.
const (
	SealBegins = "\n%tradetrail/seal/v1 "
	SealEnds   = "\nstartxref\n%d\n%%%%EOF\n"
)

// MaxSealed is how many bytes SealBegins and all behind it may have.
const MaxSealed = 8 << 10

const sealHeader = "tradetrail/report/v1"

// Text is what is signed: eight lines. Its first line keeps it from being taken
// for a checkpoint.
func (s Seal) Text() string {
	return fmt.Sprintf("%s\n%s\n%s\n%d\n%s\n%d\n%d\n%s\n",
		sealHeader, s.Origin, s.Created.UTC().Format(time.RFC3339Nano), s.Size, s.Root, s.Offset, s.Length, s.Digest)
}

// ParseSeal reads what Text wrote, and nothing else.
func ParseSeal(text string) (s Seal, err error) {
	bad := domain.Rejectf(domain.CodeInvalid, "", "%.80q is not the text of a report's seal", text)
	lines := strings.Split(text, "\n")
	if len(lines) != 9 || lines[0] != sealHeader {
		return Seal{}, bad
	}
	if s.Checkpoint, err = ParseCheckpoint(strings.Join([]string{lines[1], lines[3], lines[4], ""}, "\n")); err != nil {
		return Seal{}, err
	}
	if s.Created, err = time.Parse(time.RFC3339Nano, lines[2]); err != nil {
		return Seal{}, bad
	}
	for i, to := range map[int]*uint64{5: &s.Offset, 6: &s.Length} {
		if *to, err = strconv.ParseUint(lines[i], 10, 62); err != nil {
			return Seal{}, bad
		}
	}
	if err := s.Digest.UnmarshalText([]byte(lines[7])); err != nil || s.Text() != text {
		return Seal{}, bad
	}
	return s, nil
}

// OpenSeal opens the note of a seal with the key that signs at the size of its
// checkpoint. It must be written in the one form there is for it, with one
// signature: no byte of it can be another.
func (k Keys) OpenSeal(signed string) (s Seal, key string, failure *Failure) {
	text, _, _ := strings.Cut(signed, "\n\n")
	s, err := ParseSeal(text + "\n")
	if err != nil {
		return Seal{}, "", &Failure{What: Malformed, Message: err.Error()}
	}
	key, failure = k.signed(signed, s.Origin, s.Size)
	return s, key, failure
}

// signed checks a note that is no checkpoint: one signature, by the key of the log
// for a size, and nothing more.
func (k Keys) signed(text, origin string, size uint64) (key string, failure *Failure) {
	opened, err := note.Open([]byte(text), note.VerifierList(distinct(k.Signing(size))...))
	if err != nil || len(opened.Sigs) != 1 || len(opened.UnverifiedSigs) != 0 || opened.Sigs[0].Name != origin {
		return "", &Failure{What: WrongKey, Message: fmt.Sprintf("it is not signed by the key of the log for a size of %d leaves, and by nobody else", size)}
	}
	if said, _, _ := strings.Cut(text, "\n\n"); opened.Text != said+"\n" {
		return "", &Failure{What: Malformed, Message: "more was signed than can be read"}
	}
	signature := opened.Sigs[0]
	raw, err := base64.StdEncoding.Strict().DecodeString(signature.Base64)
	if err != nil || fmt.Sprintf("%s\n\u2014 %s %s\n", opened.Text, signature.Name, base64.StdEncoding.EncodeToString(raw)) != text {
		return "", &Failure{What: Malformed, Message: "its signature is not written in the one form there is for it"}
	}
	return fmt.Sprintf("%s+%08x", signature.Name, signature.Hash), nil
}
