package eventstore

import (
	"context"

	"github.com/tradetrail/tradetrail/domain"
)

// source is where a Store reads: from servers, through the official client, or
// from the node in this process.
type source interface {
	// open begins a read. The context bounds all of it, not only its beginning.
	open(ctx context.Context, q query) (cursor, error)
}

// cursor is a read under way. It belongs to one goroutine.
type cursor interface {
	// next gives the next event. io.EOF is the end of a read that has one.
	next() (item, error)
	// close must be called, with the error of the last next.
	close(err error)
}

// item is what a cursor gives: an event, or the news that a subscription has
// delivered everything up to the end of the log.
type item struct {
	record   Record
	caughtUp bool
}

// query says what to read.
type query struct {
	// stream to read forwards; empty is the whole log.
	stream   string
	revision uint64 // in a stream: where to begin

	// In the whole log: where to begin. Forwards it is included, and zero is the
	// start; backwards it is left out, and domain.EndPosition is the end; a
	// subscription begins behind it.
	position  domain.Position
	backwards bool

	// count is how many events to read at most. A subscription has no end: it
	// goes forwards through the whole log and leaves the server's own events out.
	count     uint64
	subscribe bool
}
