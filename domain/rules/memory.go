package rules

import (
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// memory holds the entries that were used last, up to a bound.
type memory[V any] struct {
	limit   int
	entries *simplelru.LRU[string, *V]
	evicted func(*V)
}

func newMemory[V any](limit int, evicted func(*V)) *memory[V] {
	// The only error is a limit below 1; all of them are constants.
	entries, err := simplelru.NewLRU[string, *V](limit, nil)
	if err != nil {
		panic("rules: " + err.Error())
	}
	return &memory[V]{limit, entries, evicted}
}

// get returns the entry, which counts as used, or nil.
func (m *memory[V]) get(key string) *V {
	v, _ := m.entries.Get(key)
	return v
}

// put adds an entry; the one that was not used for longest makes room.
func (m *memory[V]) put(key string, v *V) *V {
	if m.entries.Contains(key) || m.entries.Len() < m.limit {
		m.entries.Add(key, v)
		return v
	}
	if _, oldest, ok := m.entries.RemoveOldest(); ok && m.evicted != nil {
		m.evicted(oldest)
	}
	m.entries.Add(key, v)
	return v
}

func (m *memory[V]) drop(key string) { m.entries.Remove(key) }

// remembered is an entry in a snapshot.
type remembered[V any] struct {
	Key   string `json:"k"`
	Value *V     `json:"v"`
}

// save lists the entries, the one that was not used for longest first.
func (m *memory[V]) save() []remembered[V] {
	out := make([]remembered[V], 0, m.entries.Len())
	for _, key := range m.entries.Keys() {
		v, _ := m.entries.Peek(key)
		out = append(out, remembered[V]{key, v})
	}
	return out
}

func (m *memory[V]) load(saved []remembered[V]) {
	for _, e := range saved {
		if e.Value != nil {
			m.put(e.Key, e.Value)
		}
	}
}
