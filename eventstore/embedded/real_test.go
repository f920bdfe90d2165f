package embedded_test

import (
	"os"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tradetrail/tradetrail/eventstore/eventstoretest"
)

const envRealServer = "TRADETRAIL_TEST_ESDB"

// TestRealServer_Conforms runs the suite on a real EventStoreDB or KurrentDB:
// what the embedded node promises must be what the server does. Batches go
// only to an insecure single node, since the test dials that itself.
func TestRealServer_Conforms(t *testing.T) {
	url := os.Getenv(envRealServer)
	if url == "" {
		t.Skip("no real server was tested: set " + envRealServer + " to a connection string such as esdb://127.0.0.1:2113?tls=false")
	}
	cfg, err := esdb.ParseConnectionString(url)
	require.NoError(t, err)
	traits := eventstoretest.Traits{}
	if cfg.DisableTLS && len(cfg.GossipSeeds) == 0 && !cfg.DnsDiscover {
		traits.Dial = func(t *testing.T) *grpc.ClientConn {
			t.Helper()
			conn, err := grpc.NewClient(cfg.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, conn.Close()) })
			return conn
		}
	}
	eventstoretest.Run(t, func(t *testing.T) *esdb.Client {
		t.Helper()
		cfg, err := esdb.ParseConnectionString(url)
		require.NoError(t, err)
		cfg.Logger = esdb.NoopLogging()
		client, err := esdb.NewClient(cfg)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, client.Close()) })
		return client
	}, traits)
}
