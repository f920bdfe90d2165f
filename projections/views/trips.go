package views

import (
	"context"
	"slices"
	"sync"
)

// trips carries what waits at the same time together. A load that comes when less than
// most trips are under way leaves at once; the others leave with the next.
type trips[T any] struct {
	most   int // under way at a time
	room   int // of a trip: how much its loads weigh at most, unless it has only one
	weight func(load T) int
	// carry makes one trip. It must bound by itself how long that takes: callers who go
	// away do not end it.
	carry func(ctx context.Context, loads []T)

	mu      sync.Mutex
	under   int // trips under way
	waiting []*passage[T]
}

// passage is one caller's load.
type passage[T any] struct {
	load T
	done chan struct{} // closed when it was carried
}

// ride returns when the load was carried. When ctx ends before, its caller goes on,
// and must not look at the load any more: it may still be on its way.
func (t *trips[T]) ride(ctx context.Context, load T) error {
	p := &passage[T]{load, make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, p)
	if t.under < t.most {
		t.under++
		go t.travel(context.WithoutCancel(ctx))
	}
	t.mu.Unlock()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		t.leave(p)
		return ctx.Err()
	}
}

// leave takes back what has not left yet: while Redis hangs, callers come and go.
func (t *trips[T]) leave(p *passage[T]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting, p); i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
}

// travel makes trips until nobody waits.
func (t *trips[T]) travel(ctx context.Context) {
	for {
		together := t.board()
		if len(together) == 0 {
			return
		}
		loads := make([]T, len(together))
		for i, p := range together {
			loads[i] = p.load
		}
		t.carry(ctx, loads)
		for _, p := range together {
			close(p.done)
		}
	}
}

// board takes those who leave next. When nobody waits the traveller is counted out.
func (t *trips[T]) board() []*passage[T] {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, weight := 0, 0
	for n < len(t.waiting) {
		weight += t.weight(t.waiting[n].load)
		if n > 0 && weight > t.room {
			break
		}
		n++
	}
	if n == 0 {
		t.under--
		return nil
	}
	together := slices.Clone(t.waiting[:n])
	t.waiting = slices.Delete(t.waiting, 0, n)
	return together
}
