package verify

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/tradetrail/tradetrail/tlog/stamp"
)

// Timestamp shows when a checkpoint was there, by the clock of an authority that has
// signed it (RFC 3161), and that the bundle's own checkpoint continues it.
type Timestamp struct {
	Checkpoint string   `json:"checkpoint"` // the signed note
	Hashes     []Digest `json:"hashes"`     // in the order of RFC 6962
	Token      Bytes    `json:"token"`      // DER, over the SHA-256 of Checkpoint
}

// Timed is a timestamp that was checked: the first Size leaves were there at its time.
type Timed struct {
	stamp.Stamp

	Size uint64 `json:"size"`
}

// slack is by how much the clocks of store and authority may differ, whose seconds may be
// cut off.
const slack = time.Minute

// stamped is what a timestamp vouches for; nothing if it is zero.
type stamped struct {
	size uint64
	at   time.Time // the latest that it can mean
}

// before says whether a leaf has a time behind that at which it was there.
func (s stamped) before(index uint64, created time.Time) bool {
	return index < s.size && created.After(s.at)
}

// end says what it does not vouch for, of leaves up to an index.
func (s stamped) end(v *Verdict, next uint64) {
	if s.size > 0 && next > s.size {
		v.notProven(fmt.Sprintf("leaves from %d on are newer than the timestamp, which is of the first %d", s.size, s.size))
	}
}

// timestamp checks the timestamp of a bundle that has one.
func (c *check) timestamp() {
	t, roots := c.header.Timestamp, c.trust.Authorities
	switch {
	case t == nil && roots != nil:
		c.verdict.notProven("the bundle has no timestamp: its times are those of the log's own clock")
	case t == nil:
	case roots == nil:
		c.verdict.notProven("the bundle has a timestamp, which was not checked: name the roots of its authority")
	default:
		if failure := c.timed(t); failure != nil {
			failure.Message = "the timestamp: " + failure.Message
			c.verdict.fail(failure)
		}
	}
}

func (c *check) timed(t *Timestamp) *Failure {
	shown, failure := c.trust.Keys.Open(t.Checkpoint, nil)
	if failure != nil {
		return failure
	}
	if failure := c.signed.Extends(shown.Checkpoint, t.Hashes); failure != nil {
		return failure
	}
	s, err := stamp.Verify(t.Token, sha256.Sum256([]byte(t.Checkpoint)), c.trust.Authorities)
	if err != nil {
		return &Failure{What: Untimed, Message: err.Error()}
	}
	if now := c.trust.At; !now.IsZero() && s.Time.After(now.Add(c.trust.Tolerance)) {
		return &Failure{What: Future, Message: fmt.Sprintf("it says %s, and it is %s", s.Time.Format(time.RFC3339), now.Format(time.RFC3339))}
	}
	c.stamped = stamped{shown.Size, s.Time.Add(s.Accuracy + slack)}
	c.verdict.Timestamp = &Timed{s, shown.Size}
	c.verdict.proven("the first %d leaves were there at %s, says the time-stamping authority %s", shown.Size, s.Time.Format(time.RFC3339), s.Authority)
	return nil
}
