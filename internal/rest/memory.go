package rest

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
)

const codeTooManyBytes = "overloaded"

var errTooManyBytes = &domain.Error{
	Class: domain.ClassTransient, Code: codeTooManyBytes, Message: "too many bytes of other requests are being recorded; try again",
}

// memory is what bodies may take of it, in all and, at most half, for one principal.
type memory struct {
	taken  prometheus.Gauge
	refuse func(error) error
	each   int64
	all    purse

	mu sync.Mutex
	by map[string]*owned
}

// purse bounds bytes. Of them three quarters may go to what is held for as long as a
// body is open, so that some are left for what was read, which is given back soon.
type purse struct{ bytes, lasting *semaphore.Weighted }

func newPurse(most int64) purse {
	return purse{semaphore.NewWeighted(most), semaphore.NewWeighted(lastingPart(most))}
}

func lastingPart(of int64) int64 { return of / 4 * 3 }

// owned is the purse of a principal who has bodies open.
type owned struct {
	purse

	users int // guarded by memory.mu
}

func newMemory(most int64, taken prometheus.Gauge, refuse func(error) error) *memory {
	return &memory{taken: taken, refuse: refuse, each: most / 2, all: newPurse(most), by: make(map[string]*owned)}
}

// account is from which the body of one request takes its memory.
type account struct {
	memory *memory
	name   string
	own    *owned
}

// open opens the account of a request; it must be closed when all is given back.
func (m *memory) open(ctx context.Context) *account {
	principal, _ := authz.From(ctx) // who has none is counted as nobody, and denied elsewhere
	m.mu.Lock()
	defer m.mu.Unlock()
	own, ok := m.by[principal.Name]
	if !ok {
		own = &owned{purse: newPurse(m.each)}
		m.by[principal.Name] = own
	}
	own.users++
	return &account{memory: m, name: principal.Name, own: own}
}

func (c *account) close() {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	if c.own.users--; c.own.users == 0 {
		delete(c.memory.by, c.name)
	}
}

// take takes memory if there is some, else it returns errTooManyBytes. What is
// lasting is held while more of the same body is waited for.
func (c *account) take(bytes int64, lasting bool) (give func(), err error) {
	from := []*semaphore.Weighted{c.own.bytes, c.memory.all.bytes}
	if lasting {
		from = append(from, c.own.lasting, c.memory.all.lasting)
	}
	for i, s := range from {
		if !s.TryAcquire(bytes) {
			release(from[:i], bytes)
			return nil, c.memory.refuse(errTooManyBytes)
		}
	}
	return c.taken(from, bytes), nil
}

// wait takes memory for a slice of a stream, when there is some.
func (c *account) wait(ctx context.Context, bytes int64) (give func(), err error) {
	each := c.memory.each
	bytes = min(bytes, each-lastingPart(each)) // more may never be free
	from := []*semaphore.Weighted{c.own.bytes, c.memory.all.bytes}
	for i, s := range from {
		if err := s.Acquire(ctx, bytes); err != nil {
			release(from[:i], bytes)
			return nil, err
		}
	}
	return c.taken(from, bytes), nil
}

func (c *account) taken(from []*semaphore.Weighted, bytes int64) (give func()) {
	c.memory.taken.Add(float64(bytes))
	return func() {
		c.memory.taken.Sub(float64(bytes))
		release(from, bytes)
	}
}

func release(from []*semaphore.Weighted, bytes int64) {
	for _, s := range from {
		s.Release(bytes)
	}
}
