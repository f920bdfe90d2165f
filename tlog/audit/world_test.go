package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/audit"
)

// world is an event store and a log of it, on disk, with nothing running.
type world struct {
	dir   string
	key   tlog.Key
	next  int    // the number of the next event
	tries string // of ids: two histories that differ

	stamps *tlog.Timestamps // nil: none are asked for
	clock  func() time.Time // of the store; nil: time.Now
}

func (w *world) place() tlog.Place {
	return tlog.Place{Dir: filepath.Join(w.dir, "tlog"), SaltKey: filepath.Join(w.dir, "keys", "salt.key")}
}

func (w *world) storeDir() string { return filepath.Join(w.dir, "eventstore") }

func (w *world) stateFile() string { return filepath.Join(w.place().Dir, "audit.json") }

func newWorld(tb testing.TB) *world {
	tb.Helper()
	key, err := tlog.NewKey("log.example/audit")
	require.NoError(tb, err)
	w := &world{dir: tb.TempDir(), key: key}
	require.NoError(tb, tlog.Create(tb.Context(), w.place(), key, time.Now))
	return w
}

// open opens the event store until the end of use.
func (w *world) open(tb testing.TB, use func(*eventstore.Store)) {
	tb.Helper()
	node, err := embedded.Open(w.storeDir(), embedded.Options{CacheBytes: 4 << 20, Now: w.clock})
	require.NoError(tb, err)
	store := eventstore.Over(node.Conn(), slog.New(slog.DiscardHandler))
	defer func() {
		assert.NoError(tb, store.Close())
		assert.NoError(tb, node.Close())
	}()
	use(store)
}

// record appends so many events, in streams of up to forty.
func (w *world) record(tb testing.TB, store *eventstore.Store, n int) {
	tb.Helper()
	for n > 0 {
		size := min(n, 40)
		events := make([]*domain.Event, size)
		for i := range events {
			events[i] = &domain.Event{
				ID: fmt.Sprintf("%se%d", w.tries, w.next), Type: domain.OrderSubmitted, OccurredAt: time.Unix(1_700_000_000, 0).UTC(), SchemaVersion: 1,
				Data: jsontext.Value(fmt.Sprintf(`{"quantity":"%d","account":"ACC-%d"}`, 100+w.next, w.next%7)),
			}
			w.next++
		}
		_, err := store.Append(tb.Context(), fmt.Sprintf("order-%s%d", w.tries, w.next), eventstore.NoStream, events)
		require.NoError(tb, err)
		n -= size
	}
}

// grow records events and seals them, once for each number.
func (w *world) grow(tb testing.TB, steps ...int) {
	tb.Helper()
	w.open(tb, func(store *eventstore.Store) {
		board := new(tlog.Board)
		log, err := tlog.Open(w.place(), store, board, tlog.Options{
			Key: w.key, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Interval: time.Millisecond, Timestamps: w.stamps,
		})
		require.NoError(tb, err)
		ctx, cancel := context.WithCancel(tb.Context())
		done := make(chan error, 1)
		go func() { done <- log.Run(ctx) }()
		for _, n := range steps {
			w.record(tb, store, n)
			w.sealed(tb, board)
		}
		cancel()
		<-done
		require.NoError(tb, log.Close())
	})
}

func (w *world) sealed(tb testing.TB, board *tlog.Board) {
	tb.Helper()
	for {
		state, changed := board.State()
		if state.Sealed.Size == uint64(w.next) {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			require.Fail(tb, "not sealed", "%d of %d", state.Sealed.Size, w.next)
		}
	}
}

// copied is the world as it is now, in another place.
func (w *world) copied(tb testing.TB) *world {
	tb.Helper()
	other := *w
	other.dir = filepath.Join(tb.TempDir(), "copy")
	require.NoError(tb, os.CopyFS(other.dir, os.DirFS(w.dir)))
	return &other
}

func (w *world) subject(tb testing.TB, store audit.Events) audit.Subject {
	tb.Helper()
	salt, err := tlog.ReadSaltKey(w.place().SaltKey)
	require.NoError(tb, err)
	return audit.Subject{Events: store, Dir: w.place().Dir, SaltKey: salt, Now: time.Now, FirstKey: w.key.Verifier()}
}

func (w *world) verify(tb testing.TB, scope audit.Scope) (report audit.Report) {
	tb.Helper()
	w.open(tb, func(store *eventstore.Store) {
		var err error
		report, err = audit.Verify(tb.Context(), w.subject(tb, store), scope)
		require.NoError(tb, err)
	})
	return report
}

func (w *world) checkpoint(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(w.place().Dir, "checkpoint"))
	require.NoError(tb, err)
	return string(text)
}
