package tlog_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// world is an event store and a log of it.
type world struct {
	t     testing.TB
	store *eventstore.Store
	place tlog.Place
	key   tlog.Key
	board *tlog.Board
	now   func() time.Time
	next  int // the number of the next event

	interval  time.Duration
	witnesses *tlog.Witnesses
	stamps    *tlog.Timestamps
	registry  *prometheus.Registry // nil: one that nobody looks at
}

func newStore(t testing.TB) *eventstore.Store {
	t.Helper()
	node, err := embedded.Open(filepath.Join(t.TempDir(), "eventstore"), embedded.Options{CacheBytes: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, node.Close()) })
	store := eventstore.Over(node.Conn(), slog.New(slog.DiscardHandler))
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	return store
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	key, err := tlog.NewKey("log.example/" + uuid.NewString())
	require.NoError(t, err)
	w := &world{
		t: t, store: newStore(t), key: key, board: new(tlog.Board), now: time.Now, interval: 20 * time.Millisecond,
		place: tlog.Place{Dir: filepath.Join(dir, "tlog"), SaltKey: filepath.Join(dir, "keys", "salt.key")},
	}
	require.NoError(t, tlog.Create(t.Context(), w.place, key, w.now))
	return w
}

// record appends so many events, in streams of up to a hundred.
func (w *world) record(n int) {
	w.t.Helper()
	for n > 0 {
		size := min(n, 100)
		events := make([]*domain.Event, size)
		for i := range events {
			events[i] = &domain.Event{ID: "e" + strconv.Itoa(w.next), Type: domain.OrderSubmitted, OccurredAt: time.Unix(1_700_000_000, 0).UTC(), SchemaVersion: 1, Data: jsontext.Value(`{"quantity":"100"}`)}
			w.next++
		}
		_, err := w.store.Append(w.t.Context(), fmt.Sprintf("order-%d", w.next), eventstore.NoStream, events)
		require.NoError(w.t, err)
		n -= size
	}
}

// life is a log that runs.
type life struct {
	*tlog.Log

	stop func() error
}

func (w *world) open() (*tlog.Log, error) { return w.openOver(w.store) }

func (w *world) openOver(events tlog.Events) (*tlog.Log, error) {
	registry := w.registry
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	return tlog.Open(w.place, events, w.board, tlog.Options{
		Key: w.key, Now: w.now, Logger: slog.New(slog.DiscardHandler), Registry: registry, Interval: w.interval, Witnesses: w.witnesses, Timestamps: w.stamps,
	})
}

func (w *world) run() life {
	w.t.Helper()
	return w.runOver(w.store)
}

func (w *world) runOver(events tlog.Events) life {
	w.t.Helper()
	log, err := w.openOver(events)
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	stopped := false
	l := life{log, func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		<-done
		return log.Close()
	}}
	w.t.Cleanup(func() { assert.NoError(w.t, l.stop()) })
	return l
}

// sealed waits until so many leaves are.
func (w *world) sealed(n int) tlog.State {
	w.t.Helper()
	for {
		state, changed := w.board.State()
		if state.Sealed.Size >= uint64(n) {
			require.Equal(w.t, uint64(n), state.Sealed.Size)
			return state
		}
		select {
		case <-changed:
		case <-time.After(30 * time.Second):
			require.Fail(w.t, "not sealed", "%d of %d", state.Sealed.Size, n)
		}
	}
}

// check reads the whole log with Tessera's own checker and compares every leaf with
// the event of its number.
func (w *world) check(n int) {
	w.t.Helper()
	files := client.FileFetcher{Root: w.place.Dir}
	verifier, err := note.NewVerifier(w.key.Verifier())
	require.NoError(w.t, err)
	require.NoError(w.t, fsck.New(w.key.Origin(), verifier, files, hashes, fsck.Opts{N: 1}).Check(w.t.Context()))

	salt, err := tlog.ReadSaltKey(w.place.SaltKey)
	require.NoError(w.t, err)
	digester := verify.NewDigester(salt)
	var leaves [][]byte
	for len(leaves) < n {
		bundle, err := client.GetEntryBundle(w.t.Context(), files.ReadEntryBundle, uint64(len(leaves))/256, uint64(n))
		require.NoError(w.t, err)
		leaves = append(leaves, bundle.Entries...)
	}
	i := 0
	for r, err := range w.store.Forwards(w.t.Context(), domain.Position{}, 1<<40) {
		require.NoError(w.t, err)
		if r.System() {
			continue
		}
		if i < n {
			require.Equal(w.t, string(tlog.LeafOf(digester, r)), string(leaves[i]), "leaf %d", i)
		}
		i++
	}
	require.GreaterOrEqual(w.t, i, n)
}

func hashes(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	out := make([][]byte, len(b.Entries))
	for i, e := range b.Entries {
		out[i] = rfc6962.DefaultHasher.HashLeaf(e)
	}
	return out, nil
}
