package eventstoretest

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// OpenNode opens an embedded node over dir; it is closed with the test.
func OpenNode(t testing.TB, dir string) *embedded.Node {
	t.Helper()
	node, err := embedded.Open(dir, embedded.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, node.Close()) })
	return node
}

// OpenStore opens a store on the node, through the official client. The address is
// that of a proxy, or empty for the node's own. It is closed with the test.
func OpenStore(t testing.TB, node *embedded.Node, address string) *eventstore.Store {
	t.Helper()
	cfg, err := node.Configuration()
	require.NoError(t, err)
	if address != "" {
		cfg.Address = address
	}
	store, err := eventstore.Open(cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	return store
}
