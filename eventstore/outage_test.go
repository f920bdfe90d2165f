package eventstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/internal/faulttest"
)

const (
	outageAppenders = 64
	outages         = 5
	// patience is for conditions that come true as soon as the machine gets to them.
	patience = 2 * time.Minute
	pollTime = 10 * time.Millisecond
	// Lent clients come back to a pool, which keeps more or fewer of them: this
	// much is no leak. One that each appender loses would be hundreds.
	spareGoroutines = 30
	// The log and what the node remembers of it grow with the load; a connection
	// lost by each appender in each outage would be more than this.
	spareHeap = 8 << 20
)

// outageLog counts what a store tells its log: there is no better way to see
// from outside that it noticed an outage.
type outageLog struct{ dropped, client atomic.Int64 }

func (l *outageLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *outageLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *outageLog) WithGroup(string) slog.Handler            { return l }

func (l *outageLog) Handle(_ context.Context, r slog.Record) error {
	switch r.Message {
	case "subscription dropped":
		l.dropped.Add(1)
	case "event store client":
		l.client.Add(1)
	}
	return nil
}

// outageAppender appends to a stream of its own, one event after the other.
type outageAppender struct {
	stream        string
	begun, answer atomic.Int64 // calls
}

// appendUntil appends until stop is closed; a call under way is finished.
func (a *outageAppender) appendUntil(ctx context.Context, t *testing.T, store *eventstore.Store, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		i := a.begun.Add(1) - 1
		done, err := store.Append(ctx, a.stream, eventstore.Revision(i-1), events(a.id(i)))
		if err != nil {
			assert.Fail(t, "an append failed", "%s: %v", a.stream, err)
			return
		}
		assert.Equal(t, eventstore.Revision(i), done.Revision, a.stream)
		a.answer.Add(1)
	}
}

func (a *outageAppender) id(i int64) string { return fmt.Sprintf("%s/%d", a.stream, i) }

// outageFollower keeps the positions it was given.
type outageFollower struct {
	name  string
	after domain.Position
	mu    sync.Mutex
	seen  []domain.Position
}

func (f *outageFollower) run(ctx context.Context, t *testing.T, follower *eventstore.Follower) {
	for {
		slice, err := follower.Next(ctx, 100)
		f.mu.Lock()
		for _, r := range slice.Records {
			f.seen = append(f.seen, r.Position)
		}
		f.mu.Unlock()
		if err != nil {
			assert.ErrorIs(t, err, context.Canceled, f.name)
			return
		}
	}
}

func (f *outageFollower) at() domain.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.seen) == 0 {
		return f.after
	}
	return f.seen[len(f.seen)-1]
}

// outage is the scene: a node behind a proxy, and what runs against it.
type outage struct {
	t         *testing.T
	dir       string
	node      *embedded.Node
	proxy     *faulttest.Proxy
	log       outageLog
	store     *eventstore.Store
	appenders []*outageAppender
	followers []*outageFollower
}

// openNode opens a node whose cache doesn't grow with the log.
func (o *outage) openNode() {
	o.t.Helper()
	node, err := embedded.Open(o.dir, embedded.Options{CacheBytes: 1 << 20})
	require.NoError(o.t, err)
	o.node = node
}

// load lets all appenders append, and has something happen in the middle: each
// appender gets an answer before and after.
func (o *outage) load(meanwhile func()) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 10*time.Minute)
	defer cancel()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, a := range o.appenders {
		wg.Go(func() { a.appendUntil(ctx, o.t, o.store, stop) })
	}
	o.eachGetsAnAnswer()
	meanwhile()
	o.eachGetsAnAnswer()
	close(stop)
	wg.Wait()
}

func (o *outage) eachGetsAnAnswer() {
	o.t.Helper()
	before := make([]int64, len(o.appenders))
	for i, a := range o.appenders {
		before[i] = a.answer.Load()
	}
	o.eventually(func() bool {
		for i, a := range o.appenders {
			if a.answer.Load() == before[i] {
				return false
			}
		}
		return true
	}, "each appender gets an answer")
}

func (o *outage) eventually(condition func() bool, what string) {
	o.t.Helper()
	require.Eventually(o.t, condition, patience, pollTime, what)
}

// serverAway takes the server away, until everybody has noticed, and back.
func (o *outage) serverAway(n int) {
	o.t.Helper()
	dropped, client := o.log.dropped.Load(), o.log.client.Load()
	o.proxy.Down()
	if n%2 == 1 { // it is gone altogether, and not just out of reach
		require.NoError(o.t, o.node.Close())
	}
	// While it is away no call is answered, so this stays true once it is.
	o.eventually(func() bool {
		for _, a := range o.appenders {
			if a.begun.Load() == a.answer.Load() {
				return false
			}
		}
		return true
	}, "each appender waits")
	o.eventually(func() bool { return o.log.dropped.Load() >= dropped+int64(len(o.followers)) }, "each follower has noticed")
	o.eventually(func() bool { return o.log.client.Load() >= client+int64(len(o.followers)) }, "the server is looked for in vain")
	if soak() && n == 0 {
		<-time.After(time.Minute)
	}
	for name, call := range map[string]func(ctx context.Context) error{
		"append": func(ctx context.Context) error {
			_, err := o.store.Append(ctx, fmt.Sprintf("order-hasty-%d", n), eventstore.NoStream, events(fmt.Sprintf("hasty/%d", n)))
			return err
		},
		"head": func(ctx context.Context) error { _, err := o.store.Head(ctx); return err },
	} {
		ctx, cancel := context.WithTimeout(o.t.Context(), 30*time.Millisecond)
		err := call(ctx) // the outage lasts until it returns
		cancel()
		require.ErrorIs(o.t, err, context.DeadlineExceeded, name)
		require.Equal(o.t, domain.ClassTransient, domain.ClassOf(err), name)
	}
	if n%2 == 1 {
		o.openNode()
		o.proxy.Backend(o.node.Address())
	}
	o.proxy.Up()
}

// caughtUp waits until all followers are at the end of the log.
func (o *outage) caughtUp() {
	o.t.Helper()
	head, err := o.store.Head(o.t.Context())
	require.NoError(o.t, err)
	for _, f := range o.followers {
		o.eventually(func() bool { return f.at() == head }, "the follower "+f.name+" is at the end")
	}
}

// requireExactlyOnce reads the log and compares it with what was answered and
// with what the followers were given.
func (o *outage) requireExactlyOnce() {
	o.t.Helper()
	streams := make(map[string]*outageAppender)
	next := make(map[string]int64)
	for _, a := range o.appenders {
		streams[a.stream] = a
	}
	var positions []domain.Position
	for r, err := range o.store.Forwards(o.t.Context(), domain.Position{}, 1<<40) {
		require.NoError(o.t, err)
		require.False(o.t, r.System())
		positions = append(positions, r.Position)
		require.EqualValues(o.t, next[r.Stream], r.Revision, r.Stream)
		if a := streams[r.Stream]; a != nil {
			e, err := r.Event()
			require.NoError(o.t, err)
			require.Equal(o.t, a.id(next[r.Stream]), e.ID)
		}
		next[r.Stream]++
	}
	for _, a := range o.appenders {
		require.Equal(o.t, a.answer.Load(), next[a.stream], "%s: every event that was answered for, and no other", a.stream)
	}
	for _, f := range o.followers {
		from := 0
		for from < len(positions) && positions[from].Compare(f.after) <= 0 {
			from++
		}
		f.mu.Lock()
		require.Equal(o.t, positions[from:], f.seen, "the follower %s", f.name)
		f.mu.Unlock()
	}
	o.t.Logf("%d events", len(positions))
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The server goes away under load, for a moment or for a minute, out of reach
// or restarted, and comes back: everything continues, nothing is lost, nothing
// is there twice, and nothing is left over.
//
//nolint:paralleltest // it counts the goroutines of the process
func TestStore_GoesOnAfterOutages(t *testing.T) {
	for _, way := range []struct {
		name  string
		fault faulttest.Fault
	}{{"batch", nil}, {"fallback", withoutBatch}} {
		before := runtime.NumGoroutine()
		t.Run(way.name, func(t *testing.T) { testOutages(t, way.fault) })
		// One is Eventually's own.
		require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, patience, pollTime,
			"everything ends with the store")
	}
}

func testOutages(t *testing.T, fault faulttest.Fault) {
	o := &outage{t: t, dir: t.TempDir()}
	o.openNode()
	t.Cleanup(func() { assert.NoError(t, o.node.Close()) })
	o.proxy = faulttest.New(t, o.node.Address())
	o.proxy.Inject(fault)
	cfg, err := o.node.Configuration()
	require.NoError(t, err)
	cfg.Address = o.proxy.Address()
	o.store, err = eventstore.Open(cfg, slog.New(&o.log))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, o.store.Close()) })
	for a := range outageAppenders {
		o.appenders = append(o.appenders, &outageAppender{stream: fmt.Sprintf("order-%d", a)})
	}

	var middle domain.Position
	o.load(func() {
		middle, err = o.store.Head(t.Context())
		require.NoError(t, err)
	})
	end, err := o.store.Head(t.Context())
	require.NoError(t, err)
	require.Positive(t, end.Compare(middle))
	o.followers = []*outageFollower{{name: "from the start"}, {name: "from the middle", after: middle}, {name: "from the end", after: end}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var following sync.WaitGroup
	for _, f := range o.followers {
		follower := o.store.Follow(ctx, f.after)
		following.Go(func() {
			defer follower.Close()
			f.run(ctx, t, follower)
		})
	}
	o.load(func() {})
	o.caughtUp()

	goroutines, memory := runtime.NumGoroutine(), heap()
	for n := range outages {
		o.load(func() { o.serverAway(n) })
		o.caughtUp()
		o.eventually(func() bool { return runtime.NumGoroutine() <= goroutines+spareGoroutines }, "no goroutine is left over")
		now := heap()
		t.Logf("after outage %d: %d goroutines of %d before all, heap %d KiB of %d KiB", n+1, runtime.NumGoroutine(), goroutines, now>>10, memory>>10)
		require.Less(t, now, memory+spareHeap)
	}
	o.requireExactlyOnce()
	cancel()
	following.Wait()
}

// soak says whether the long forms were asked for.
func soak() bool { return os.Getenv("TRADETRAIL_SOAK") != "" }
