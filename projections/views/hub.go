package views

import (
	"sync"
	"sync/atomic"
)

// hub wakes those who wait for a topic after the write that changed it. It
// carries no data: whoever wakes reads the view from where it stopped, so a
// missed or doubled wake-up can't lose or repeat an event.
type hub struct {
	mu     sync.Mutex
	topics map[string]*topic // those that somebody waits for
	tails  int               // topics with a tail
}

// topic is what some wait for.
type topic struct {
	waiting map[*listener]struct{} // guarded by hub.mu
	version atomic.Uint64          // raised before they are woken
	tail    *tail                  // nil: nobody follows it
}

// listener waits for some topics. C receives after each change; changes that
// come while nobody looks are one.
type listener struct {
	C chan struct{}

	hub    *hub
	topics []string // guarded by hub.mu, as is closed
	closed bool
}

func newHub() *hub { return &hub{topics: make(map[string]*topic)} }

func (h *hub) listen(topics ...string) *listener {
	l := &listener{C: make(chan struct{}, 1), hub: h}
	l.also(topics...)
	return l
}

// follow listens to one topic, and tells which it is: one with a tail.
func (h *hub) follow(name string) (*listener, *topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &listener{C: make(chan struct{}, 1), hub: h}
	l.add(name)
	t := h.topics[name]
	if t.tail == nil {
		t.tail = newTail()
		h.tails++
	}
	return l, t
}

// share is what each tail may keep of what all together may.
func (h *hub) share(all int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return all / max(h.tails, 1)
}

// also adds topics and reports whether any was new.
func (l *listener) also(topics ...string) bool {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	added := false
	for _, name := range topics {
		added = l.add(name) || added
	}
	return added
}

// add is also with the hub locked.
func (l *listener) add(name string) bool {
	t := l.hub.topics[name]
	if l.closed {
		return false
	}
	if t == nil {
		t = &topic{waiting: make(map[*listener]struct{})}
		l.hub.topics[name] = t
	}
	if _, already := t.waiting[l]; already {
		return false
	}
	t.waiting[l] = struct{}{}
	l.topics = append(l.topics, name)
	return true
}

func (l *listener) close() {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	l.closed = true
	for _, name := range l.topics {
		t := l.hub.topics[name]
		delete(t.waiting, l)
		if len(t.waiting) == 0 {
			if t.tail != nil {
				l.hub.tails--
			}
			delete(l.hub.topics, name)
		}
	}
	l.topics = nil
}

func (h *hub) notify(topics []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range topics {
		if t := h.topics[name]; t != nil {
			t.wake()
		}
	}
}

func (h *hub) notifyAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.topics {
		t.wake()
	}
}

func (t *topic) wake() {
	t.version.Add(1)
	for l := range t.waiting {
		l.wake()
	}
}

func (l *listener) wake() {
	select {
	case l.C <- struct{}{}:
	default:
	}
}
