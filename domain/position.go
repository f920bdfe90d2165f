package domain

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// Position is a place in the log of all events ($all in EventStoreDB): commit
// and prepare position, in bytes. Both are kept, always: some servers hand out
// checkpoints whose prepare differs from the commit position. The zero Position
// is before the first event.
type Position struct{ Commit, Prepare uint64 }

// EndPosition is behind every event.
var EndPosition = Position{math.MaxUint64, math.MaxUint64}

// Compare orders positions as the log does.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Commit, q.Commit), cmp.Compare(p.Prepare, q.Prepare))
}

// IsZero reports whether p is before the first event.
func (p Position) IsZero() bool { return p == Position{} }

// String writes the position as EventStoreDB's clients do: C:120/P:120. It is
// also the cursor of connections and subscriptions.
func (p Position) String() string { return string(p.AppendTo(nil)) }

// AppendTo appends what String writes.
func (p Position) AppendTo(b []byte) []byte {
	b = strconv.AppendUint(append(b, "C:"...), p.Commit, 10)
	return strconv.AppendUint(append(b, "/P:"...), p.Prepare, 10)
}

// ParsePosition reads what String wrote.
func ParsePosition(text string) (Position, error) {
	p, ok := parsePosition(text)
	if !ok {
		return Position{}, Rejectf(CodeInvalid, "", "%.64q is not a position such as C:120/P:120", text)
	}
	return p, nil
}

func parsePosition(text string) (p Position, ok bool) {
	text, ok = strings.CutPrefix(text, "C:")
	commit, prepare, both := strings.Cut(text, "/P:")
	if !ok || !both {
		return p, false
	}
	var badCommit, badPrepare error
	p.Commit, badCommit = strconv.ParseUint(commit, 10, 64)
	p.Prepare, badPrepare = strconv.ParseUint(prepare, 10, 64)
	return p, badCommit == nil && badPrepare == nil
}

// Around are the positions right before and right behind p: of all events, only one
// at p is between them.
func (p Position) Around() (before, behind Position) {
	before, behind = Position{p.Commit, p.Prepare - 1}, Position{p.Commit, p.Prepare + 1}
	if p.Prepare == 0 {
		before = Position{p.Commit - min(p.Commit, 1), math.MaxUint64}
		if p.Commit == 0 {
			before = Position{}
		}
	}
	if p.Prepare == math.MaxUint64 {
		behind = Position{p.Commit + 1, 0}
	}
	return before, behind
}
