package audit

import (
	"time"

	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Report is what a verification found.
type Report struct {
	Intact   bool          `json:"intact"`
	Origin   string        `json:"origin"`
	Size     uint64        `json:"size"` // leaves under the newest checkpoint
	Root     verify.Digest `json:"root"` // of the tree that was computed
	Verified uint64        `json:"verified"`
	From     uint64        `json:"from"`              // the first leaf of these; those before were verified earlier
	First    *Place        `json:"first,omitzero"`    // of what was verified now
	Last     *Place        `json:"last,omitzero"`     // the last sealed one
	Unsealed uint64        `json:"unsealed"`          // events behind it that are not sealed yet
	Compared uint64        `json:"checkpoints"`       // checkpoints of the history whose root was computed
	Signed   uint64        `json:"signatures"`        // of these, signed by the log's key
	Outside  []Outside     `json:"outside,omitempty"` // checkpoints that were brought along
	Notes    []string      `json:"notes,omitempty"`   // what is no damage and worth knowing
	Views    *Views        `json:"views,omitzero"`    // nil: not looked at
	// Timestamps are those that this verification came by; nil: none.
	Timestamps *Timestamps     `json:"timestamps,omitzero"`
	Findings   []Finding       `json:"findings,omitempty"` // at most 200
	Counts     map[Kind]uint64 `json:"counts,omitempty"`   // of all there are
	Began      time.Time       `json:"began"`
	Took       time.Duration   `json:"took_ns"`
}

// Place is an event and where it stands.
type Place struct {
	Index    uint64    `json:"index"`
	Position string    `json:"position"`
	Stream   string    `json:"stream"`
	Revision uint64    `json:"revision"`
	EventID  string    `json:"event_id"`
	Created  time.Time `json:"created"`
}

func placeOf(index uint64, l *verify.Leaf) *Place {
	return &Place{index, l.Position.String(), l.Stream, l.Revision, l.ID.String(), l.Created.UTC()}
}

// Outside is what became of a checkpoint that was brought along.
type Outside struct {
	Name   string `json:"name"`
	Size   uint64 `json:"size"`
	Intact bool   `json:"intact"`
}

// Views is what comparing the read models found.
type Views struct {
	Compared  []string `json:"compared"` // views
	Keys      int64    `json:"keys"`
	Differing int64    `json:"differing"`
	Skipped   string   `json:"skipped,omitzero"` // why nothing was compared
}
