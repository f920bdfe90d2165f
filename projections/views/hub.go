package views

import "sync"

// hub wakes those who wait for a topic after the write that changed it. It
// carries no data: whoever wakes reads the view from where it stopped, so a
// missed or doubled wake-up can't lose or repeat an event.
type hub struct {
	mu        sync.Mutex
	listeners map[string]map[*listener]struct{}
}

// listener waits for some topics. C receives after each change; changes that
// come while nobody looks are one.
type listener struct {
	C chan struct{}

	hub    *hub
	topics []string // guarded by hub.mu, as is closed
	closed bool
}

func newHub() *hub { return &hub{listeners: make(map[string]map[*listener]struct{})} }

func (h *hub) listen(topics ...string) *listener {
	l := &listener{C: make(chan struct{}, 1), hub: h}
	l.also(topics...)
	return l
}

// also adds topics and reports whether any was new.
func (l *listener) also(topics ...string) bool {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	added := false
	for _, topic := range topics {
		waiting := l.hub.listeners[topic]
		if _, already := waiting[l]; already || l.closed {
			continue
		}
		if waiting == nil {
			waiting = make(map[*listener]struct{})
			l.hub.listeners[topic] = waiting
		}
		waiting[l] = struct{}{}
		l.topics = append(l.topics, topic)
		added = true
	}
	return added
}

func (l *listener) close() {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	l.closed = true
	for _, topic := range l.topics {
		delete(l.hub.listeners[topic], l)
		if len(l.hub.listeners[topic]) == 0 {
			delete(l.hub.listeners, topic)
		}
	}
}

func (h *hub) notify(topics []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, topic := range topics {
		for l := range h.listeners[topic] {
			l.wake()
		}
	}
}

func (h *hub) notifyAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, waiting := range h.listeners {
		for l := range waiting {
			l.wake()
		}
	}
}

func (l *listener) wake() {
	select {
	case l.C <- struct{}{}:
	default:
	}
}
