package ingest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/eventstore/eventstoretest"
	"github.com/tradetrail/tradetrail/ingest"
)

// However a sequence is cut, and whether a piece is waited for before the next one
// or not, the log is the same as with one call.
func TestSequence_AnyCuttingGivesTheSame(t *testing.T) {
	t.Parallel()
	var items []ingest.Item
	for i := range 200 {
		id := fmt.Sprint(i)
		switch {
		case i%7 == 3:
			id = "" // derived
		case i%11 == 5:
			id = fmt.Sprint(i - 5) // again
		}
		items = append(items, item(id, fmt.Sprint(i%5), fmt.Sprint(i%2)))
		if i%23 == 0 {
			items = append(items, ingest.Understand(i, []byte(`{"event_type":`)))
		}
	}
	want := record(t, newRecorder(t, eventstoretest.OpenStore(t, eventstoretest.OpenNode(t, t.TempDir()), "")), items...)
	rapid.Check(t, func(rt *rapid.T) {
		r, end := shortLived(t, t.TempDir())
		defer end()
		begin, err := r.Sequence(t.Context(), "test")
		require.NoError(rt, err)
		var got []ingest.Receipt
		var waits []ingest.Wait
		for rest := items; len(rest) > 0; {
			n := min(len(rest), rapid.IntRange(1, 80).Draw(rt, "piece"))
			waits = append(waits, begin(t.Context(), rest[:n]))
			rest = rest[n:]
			if rapid.Bool().Draw(rt, "wait") {
				for _, wait := range waits {
					receipts, err := wait()
					require.NoError(rt, err)
					got = append(got, receipts...)
				}
				waits = nil
			}
		}
		for _, wait := range waits {
			receipts, err := wait()
			require.NoError(rt, err)
			got = append(got, receipts...)
		}
		require.Len(rt, got, len(want))
		for i := range want {
			require.Equal(rt, want[i].Status, got[i].Status, "item %d", i)
			require.Equal(rt, want[i].EventID, got[i].EventID)
			require.Equal(rt, want[i].Revision, got[i].Revision)
		}
	})
}

// shortLived is a recorder on a node of its own that ends before the test does.
func shortLived(t *testing.T, dir string) (r *ingest.Recorder, end func()) {
	t.Helper()
	node, err := embedded.Open(dir, embedded.Options{})
	require.NoError(t, err)
	store := eventstore.Over(node.Conn(), quiet)
	r, err = ingest.NewRecorder(store, quiet, clock, prometheus.NewRegistry())
	require.NoError(t, err)
	return r, func() {
		r.Close(context.WithoutCancel(t.Context()))
		assert.NoError(t, store.Close())
		assert.NoError(t, node.Close())
	}
}

// Behind a piece that failed nothing of the sequence is sent, so that what is sent
// again is not overtaken.
func TestSequence_StopsBehindAFailure(t *testing.T) {
	t.Parallel()
	r, store, proxy := behindProxy(t, ingest.WithPatience(200*time.Millisecond))
	record(t, r, item("0", "1", ""))
	begin, err := r.Sequence(t.Context(), "test")
	require.NoError(t, err)
	proxy.Down()
	wait := begin(t.Context(), []ingest.Item{item("1", "1", "")})
	_, err = wait()
	require.Error(t, err)
	proxy.Up()
	receipts, err := begin(t.Context(), []ingest.Item{item("2", "1", ""), item("3", "other", "")})()
	require.Error(t, err)
	assert.Equal(t, []ingest.Status{"", ""}, statuses(receipts))
	require.Eventually(t, func() bool {
		receipts, err = r.Record(t.Context(), "test", []ingest.Item{item("1", "1", ""), item("2", "1", "")})
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	assert.Equal(t, []string{"0", "1", "2"}, ids(logged(t, store)))
}

// While appends wait for a store that does not answer, and for five seconds none has
// come to its end, the recorder says so; and when they have given up, no more.
func TestAvailable(t *testing.T) {
	t.Parallel()
	r, _, proxy := behindProxy(t, ingest.WithPatience(300*time.Millisecond))
	record(t, r, item("0", "1", ""))
	require.NoError(t, r.Available())
	proxy.Down()
	failed := make(chan error, 1)
	go func() {
		_, err := r.Record(t.Context(), "test", []ingest.Item{item("1", "1", "")})
		failed <- err
	}()
	require.Eventually(t, func() bool {
		ticks.Add(10_000_000) // ten seconds of the tests' clock
		return r.Available() != nil
	}, time.Minute, time.Millisecond)
	require.Error(t, <-failed)
	require.NoError(t, r.Available(), "only trying tells")
}
