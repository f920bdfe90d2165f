package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
)

// Leaf is what the transparency log keeps of an event: where it stands, who it
// is, when the store took it, and a salted digest of what it says. Leaf n of
// the log is event n of $all, system events left out, so a leaf has no number
// of its own.
type Leaf struct {
	Position domain.Position
	Stream   string
	Revision uint64
	ID       uuid.UUID // in the store
	Created  time.Time // by the store's clock
	Digest   Digest
}

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// String returns the digest as in a leaf: base64, with padding.
func (d Digest) String() string { return base64.StdEncoding.EncodeToString(d[:]) }

// Payload is what an event says: everything that the store keeps of it besides
// its place.
type Payload struct {
	Type           string
	Data, Metadata []byte
}

// Salt keeps those who read the log from guessing what an event says by trying
// out payloads: only who is given the salt of an event can tell.
type Salt [sha256.Size]byte

// maxLeaf is what an entry of a log can have.
const maxLeaf = 1<<16 - 1

const leafHeader = "tradetrail/leaf/v1"

// Marshal writes the leaf: seven lines, each ended by a line feed. Two leaves
// that differ are written differently.
func (l *Leaf) Marshal() []byte { return l.AppendTo(make([]byte, 0, 224+len(l.Stream))) }

// AppendTo appends what Marshal writes.
func (l *Leaf) AppendTo(b []byte) []byte {
	b = append(b, leafHeader+"\n"...)
	b = append(l.Position.AppendTo(b), '\n')
	b = appendIdentity(b, l.Stream, l.Revision, l.ID)
	b = append(l.Created.UTC().AppendFormat(b, time.RFC3339Nano), '\n')
	return append(base64.StdEncoding.AppendEncode(b, l.Digest[:]), '\n')
}

// appendIdentity appends the lines of a leaf that say which event it is of: the third
// to the fifth.
func appendIdentity(b []byte, stream string, revision uint64, id uuid.UUID) []byte {
	b = append(append(b, url.PathEscape(stream)...), '\n')
	b = append(strconv.AppendUint(b, revision, 10), '\n')
	for i, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return append(b, '\n')
}

// ParseLeaf reads what Marshal wrote, and nothing else: what it accepts, Marshal
// writes byte for byte the same.
func ParseLeaf(text []byte) (Leaf, error) {
	if len(text) > maxLeaf {
		return Leaf{}, domain.Rejectf(domain.CodeInvalid, "", "a leaf has at most %d bytes, not %d", maxLeaf, len(text))
	}
	lines := bytes.Split(text, []byte("\n"))
	if len(lines) != 8 || string(lines[0]) != leafHeader {
		return Leaf{}, domain.Rejectf(domain.CodeInvalid, "", "%.40q... is not a leaf of version 1", text)
	}
	var l Leaf
	var err error
	if l.Position, err = domain.ParsePosition(string(lines[1])); err != nil {
		return Leaf{}, leafError("position", err)
	}
	if l.Stream, err = url.PathUnescape(string(lines[2])); err != nil {
		return Leaf{}, leafError("stream", err)
	}
	if l.Revision, err = strconv.ParseUint(string(lines[3]), 10, 64); err != nil {
		return Leaf{}, leafError("revision", err)
	}
	if l.ID, err = uuid.ParseBytes(lines[4]); err != nil {
		return Leaf{}, leafError("event id", err)
	}
	if l.Created, err = time.Parse(time.RFC3339Nano, string(lines[5])); err != nil {
		return Leaf{}, leafError("time", err)
	}
	digest, err := base64.StdEncoding.Strict().DecodeString(string(lines[6]))
	if err != nil || len(digest) != len(l.Digest) {
		return Leaf{}, domain.Rejectf(domain.CodeInvalid, "", "the digest of a leaf: %.64q is no SHA-256 in base64", lines[6])
	}
	l.Digest = Digest(digest)
	if !bytes.Equal(l.Marshal(), text) {
		return Leaf{}, domain.Rejectf(domain.CodeInvalid, "", "a leaf that is not written in the one form there is for it")
	}
	return l, nil
}

func leafError(part string, err error) error {
	return domain.Rejectf(domain.CodeInvalid, "", "the %s of a leaf: %v", part, err)
}
