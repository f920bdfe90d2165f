package views_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

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

// wire is a TCP proxy that cuts connections after some bytes, in the middle of
// what is being sent or answered.
type wire struct {
	listener net.Listener
	target   string
	every    atomic.Int64 // mean number of bytes between cuts; 0: never
	cuts     atomic.Int64
	wg       sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand
	open   map[net.Conn]struct{}
}

func newWire(t testing.TB, target string, seed uint64) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: listener, target: target, random: rand.New(rand.NewPCG(seed, 4)), open: make(map[net.Conn]struct{})}
	w.wg.Go(w.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		w.mu.Lock()
		for c := range w.open {
			_ = c.Close()
		}
		w.mu.Unlock()
		w.wg.Wait()
	})
	return w
}

func (w *wire) address() string      { return w.listener.Addr().String() }
func (w *wire) cutEvery(bytes int64) { w.every.Store(bytes) }

func (w *wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		w.mu.Lock()
		w.open[client], w.open[server] = struct{}{}, struct{}{}
		w.mu.Unlock()
		w.wg.Go(func() { w.carry(client, server) })
		w.wg.Go(func() { w.carry(server, client) })
	}
}

// carry copies until it is time to cut; what was sent before the cut arrives.
func (w *wire) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 512)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		cut := false
		if every := w.every.Load(); every > 0 {
			w.mu.Lock()
			cut = w.random.Int64N(every) < int64(n)
			if cut {
				n = w.random.IntN(n + 1) // at n: the whole message goes through and its answer is lost
			}
			w.mu.Unlock()
		}
		if _, err := to.Write(buffer[:n]); err != nil && !errors.Is(err, io.EOF) || cut {
			if cut {
				w.cuts.Add(1)
			}
			return
		}
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
		o.mu.Lock()
		name, what := o.name, o.what
		o.mu.Unlock()
		if what != nil && cmd.Name() == name {
			what()
		}
		return next(ctx, cmd)
	}
}

func (o *onCommand) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
