package domain

import (
	"cmp"
	"fmt"
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
func (p Position) String() string { return fmt.Sprintf("C:%d/P:%d", p.Commit, p.Prepare) }

// ParsePosition reads what String wrote.
func ParsePosition(text string) (Position, error) {
	bad := Rejectf(CodeInvalid, "", "%.64q is not a position such as C:120/P:120", text)
	commit, prepare, ok := strings.Cut(strings.TrimPrefix(text, "C:"), "/P:")
	if !ok || !strings.HasPrefix(text, "C:") {
		return Position{}, bad
	}
	var p Position
	var err error
	if p.Commit, err = strconv.ParseUint(commit, 10, 64); err != nil {
		return Position{}, bad
	}
	if p.Prepare, err = strconv.ParseUint(prepare, 10, 64); err != nil {
		return Position{}, bad
	}
	return p, nil
}
