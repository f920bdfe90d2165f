package views

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// convoy is a client for readers. Their pipelines travel to Redis together: on both
// sides a round trip costs more than the little that is read in it. One that comes
// when nothing is under way leaves at once; the others leave with the next.
//
// What is put into one pipeline stays together and in order. Everything but Pipelined
// goes alone; so does all on a cluster, where one node that is away would hold back
// those who read from others.
type convoy struct {
	redis.UniversalClient

	alone bool

	mu      sync.Mutex
	under   int // trips under way
	waiting []*passage
}

// passage is one caller's pipeline.
type passage struct {
	cmds []redis.Cmder
	done chan struct{} // closed when cmds are answered
}

const (
	convoyTrips  = 4  // under way at a time, so that a long answer holds back few
	convoyLength = 32 // pipelines in one trip, so that nobody waits for hundreds
)

func newConvoy(client redis.UniversalClient) *convoy {
	_, cluster := client.(*redis.ClusterClient)
	return &convoy{UniversalClient: client, alone: cluster}
}

// Pipelined is like that of a client: the error is the first of the commands, also
// redis.Nil. When ctx ends its caller goes on, and must not look at the commands.
func (c *convoy) Pipelined(ctx context.Context, fill func(redis.Pipeliner) error) ([]redis.Cmder, error) {
	if c.alone {
		return c.UniversalClient.Pipelined(ctx, fill)
	}
	pipe := c.Pipeline()
	if err := fill(pipe); err != nil || pipe.Len() == 0 {
		return nil, err
	}
	p := &passage{cmds: pipe.Cmds(), done: make(chan struct{})}
	c.mu.Lock()
	c.waiting = append(c.waiting, p)
	if c.under < convoyTrips {
		c.under++
		go c.travel(context.WithoutCancel(ctx))
	}
	c.mu.Unlock()
	select {
	case <-p.done:
	case <-ctx.Done():
		c.leave(p)
		return nil, ctx.Err()
	}
	for _, cmd := range p.cmds {
		if err := cmd.Err(); err != nil {
			return p.cmds, err
		}
	}
	return p.cmds, nil
}

// leave takes back what has not left yet: while Redis hangs, callers come and go.
func (c *convoy) leave(p *passage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.waiting, p); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
}

// travel makes trips until nobody waits. Of each the client's own time-outs bound
// how long it takes.
func (c *convoy) travel(ctx context.Context) {
	for {
		c.mu.Lock()
		n := min(len(c.waiting), convoyLength)
		if n == 0 {
			c.under--
			c.mu.Unlock()
			return
		}
		together := slices.Clone(c.waiting[:n])
		c.waiting = slices.Delete(c.waiting, 0, n)
		c.mu.Unlock()
		pipe := c.Pipeline()
		for _, p := range together {
			_ = pipe.BatchProcess(ctx, p.cmds...) // only puts them in line
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
		for _, p := range together {
			close(p.done)
		}
	}
}
