package ingest

import (
	"hash/maphash"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/tradetrail/tradetrail/eventstore"
)

// streamTable remembers what the streams hold, so that a redelivered event is
// known without asking the store. It keeps the streams in use, and of the others,
// within its bound in bytes, those used last; what is forgotten is read again.
//
// Three things are beyond the bound: streams in use; the idle one used last; and
// long ones that were read in part, which are kept until the next append has read
// them to their end. A stream that alone takes more than the bound (about ten million
// events with the usual one) is forgotten when the next one becomes idle, and read
// anew when it is used again: it can be recorded to, slowly.
type streamTable struct {
	seed  maphash.Seed // of fingerprints, unlike in each process: nobody can aim at them
	bound int

	mu    sync.Mutex
	used  map[string]*streamState
	idle  *simplelru.LRU[string, *streamState]
	bytes int // of the idle ones
}

func newStreamTable(bound int) (*streamTable, error) {
	idle, err := simplelru.NewLRU[string, *streamState](math.MaxInt32, nil) // bytes bound it
	return &streamTable{seed: maphash.MakeSeed(), bound: bound, used: make(map[string]*streamState), idle: idle}, err
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
			t.bytes -= state.bytes()
		} else {
			state = &streamState{name: name, seed: t.seed, lock: make(chan struct{}, 1), last: eventstore.NoStream}
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
	if state.users--; state.users > 0 || state.halfRead() {
		return
	}
	delete(t.used, state.name)
	t.idle.Add(state.name, state)
	for t.bytes += state.bytes(); t.bytes > t.bound && t.idle.Len() > 1; { // that one is the newest
		_, oldest, ok := t.idle.RemoveOldest()
		if !ok {
			break
		}
		t.bytes -= oldest.bytes()
	}
}

// size is that of the idle streams, in bytes.
func (t *streamTable) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes
}
