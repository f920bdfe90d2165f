package verify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/google/uuid"
)

// Digester computes the salts and digests of one log's events. It keeps the state
// that the salt key leaves in the HMAC, which is half of what a salt costs. It
// belongs to one goroutine.
type Digester struct {
	mac  hash.Hash // under the salt key
	text []byte
	sum  []byte
}

// NewDigester digests under the log's salt key.
func NewDigester(saltKey []byte) *Digester {
	return &Digester{mac: hmac.New(sha256.New, saltKey)}
}

// Salt derives the salt of the event that stands in a leaf: HMAC-SHA-256 of
// "tradetrail/salt/v1" and the leaf's lines 3 to 5.
func (d *Digester) Salt(stream string, revision uint64, id uuid.UUID) Salt {
	d.text = appendIdentity(append(d.text[:0], "tradetrail/salt/v1\n"...), stream, revision, id)
	d.mac.Reset()
	d.mac.Write(d.text)
	d.sum = d.mac.Sum(d.sum[:0])
	return Salt(d.sum)
}

// Digest is that of what the event of a leaf says, under its salt.
func (d *Digester) Digest(l *Leaf, p Payload) Digest {
	salt := d.Salt(l.Stream, l.Revision, l.ID)
	d.text = appendSaid(d.text[:0], salt, p)
	return sha256.Sum256(d.text)
}

// SaltOf is the Salt of a Digester, for those who need one.
func SaltOf(key []byte, stream string, revision uint64, id uuid.UUID) Salt {
	return NewDigester(key).Salt(stream, revision, id)
}

// DigestOf is the SHA-256 of "tradetrail/event/v1\n", the salt, and then type,
// data and metadata, each behind its length in bytes as 64 bits, big-endian.
func DigestOf(salt Salt, p Payload) Digest { return sha256.Sum256(appendSaid(nil, salt, p)) }

func appendSaid(b []byte, salt Salt, p Payload) []byte {
	b = append(append(b, "tradetrail/event/v1\n"...), salt[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(p.Type)))
	b = append(b, p.Type...)
	for _, part := range [...][]byte{p.Data, p.Metadata} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}
