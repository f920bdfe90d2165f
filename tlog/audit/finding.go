package audit

import (
	"fmt"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Kind says what is wrong. The names are stable.
type Kind string

// What can be wrong, from the events outwards.
const (
	Changed    Kind = "changed"     // the store has another event in its place, or it says something else
	Missing    Kind = "missing"     // the log has it and the store has not
	Inserted   Kind = "inserted"    // the store has it among the sealed ones and the log has not
	Reordered  Kind = "reordered"   // it stands in the place of another one
	Truncated  Kind = "truncated"   // the end was cut off
	Unreadable Kind = "unreadable"  // the store finds its own bytes damaged
	Entry      Kind = "entry"       // a file of the log with leaves is damaged
	Tile       Kind = "tile"        // a file of the log with hashes is damaged
	Rewritten  Kind = "rewritten"   // what is there is not what was signed
	Signature  Kind = "signature"   // a checkpoint is not signed by the log's key
	Published  Kind = "published"   // the newest checkpoint is missing, damaged or an older one
	History    Kind = "history"     // the history of checkpoints is damaged or cut
	State      Kind = "state"       // what an earlier verification left was changed, or contradicts what is there
	Certified  Kind = "certificate" // a certificate is not the log's, or does not continue the one before
	SaltKey    Kind = "salt_key"    // it is not the log's
	View       Kind = "view"        // a read model differs from what the events say
)

// Finding is one thing that is wrong, and where. What does not apply is empty.
type Finding struct {
	Kind     Kind    `json:"kind"`
	Index    *uint64 `json:"index,omitzero"`    // of the leaf
	Position string  `json:"position,omitzero"` // of the event
	Stream   string  `json:"stream,omitzero"`
	Revision *uint64 `json:"revision,omitzero"`
	EventID  string  `json:"event_id,omitzero"`
	Where    string  `json:"where,omitzero"` // a file, or a key
	Text     string  `json:"text"`

	leaf, found *verify.Leaf // what the log says, and what the store has
}

// String is the finding in a line of plain words.
func (f Finding) String() string {
	text := string(f.Kind)
	if f.Index != nil {
		text += fmt.Sprintf(" at index %d", *f.Index)
	}
	if f.Position != "" {
		text += fmt.Sprintf(", position %s", f.Position)
	}
	if f.Stream != "" {
		text += fmt.Sprintf(", stream %q", f.Stream)
	}
	if f.Revision != nil {
		text += fmt.Sprintf(" revision %d", *f.Revision)
	}
	if f.EventID != "" {
		text += ", event " + f.EventID
	}
	if f.Where != "" {
		text += ", " + f.Where
	}
	return text + ": " + f.Text
}

// of names the event of a leaf.
func (f Finding) of(l *verify.Leaf) Finding {
	f.Position, f.Stream, f.Revision, f.EventID = l.Position.String(), l.Stream, &l.Revision, l.ID.String()
	return f
}

func (f Finding) at(index uint64) Finding {
	f.Index = &index
	return f
}

// maxFindings are kept; of the others there are counts.
const maxFindings = 200

// findings collects what is wrong.
type findings struct {
	list   []Finding
	counts map[Kind]uint64
}

func (f *findings) add(found Finding) {
	if f.counts == nil {
		f.counts = make(map[Kind]uint64)
	}
	f.counts[found.Kind]++
	// A flood of one kind must not hide the others.
	if f.counts[found.Kind] <= maxFindings/4 && len(f.list) < maxFindings {
		f.list = append(f.list, found)
	}
}

// many counts things like the last one that are not listed.
func (f *findings) many(kind Kind, n uint64) {
	if n > 0 {
		f.counts[kind] += n
	}
}

func (f *findings) any() bool { return len(f.counts) > 0 }

// reorder tells events that stand in each other's places from those that were changed.
func (f *findings) reorder() {
	expected := make(map[domain.Position]bool)
	byID := make(map[string]*verify.Leaf)
	for i := range f.list {
		if l := f.list[i].leaf; l != nil {
			byID[l.ID.String()] = l
		}
	}
	for i := range f.list {
		found := f.list[i].found
		if found == nil || f.list[i].Kind == Missing {
			continue
		}
		home, known := byID[found.ID.String()]
		if !known || home.Position == found.Position {
			continue
		}
		expected[home.Position] = true
		f.recast(i, Reordered, fmt.Sprintf("here stands event %s, whose place is %s", found.ID, home.Position))
	}
	for i := range f.list {
		if l := f.list[i].leaf; l != nil && expected[l.Position] && f.list[i].Kind == Missing {
			f.recast(i, Reordered, "this event stands somewhere else")
		}
	}
}

func (f *findings) recast(i int, kind Kind, text string) {
	f.counts[f.list[i].Kind]--
	if f.counts[f.list[i].Kind] == 0 {
		delete(f.counts, f.list[i].Kind)
	}
	f.counts[kind]++
	f.list[i].Kind, f.list[i].Text = kind, text
}
