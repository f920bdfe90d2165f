package views_test

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// indexAfter finds the first event of the log after a position.
func indexAfter(log []feed.Event, position domain.Position) int {
	i, _ := slices.BinarySearchFunc(log, position, func(e feed.Event, p domain.Position) int {
		if e.Position.Compare(p) <= 0 {
			return -1
		}
		return 1
	})
	return i
}

// applySome applies the next few events from where the set stands; done is true
// when there are none.
func applySome(ctx context.Context, set *views.Set, log []feed.Event, n int) (done bool, err error) {
	stand, err := set.Start(ctx)
	if err != nil {
		return false, err
	}
	from := indexAfter(log, stand)
	if from == len(log) {
		return true, nil
	}
	return false, set.Apply(ctx, viewstest.SliceOf(log, from, min(len(log), from+n)))
}

// canceller cancels a context at its n-th exchange with Redis, in the middle of
// it if n is odd.
type canceller struct {
	mu     sync.Mutex
	left   int
	middle bool
	cancel context.CancelFunc
}

func (c *canceller) arm(n int, cancel context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.middle, c.cancel = n, n%2 == 1, cancel
}

func (c *canceller) around(send func() error) error {
	c.mu.Lock()
	cancel, middle := c.cancel, c.middle
	if c.left--; c.left != -1 {
		cancel = nil
	}
	c.mu.Unlock()
	if cancel == nil {
		return send()
	}
	if middle {
		go cancel() // races with the exchange
	} else {
		cancel()
	}
	return send()
}

func (c *canceller) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *canceller) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return c.around(func() error { return next(ctx, cmd) })
	}
}

func (c *canceller) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return c.around(func() error { return next(ctx, cmds) })
	}
}

// onCommand does something before each command of one name.
type onCommand struct {
	mu   sync.Mutex
	name string
	what func()
}

func (o *onCommand) do(name string, what func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.name, o.what = name, what
}

func (o *onCommand) DialHook(next redis.DialHook) redis.DialHook { return next }

func (o *onCommand) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		o.before(cmd)
		return next(ctx, cmd)
	}
}

func (o *onCommand) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		o.before(cmds...)
		return next(ctx, cmds)
	}
}

// before runs it once if one of the commands of a round trip is the one.
func (o *onCommand) before(cmds ...redis.Cmder) {
	o.mu.Lock()
	name, what := o.name, o.what
	o.mu.Unlock()
	if what != nil && slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return cmd.Name() == name }) {
		what()
	}
}

// gate holds commands back until it is opened.
type gate struct {
	match   func(redis.Cmder) bool
	arrived chan struct{} // hears of each that waits
	open    chan struct{} // closed to let them through
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if g.match(cmd) {
			g.arrived <- struct{}{}
			<-g.open
		}
		return next(ctx, cmd)
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
