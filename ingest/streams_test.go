package ingest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest"
)

// An append that reads a long stream says that the store answers.
func TestAvailable_WhileALongStreamIsRead(t *testing.T) {
	t.Parallel()
	first, store := newBench(t)
	var items []ingest.Item
	for i := range 3500 {
		items = append(items, item(fmt.Sprint(i), "long", ""))
	}
	record(t, first, items...)
	at := clock()
	r, err := ingest.NewRecorder(store, quiet, func() time.Time { return at }, prometheus.NewRegistry())
	require.NoError(t, err)
	defer r.Close(context.WithoutCancel(t.Context()))
	r.ReadingOn(func(progress func()) {
		calls := 0
		require.NoError(t, ingest.Load(t.Context(), store, "order-long", func() {
			at = at.Add(6 * time.Second)
			require.Error(t, r.Available())
			progress()
			require.NoError(t, r.Available())
			calls++
		}))
		assert.Equal(t, 3, calls)
	})
}

// The stream used last is remembered whatever it takes; a long one, read in part,
// until it is read to its end.
func TestRecorder_RemembersWhatItHasRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		entries     uint64
		toTheEnd    bool
		idle, later bool
	}{
		{1000, true, true, false},
		{1000, false, true, false},
		{70_000, true, true, false},
		{70_000, false, true, true},
	} {
		idle, later := ingest.StreamKept(c.entries, c.toTheEnd)
		assert.Equal(t, c.idle, idle, "%+v", c)
		assert.Equal(t, c.later, later, "%+v", c)
	}
}
