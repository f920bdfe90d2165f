// Package prove makes the proof bundles that package verify checks: from the
// event store, which has what was said, and the transparency log, which has the
// leaves. What it writes it has checked: where the two contradict each other it
// stops, with domain.ClassIntegrity.
package prove

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog/tiles"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Codes of the errors of this package.
const (
	CodeUnsealed   = "unsealed"      // ClassNotFound: recorded, and in no checkpoint yet
	CodeUnknown    = "unknown"       // ClassNotFound: there is no such event or order
	CodeAmbiguous  = "ambiguous"     // ClassRejected: several events have this id, in different streams
	CodeContradict = "log_differs"   // ClassIntegrity: store and log contradict each other
	CodeRewritten  = "log_rewritten" // ClassIntegrity: the log does not continue a checkpoint that it has signed
)

// Events is the event store.
type Events interface {
	At(ctx context.Context, position domain.Position) (eventstore.Record, error)
	Stream(ctx context.Context, stream string, from uint64) iter.Seq2[eventstore.Record, error]
	Forwards(ctx context.Context, from domain.Position, count uint64) iter.Seq2[eventstore.Record, error]
}

// Prover makes bundles of one log. Its methods may be called concurrently.
type Prover struct {
	events Events
	log    *tiles.Log
	salt   []byte
	known  Keys
	stamps Timestamps
}

// Keys reads the keys of the log, as they are now: another key may take over while
// proofs are made. It is called concurrently, once for each bundle.
type Keys func() (verify.Keys, error)

// New proves from a store and a log with these keys. The one that has signed the
// checkpoint of a bundle is told in it.
func New(events Events, log *tiles.Log, saltKey []byte, keys Keys) *Prover {
	return &Prover{events: events, log: log, salt: saltKey, known: keys}
}

// Options are about how much a bundle shows.
type Options struct {
	// Redact leaves out what events say.
	Redact bool
	// Older is a checkpoint, as a signed note, that the bundle is to show that
	// the log continues. It may be empty.
	Older string
}

// Event writes the bundle of one event by its id in the store. Who knows its stream
// says so: then the store's own index leads to it. Otherwise the stream is empty, and all
// leaves are looked through: an id that stands in several streams is CodeAmbiguous.
func (p *Prover) Event(ctx context.Context, to io.Writer, id uuid.UUID, stream string, o Options) error {
	b, err := p.begin(ctx, to, o)
	if err != nil {
		return err
	}
	var found place
	if stream == "" {
		found, err = b.search(ctx, id)
	} else {
		found, err = b.inStream(ctx, id, stream)
	}
	if err != nil {
		return err
	}
	if err := b.settle(ctx, found.index+1); err != nil {
		return err
	}
	return b.write(verify.KindEvent, verify.Subject{Event: id.String()}, func() error { return b.single(ctx, found.index, found.at) })
}

// Order writes the bundle of an order's chain: its own stream as far as it is
// sealed, and the events of other streams at the given positions, which are
// sorted and may be of its own stream too.
func (p *Prover) Order(ctx context.Context, to io.Writer, order string, related []domain.Position, o Options) error {
	b, err := p.begin(ctx, to, o)
	if err != nil {
		return err
	}
	stream := domain.KindOrder + "-" + order
	places, err := b.places(ctx, stream, related)
	if err != nil {
		return err
	}
	if err := b.settle(ctx, places[len(places)-1].index+1); err != nil {
		return err
	}
	return b.write(verify.KindChain, verify.Subject{Order: order}, func() error {
		for _, place := range places {
			if err := b.single(ctx, place.index, place.at); err != nil {
				return err
			}
		}
		return nil
	})
}

// Window writes the bundle of all events that the store took from a time to
// before another. It keeps a run in memory, at most 256 events or 2 MiB.
func (p *Prover) Window(ctx context.Context, to io.Writer, from, until time.Time, o Options) error {
	if !from.Before(until) {
		return domain.Rejectf(domain.CodeInvalid, "to", "a window ends after it begins")
	}
	b, err := p.begin(ctx, to, o)
	if err != nil {
		return err
	}
	begin, err := b.since(ctx, from)
	if err != nil {
		return err
	}
	end, err := b.since(ctx, until)
	if err != nil {
		return err
	}
	if err := b.settle(ctx, min(end+1, b.tree.Size())); err != nil { // with the neighbour
		return err
	}
	return b.write(verify.KindWindow, verify.Subject{From: from.UTC(), To: until.UTC(), Begin: begin, End: end}, func() error {
		return b.window(ctx, begin, end)
	})
}

func contradiction(format string, args ...any) error {
	return &domain.Error{Class: domain.ClassIntegrity, Code: CodeContradict, Message: "the event store and the log contradict each other: " + fmt.Sprintf(format, args...)}
}
