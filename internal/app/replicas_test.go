package app_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/internal/config"
)

// Two processes share a Redis and an event store: whoever writes the views, both
// see at once what the other has recorded, both can ask for a rebuild, and one
// goes on when the other is gone.
func TestReplicas(t *testing.T) {
	node, err := embedded.Open(t.TempDir(), embedded.Options{Logger: slog.New(slog.DiscardHandler), Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, node.Close()) })
	redis := miniredis.RunT(t)
	replica := func() *running {
		return start(t, func(c *config.Config) {
			c.EventStore, c.Redis = "esdb://"+node.Address()+"?tls=false", "redis://"+redis.Addr()
		})
	}
	first, second := replica(), replica()
	record := func(r *running, order string) any {
		data, code, _ := r.graphql(`mutation($id: ID!) { record(events: [{eventType: "order.submitted", occurredAt: "2026-03-02T14:30:00Z", orderId: $id}]) { status position } }`,
			map[string]any{"id": order})
		require.Empty(t, code)
		require.Equal(t, "RECORDED", at(data, "record", 0, "status"))
		return at(data, "record", 0, "position")
	}
	sees := func(r *running, order string, position any) {
		data, code, _ := r.graphql(`query($id: ID!, $p: String) { order(id: $id, notOlderThan: $p) { orderId } }`, map[string]any{"id": order, "p": position})
		require.Empty(t, code)
		require.Equal(t, order, at(data, "order", "orderId"))
	}
	for _, order := range []string{"a", "b", "c"} {
		sees(first, order+"1", record(second, order+"1"))
		sees(second, order+"2", record(first, order+"2"))
	}
	for _, r := range []*running{first, second} {
		data, code, _ := r.graphql(`mutation { rebuild(projection: "orders") { parity } }`, nil)
		require.Empty(t, code)
		require.Equal(t, true, at(data, "rebuild", "parity"))
		sees(first, "a1", nil)
		sees(second, "a1", nil)
	}
	require.NoError(t, first.stop())
	position := record(second, "alone")
	require.Eventually(t, func() bool {
		_, code, _ := second.graphql(`query($p: String) { latencies(notOlderThan: $p) { stage } }`, map[string]any{"p": position})
		return code == ""
	}, time.Minute, 10*time.Millisecond)
	sees(second, "alone", position)
}
