package ingest

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/google/uuid"
	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
)

// streamTable remembers what the streams hold, so that a redelivered event is
// known without asking the store. It keeps the streams in use, and of the others
// those used last; what is forgotten is read again.
type streamTable struct {
	mu   sync.Mutex
	used map[string]*streamState
	idle *simplelru.LRU[string, *streamState]
}

// streamState is what is known of one stream. What it says is true for ever,
// since streams only grow; the stream may hold more, which an append at the last
// revision finds out.
type streamState struct {
	name  string
	users int           // holders and waiters; guarded by the table's mu
	lock  chan struct{} // holds one token while free: at most one append per stream is under way

	// The rest belongs to whoever holds lock.
	known    bool // the stream was read, or written by us: entries begin at its first event
	doubtful bool // an append has an unknown outcome: read what is new before the next one
	last     eventstore.Revision
	entries  []entry
	index    map[uuid.UUID]int // into entries; built when the stream gets long
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
	idle, err := simplelru.NewLRU[string, *streamState](size, nil)
	return &streamTable{used: make(map[string]*streamState), idle: idle}, err
}

// release gives the stream back, after enter and taking its lock.
func (t *streamTable) release(state *streamState) {
	state.lock <- struct{}{}
	t.leave(state)
}

// enter keeps the stream's state in the table until leave.
func (t *streamTable) enter(name string) *streamState {
	t.mu.Lock()
	defer t.mu.Unlock()
	state, ok := t.used[name]
	if !ok {
		if state, ok = t.idle.Get(name); ok {
			t.idle.Remove(name)
		} else {
			state = &streamState{name: name, lock: make(chan struct{}, 1), last: eventstore.NoStream}
			state.lock <- struct{}{}
		}
		t.used[name] = state
	}
	state.users++
	return state
}

func (t *streamTable) leave(state *streamState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if state.users--; state.users == 0 {
		delete(t.used, state.name)
		t.idle.Add(state.name, state)
	}
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
// later only what others have added. What it has read counts also if it fails:
// a stream that takes longer to read than anybody waits is read in the end.
func (s *streamState) load(ctx context.Context, store *eventstore.Store) error {
	for r, err := range store.Stream(ctx, s.name, uint64(s.last+1)) { //nolint:gosec // at least 0
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
	return short(full)
}

func short(digest [sha256.Size]byte) [8]byte { return [8]byte(digest[:8]) }
