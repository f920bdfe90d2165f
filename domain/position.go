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

// Key is a fixed-width form that sorts as the log does, for the keys and members
// of the read models.
func (p Position) Key() string { return fmt.Sprintf("%016x%016x", p.Commit, p.Prepare) }

// PositionFromKey reads what Key wrote.
func PositionFromKey(key string) (Position, error) {
	if len(key) != 32 {
		return Position{}, fmt.Errorf("position key %q has not 32 digits", key)
	}
	commit, err := strconv.ParseUint(key[:16], 16, 64)
	if err != nil {
		return Position{}, fmt.Errorf("position key %q: %w", key, err)
	}
	prepare, err := strconv.ParseUint(key[16:], 16, 64)
	if err != nil {
		return Position{}, fmt.Errorf("position key %q: %w", key, err)
	}
	return Position{commit, prepare}, nil
}
