package authz

import (
	"context"
	"sync"
)

// Quota bounds how much of something there is at a time, in all and for one
// principal. It is safe for use by several goroutines.
type Quota struct {
	total, each int

	mu    sync.Mutex
	taken int
	by    map[string]int
}

// NewQuota makes a quota of which nothing is taken.
func NewQuota(total, each int) *Quota {
	return &Quota{total: total, each: each, by: make(map[string]int)}
}

// Full says which bounds of a quota are reached.
type Full struct{ All, Yours bool }

// Take takes one for the principal of a request, until release is called. It is nil
// when there is none left, and full says why.
func (q *Quota) Take(ctx context.Context) (release func(), full Full) {
	principal, _ := From(ctx) // who has none is counted as nobody, and denied elsewhere
	q.mu.Lock()
	defer q.mu.Unlock()
	full = Full{All: q.taken >= q.total, Yours: q.by[principal.Name] >= q.each}
	if full.All || full.Yours {
		return nil, full
	}
	q.taken++
	q.by[principal.Name]++
	return sync.OnceFunc(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.taken--
		if q.by[principal.Name]--; q.by[principal.Name] == 0 {
			delete(q.by, principal.Name)
		}
	}), Full{}
}
