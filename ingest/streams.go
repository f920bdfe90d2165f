package ingest

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
)

// streamTable remembers what the streams in use hold, so that a redelivered
// event is known without asking the store. It forgets the least recently used;
// what is forgotten is read again.
type streamTable struct {
	mu    sync.Mutex
	cache *lru.Cache[string, *streamState]
}

// streamState is what is known of one stream. It belongs to whoever holds lock.
type streamState struct {
	lock chan struct{} // holds one token while free: at most one append per stream is under way

	known   bool // last and entries are exact
	last    eventstore.Revision
	entries []entry
	index   map[uuid.UUID]int // into entries; built when the stream gets long
}

// entry is one recorded event.
type entry struct {
	id       uuid.UUID
	revision uint64
	position domain.Position
	digest   [8]byte // of what the source said, to tell a redelivery from another fact with the same id
}

// indexFrom is the length from which a map beats looking through the entries.
const indexFrom = 48

func newStreamTable(size int) (*streamTable, error) {
	cache, err := lru.New[string, *streamState](size)
	return &streamTable{cache: cache}, err
}

// acquire waits for the stream to be free and takes it. The state may have been
// forgotten meanwhile and made anew by somebody else: exact revisions keep two
// holders of one stream correct, the lock only keeps them in order.
func (t *streamTable) acquire(ctx context.Context, name string) (*streamState, error) {
	t.mu.Lock()
	state, ok := t.cache.Get(name)
	if !ok {
		state = &streamState{lock: make(chan struct{}, 1), last: eventstore.NoStream}
		state.lock <- struct{}{}
		t.cache.Add(name, state)
	}
	t.mu.Unlock()
	select {
	case <-state.lock:
		return state, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *streamState) release() { s.lock <- struct{}{} }

// forget drops what is known: the next holder reads the stream.
func (s *streamState) forget() {
	s.known, s.last, s.entries, s.index = false, eventstore.NoStream, nil, nil
}

func (s *streamState) add(e entry) {
	s.entries = append(s.entries, e)
	if s.index != nil {
		s.index[e.id] = len(s.entries) - 1
	} else if len(s.entries) > indexFrom {
		s.index = make(map[uuid.UUID]int, 2*len(s.entries))
		for i, e := range s.entries {
			s.index[e.id] = i
		}
	}
}

func (s *streamState) find(id uuid.UUID) (entry, bool) {
	if s.index != nil {
		i, ok := s.index[id]
		if !ok {
			return entry{}, false
		}
		return s.entries[i], true
	}
	for _, e := range s.entries {
		if e.id == id {
			return e, true
		}
	}
	return entry{}, false
}

// load reads what the state does not know yet: the whole stream the first time,
// later only what others have added.
func (s *streamState) load(ctx context.Context, store *eventstore.Store, name string) error {
	from := uint64(0)
	if s.known {
		from = uint64(s.last + 1) //nolint:gosec // at least 0
	} else {
		s.forget()
	}
	for r, err := range store.Stream(ctx, name, from) {
		if err != nil {
			return err
		}
		s.last = eventstore.Revision(r.Revision) //nolint:gosec // revisions are int64 on the server
		s.add(entry{id: r.ID, revision: r.Revision, position: r.Position, digest: recordDigest(&r)})
	}
	s.known = true
	return nil
}

// recordDigest is zero for events that others wrote into our streams.
func recordDigest(r *eventstore.Record) [8]byte {
	e, err := r.Event()
	if err != nil {
		return [8]byte{}
	}
	return eventDigest(e)
}

func eventDigest(e *domain.Event) [8]byte {
	full, err := e.Digest()
	if err != nil {
		return [8]byte{}
	}
	return [8]byte(full[:8:sha256.Size])
}
