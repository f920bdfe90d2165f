package embedded_test

import (
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/eventstore/eventstoretest"
	"github.com/tradetrail/tradetrail/internal/faulttest"
)

func TestNode_Conforms(t *testing.T) {
	t.Parallel()
	f := newFixture(t, embedded.Options{})
	eventstoretest.Run(t, f.connect, eventstoretest.Traits{Dial: f.dial, Restart: f.restart, Differs: differences()})
}

// TestNode_ConformsWithoutASocket puts the suite through the connection that the
// process itself uses; the proxy is the client's way to it.
func TestNode_ConformsWithoutASocket(t *testing.T) {
	t.Parallel()
	f := newFixture(t, embedded.Options{})
	proxied := func(t *testing.T) *grpc.ClientConn {
		t.Helper()
		return dialAddress(t, faulttest.Over(t, f.current().Conn()).Address())
	}
	connect := func(t *testing.T) *esdb.Client {
		t.Helper()
		node := f.current()
		return connectTo(t, node, faulttest.Over(t, node.Conn()).Address())
	}
	eventstoretest.Run(t, connect, eventstoretest.Traits{Dial: proxied, Restart: f.restart, Differs: differences()})
}

// differences are those that doc.go tells of.
func differences() []eventstoretest.Difference {
	return []eventstoretest.Difference{
		eventstoretest.RemembersIDs, eventstoretest.NoLookaround, eventstoretest.NoPersistentSubscriptions,
	}
}

// fixture is a node which a test may stop and start.
type fixture struct {
	dir  string
	opts embedded.Options
	mu   sync.Mutex
	node *embedded.Node
}

func newFixture(t testing.TB, opts embedded.Options) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir(), opts: opts}
	f.node = f.open(t)
	t.Cleanup(func() { assert.NoError(t, f.current().Close()) })
	return f
}

func (f *fixture) open(t testing.TB) *embedded.Node {
	t.Helper()
	node, err := embedded.Open(f.dir, f.opts)
	require.NoError(t, err)
	return node
}

func (f *fixture) current() *embedded.Node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.node
}

// restart holds the lock while there is no node: a client made of the old
// address would look for it for ever.
func (f *fixture) restart(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	require.NoError(t, f.node.Close())
	f.node = f.open(t)
}

func (f *fixture) connect(t *testing.T) *esdb.Client {
	t.Helper()
	return connect(t, f.current())
}

func connect(t testing.TB, node *embedded.Node) *esdb.Client {
	t.Helper()
	return connectTo(t, node, node.Address())
}

// connectTo reaches the node by another address.
func connectTo(t testing.TB, node *embedded.Node, address string) *esdb.Client {
	t.Helper()
	cfg, err := node.Configuration()
	require.NoError(t, err)
	cfg.Address = address
	client, err := esdb.NewClient(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func (f *fixture) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	return dial(t, f.current())
}

func dial(t testing.TB, node *embedded.Node) *grpc.ClientConn {
	t.Helper()
	return dialAddress(t, node.Address())
}

func dialAddress(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	return conn
}
