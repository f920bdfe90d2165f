package embedded

import (
	"encoding/binary"
	"hash/maphash"

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
	seed  maphash.Seed
	slots map[uint64]int // by hash: of two events with the same one, the later is found
	ring  []recent
	next  int
}

// recent is an event. The same id in another stream is another event.
type recent struct {
	id       uuid.UUID
	stream   uint64
	revision int64
	hash     uint64
}

func newRecents(size int) *recents {
	return &recents{seed: maphash.MakeSeed(), slots: make(map[uint64]int), ring: make([]recent, 0, size)}
}

func (c *recents) hash(id uuid.UUID, stream uint64) uint64 {
	var key [24]byte
	copy(key[:], id[:])
	binary.LittleEndian.PutUint64(key[16:], stream)
	return maphash.Bytes(c.seed, key[:])
}

func (c *recents) add(id uuid.UUID, stream uint64, revision int64) {
	r := recent{id: id, stream: stream, revision: revision, hash: c.hash(id, stream)}
	if len(c.ring) < cap(c.ring) {
		c.ring = append(c.ring, r)
	} else {
		// An id may have come back in a later slot; then that slot owns the entry.
		if old := c.ring[c.next].hash; c.slots[old] == c.next {
			delete(c.slots, old)
		}
		c.ring[c.next] = r
	}
	c.slots[r.hash] = c.next
	c.next = (c.next + 1) % cap(c.ring)
}

func (c *recents) find(id uuid.UUID, stream uint64) (revision int64, ok bool) {
	slot, ok := c.slots[c.hash(id, stream)]
	if !ok || c.ring[slot].id != id || c.ring[slot].stream != stream {
		return 0, false
	}
	return c.ring[slot].revision, true
}
