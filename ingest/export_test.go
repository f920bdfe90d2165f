package ingest

import (
	"context"
	"hash/maphash"

	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/eventstore"
)

// WithMemory bounds the bytes for what the recorder remembers of idle streams.
func WithMemory(bytes int) Option { return func(o *options) { o.memory = bytes } }

// MaxQuarantineRaw is how much of rejected input is kept.
const MaxQuarantineRaw = maxQuarantineRaw

// Places is the index of old ids.
type Places struct{ p places }

func (p *Places) Add(hash, revision uint64) { p.p.add(hash, revision) }

func (p *Places) Find(hash uint64) []uint64 { return p.p.find(hash) }

// Bytes is what it takes.
func (p *Places) Bytes() int { return 8 * len(p.p.slots) }

// RecentEntries are kept in full.
const RecentEntries = recentEntries

// Remembered is the bytes for idle streams.
func (r *Recorder) Remembered() int { return r.streams.size() }

// Load reads a stream as the recorder does, and calls progress as it goes on.
func Load(ctx context.Context, store *eventstore.Store, stream string, progress func()) error {
	return (&streamState{name: stream, seed: maphash.MakeSeed(), last: eventstore.NoStream}).load(ctx, store, progress)
}

// ReadingOn is an append that has read on in its stream, in the middle of it.
func (r *Recorder) ReadingOn(while func(progress func())) {
	r.begin()
	defer r.end(false)
	while(r.progress)
}

// StreamKept reports whether a table of 1 byte still knows a stream, of which so much
// was read, when it has become idle, and when another one has, too.
func StreamKept(entries uint64, toTheEnd bool) (idle, later bool) {
	table, err := newStreamTable(1)
	if err != nil {
		return false, false
	}
	use := func(name string) *streamState {
		state := table.enter(name)
		<-state.lock
		return state
	}
	state := use("a")
	for n := range entries {
		state.add(entry{id: uuid.New(), revision: n})
		state.last = eventstore.Revision(n)
	}
	state.known = toTheEnd
	table.release(state)
	again := use("a")
	idle = again == state
	table.release(again)
	table.release(use("b"))
	return idle, use("a") == again
}
