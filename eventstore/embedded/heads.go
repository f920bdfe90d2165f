package embedded

import (
	"github.com/google/uuid"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// maxHeads bounds the streams whose ends the writer remembers; the others
	// cost one look-up in the index when they are next written to.
	maxHeads = 1 << 16
	// maxRecents bounds the event ids by which Any and StreamExists find
	// repeated requests; about the memory that EventStoreDB uses.
	maxRecents = 1 << 16
	// maxRecentBytes bounds how much of the log an open reads to fill it.
	maxRecentBytes = 64 << 20
)

// streamHead is the end of a stream as the writer sees it: with everything it
// has accepted, durable or not.
type streamHead struct {
	name string
	id   uint64 // 0 until the first record
	last int64  // -1 if the stream has no records; tombstoneRevision at its end
	meta streamMeta
}

func (h *streamHead) tombstoned() bool { return h.last == tombstoneRevision }

// softDeleted streams are gone for readers, and come back at the next append.
func (h *streamHead) softDeleted() bool {
	return h.last >= 0 && h.meta.truncateBefore == tombstoneRevision
}

// heads belongs to the writer's goroutine.
type heads struct {
	log *eventLog
	lru *simplelru.LRU[string, *streamHead]
	// touched are the heads of the group being built. They must not be read
	// from the index, which doesn't know the group yet.
	touched map[string]*streamHead
}

func newHeads(log *eventLog) (*heads, error) {
	lru, err := simplelru.NewLRU[string, *streamHead](maxHeads, nil)
	if err != nil {
		return nil, err
	}
	return &heads{log: log, lru: lru, touched: make(map[string]*streamHead)}, nil
}

func (s *heads) get(name string) (*streamHead, error) {
	if h, ok := s.touched[name]; ok {
		return h, nil
	}
	h, ok := s.lru.Get(name)
	if !ok {
		var err error
		if h, err = s.load(name); err != nil {
			return nil, err
		}
		s.lru.Add(name, h)
	}
	s.touched[name] = h
	return h, nil
}

func (s *heads) load(name string) (*streamHead, error) {
	h := &streamHead{name: name, last: -1}
	id, ok, err := s.log.streamID(name)
	if err != nil {
		return nil, err
	}
	if ok {
		h.id = id
		if h.last, err = s.log.lastRevision(id, everything); err != nil {
			return nil, err
		}
	}
	h.meta, err = s.log.streamMeta(name, everything)
	return h, err
}

// applied forgets which heads the group touched: Pebble knows them now.
func (s *heads) applied() { clear(s.touched) }

// recents remembers the latest events of all streams by their ids, the oldest
// leaving first. It belongs to the writer's goroutine.
type recents struct {
	events map[eventKey]recent
	ring   []eventKey
	next   int
}

// eventKey: the same id in another stream is another event.
type eventKey struct {
	stream uint64
	id     uuid.UUID
}

type recent struct {
	revision int64
	slot     int
}

func newRecents(size int) *recents {
	return &recents{events: make(map[eventKey]recent), ring: make([]eventKey, 0, size)}
}

func (c *recents) add(id uuid.UUID, stream uint64, revision int64) {
	key := eventKey{stream: stream, id: id}
	if len(c.ring) < cap(c.ring) {
		c.ring = append(c.ring, key)
	} else {
		// An id may have come back in a later slot; then that slot owns the entry.
		if old := c.ring[c.next]; c.events[old].slot == c.next {
			delete(c.events, old)
		}
		c.ring[c.next] = key
	}
	c.events[key] = recent{revision: revision, slot: c.next}
	c.next = (c.next + 1) % cap(c.ring)
}

func (c *recents) find(id uuid.UUID, stream uint64) (revision int64, ok bool) {
	r, ok := c.events[eventKey{stream: stream, id: id}]
	return r.revision, ok
}
