package audit

import (
	"context"
	"iter"
	"runtime"
	"sync"

	"golang.org/x/time/rate"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// A batch is what one goroutine hashes at a time. It ends early when its events are
// large, so that memory is bounded by what is under way.
const (
	batchEvents = 256
	batchBytes  = 1 << 20
	batchAhead  = 4 // batches that wait, beside those that are being hashed
)

// batch is a stretch of the log with its leaves.
type batch struct {
	records []eventstore.Record
	events  []hashed
	err     error // why the stretch ended here
	done    chan struct{}
}

// hashed is an event as a leaf.
type hashed struct {
	leaf verify.Leaf
	text []byte
	hash verify.Digest
}

// hasher reads the store and computes leaves on all cores. It belongs to whoever
// consumes its batches, in order, and must be closed.
type hasher struct {
	ordered chan *batch
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newHasher reads from a position on, that one included, as fast as the limiter lets it.
func newHasher(ctx context.Context, store Events, saltKey []byte, from domain.Position, limiter *rate.Limiter) *hasher {
	ctx, cancel := context.WithCancel(ctx)
	workers := max(runtime.GOMAXPROCS(0), 2)
	h := &hasher{ordered: make(chan *batch, workers+batchAhead), cancel: cancel}
	work := make(chan *batch, workers+batchAhead)
	for range workers {
		h.running.Go(func() {
			digester := verify.NewDigester(saltKey)
			for b := range work {
				b.hash(digester)
				close(b.done)
			}
		})
	}
	h.running.Go(func() {
		defer close(work)
		defer close(h.ordered)
		for b := range batches(ctx, store, from) {
			if limiter != nil && b.err == nil {
				b.err = limiter.WaitN(ctx, len(b.records))
			}
			select {
			case h.ordered <- b:
				work <- b // as long as ordered, so there is room
			case <-ctx.Done():
				return
			}
		}
	})
	return h
}

func (h *hasher) close() {
	h.cancel()
	for range h.ordered { // whoever waits to send
	}
	h.running.Wait()
}

// batches cuts the store into batches. The last one has the error that ended it.
func batches(ctx context.Context, store Events, from domain.Position) iter.Seq[*batch] {
	return func(yield func(*batch) bool) {
		next := func() *batch {
			return &batch{records: make([]eventstore.Record, 0, batchEvents), done: make(chan struct{})}
		}
		b, size := next(), 0
		for record, err := range store.Forwards(ctx, from, everything) {
			if err != nil {
				b.err = err
				break
			}
			if record.System() {
				continue
			}
			b.records = append(b.records, record)
			size += len(record.Data) + len(record.Metadata)
			if len(b.records) == batchEvents || size >= batchBytes {
				if !yield(b) {
					return
				}
				b, size = next(), 0
			}
		}
		if len(b.records) > 0 || b.err != nil {
			yield(b)
		}
	}
}

// leafBytes is about what a leaf takes, so that those of a batch share their memory.
const leafBytes = 256

func (b *batch) hash(digester *verify.Digester) {
	b.events = make([]hashed, len(b.records))
	texts := make([]byte, 0, leafBytes*len(b.records))
	for i := range b.records {
		r := &b.records[i]
		e := &b.events[i]
		e.leaf = verify.Leaf{Position: r.Position, Stream: r.Stream, Revision: r.Revision, ID: r.ID, Created: r.Created}
		e.leaf.Digest = digester.Digest(&e.leaf, verify.Payload{Type: r.Type, Data: r.Data, Metadata: r.Metadata})
		begin := len(texts)
		texts = e.leaf.AppendTo(texts)
		e.text = texts[begin:len(texts):len(texts)]
		e.hash = verify.LeafHash(e.text)
	}
	b.records = nil // the payloads are not needed any more
}
