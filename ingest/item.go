package ingest

import (
	"crypto/sha256"

	"github.com/tradetrail/tradetrail/domain"
)

// Item is one piece of input on its way in: understood (Event) or not (Err).
// Raw is the input as it came; it must not be changed after the item was made.
type Item struct {
	Line  int // in its body or file, from 1
	Raw   []byte
	Cut   bool // Raw is only the beginning of what came
	Event *domain.Event
	Err   *domain.Error

	// Same reports whether an event that is recorded under the same id, with another
	// content, says the same as Event in other words: then Event is a duplicate of it,
	// and no conflict. It is asked in such a case only; nil says no.
	Same func(recorded *domain.Event) bool

	whole *digest // of what came, where Raw is less; nil: of Raw
}

// digest tells input from other input.
type digest struct {
	bytes  int
	sha256 [sha256.Size]byte
}

// seen is the digest of the item's input, as far as it was read.
func (i *Item) seen() digest {
	if i.whole != nil {
		return *i.whole
	}
	return digest{len(i.Raw), sha256.Sum256(i.Raw)}
}

// Status is what became of one item.
type Status string

// The three outcomes of a record request.
const (
	Recorded  Status = "recorded"  // durable now
	Duplicate Status = "duplicate" // was durable before, under the same id
	Rejected  Status = "rejected"  // not an event; its raw bytes are in quarantine
)

// Receipt answers one item. Position is a place in the log at which the event is
// certainly visible: that of the append which holds it (several events of one
// stream may share an append), so it serves read-your-writes as it is.
type Receipt struct {
	Line     int
	EventID  string
	Status   Status
	Stream   string
	Revision uint64
	Position domain.Position
	Err      *domain.Error // for Rejected
}
