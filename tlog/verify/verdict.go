package verify

import (
	"fmt"
	"strings"
	"time"
)

// Kinds of doubt. They are part of the JSON that tradetrail-verify prints.
const (
	Malformed    = "malformed"     // not a bundle, a checkpoint, a leaf
	WrongLog     = "wrong_log"     // of another log than the key
	WrongKey     = "wrong_key"     // not signed by the key
	NotWitnessed = "not_witnessed" // too few cosignatures
	Changed      = "changed"       // what is said is not what was recorded
	Missing      = "missing"       // a leaf or revision that must be there is not
	Inserted     = "inserted"      // one that must not be there is
	Reordered    = "reordered"     // not in the order of the log
	Truncated    = "truncated"     // something was cut off at an end
	Inconsistent = "inconsistent"  // with an older checkpoint
	Future       = "future"        // from later than it can be
	Expired      = "expired"       // older than was asked for
	Untimed      = "untimed"       // its timestamp is not right
	Unsealed     = "unsealed"      // a report without a seal at its end
)

// Failure is one reason not to believe: what is wrong, where, in words.
type Failure struct {
	What    string  `json:"what"`
	Index   *uint64 `json:"index,omitzero"` // of the leaf
	Stream  string  `json:"stream,omitzero"`
	Event   string  `json:"event,omitzero"`
	Message string  `json:"message"`
}

// String is the failure in a line.
func (f *Failure) String() string {
	text := f.What + ": "
	if f.Index != nil {
		text += fmt.Sprintf("leaf %d: ", *f.Index)
	}
	if f.Event != "" {
		text += fmt.Sprintf("event %s of %.120q: ", f.Event, f.Stream)
	}
	return text + f.Message
}

// Verdict is the outcome of a verification. The zero Verdict is a no.
type Verdict struct {
	Verified   bool        `json:"verified"`
	Kind       string      `json:"kind,omitzero"`
	Subject    *Subject    `json:"subject,omitzero"`
	Checkpoint *Checkpoint `json:"checkpoint,omitzero"`
	Witnesses  []Cosigned  `json:"witnesses,omitzero"`
	Timestamp  *Timed      `json:"timestamp,omitzero"`
	Sealed     *time.Time  `json:"sealed,omitzero"` // of a report: when, by the clock of who made it
	Events     uint64      `json:"events"`          // that were shown
	Proven     []string    `json:"proven"`          // in plain words; only as good as Verified
	NotProven  []string    `json:"not_proven"`      // what a reader could think, and must not
	Failures   []*Failure  `json:"failures"`        // at most 100
	More       uint64      `json:"more,omitzero"`   // failures that are not listed
}

const maxFailures = 100

// maxNamed is how much of a hostile name is kept.
const maxNamed = 300

func (v *Verdict) fail(f *Failure) {
	if len(v.Failures) < maxFailures {
		f.Stream, f.Event = brief(f.Stream), brief(f.Event)
		v.Failures = append(v.Failures, f)
		return
	}
	v.More++
}

// brief cuts a text, and lets go of what it is a part of.
func brief(text string) string {
	if len(text) <= maxNamed {
		return text
	}
	return strings.ToValidUTF8(strings.Clone(text[:maxNamed]), "")
}

func (v *Verdict) proven(format string, args ...any) {
	v.Proven = append(v.Proven, fmt.Sprintf(format, args...))
}

func (v *Verdict) notProven(text string) { v.NotProven = append(v.NotProven, text) }
