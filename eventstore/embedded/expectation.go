package embedded

import (
	"math"
	"strconv"
)

// expectation is what a request expects a stream's last revision to be: a
// revision, or one of the named ones, in EventStoreDB's own numbers.
type expectation int64

const (
	expectNoStream     expectation = -1
	expectAny          expectation = -2
	expectStreamExists expectation = -4
)

// expectRevision takes a revision off the wire. One which no stream can have
// is kept as the largest, which is equally never met.
func expectRevision(revision uint64) expectation {
	return expectation(min(revision, math.MaxInt64-1)) //nolint:gosec // bounded
}

func (e expectation) String() string {
	switch e {
	case expectNoStream:
		return "no stream"
	case expectAny:
		return "any revision"
	case expectStreamExists:
		return "an existing stream"
	default:
		return "revision " + strconv.FormatInt(int64(e), 10)
	}
}
