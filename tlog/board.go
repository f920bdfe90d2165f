package tlog

import "sync"

// Board shows the state of the log to those who wait for it to move. The zero Board
// is of no log. All methods may be called concurrently.
type Board struct {
	mu      sync.Mutex
	state   State
	changed chan struct{} // closed at the next change; nil while nobody waits
}

// State is the newest, and changed is closed when there is a newer one: whoever
// looks again then misses none.
func (b *Board) State() (state State, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.state, b.changed
}

// Post shows a state. What is sealed stays sealed: one that is shorter than what
// was shown of the same log changes nothing.
func (b *Board) Post(s State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.state
	if old.Sealed.Origin == s.Sealed.Origin {
		if s.Sealed.Size < old.Sealed.Size {
			s.Sealed = old.Sealed
		}
		if s.Witnessed.Size < old.Witnessed.Size {
			s.Witnessed = old.Witnessed
		}
	}
	if s == old {
		return
	}
	b.state = s
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}
