package embedded_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

func TestConn_EndsWithTheNode(t *testing.T) {
	t.Parallel()
	node, err := embedded.Open("data", embedded.Options{FS: vfs.NewMem()})
	require.NoError(t, err)
	client := streams.NewStreamsClient(node.Conn())
	subscribed, err := client.Read(t.Context(), &streams.ReadReq{Options: subscription(readAllOptions())})
	require.NoError(t, err)
	confirmation, err := subscribed.Recv()
	require.NoError(t, err)
	require.NotNil(t, confirmation.GetConfirmation())
	appending, err := client.BatchAppend(t.Context())
	require.NoError(t, err)

	require.NoError(t, node.Close())
	for err == nil {
		_, err = subscribed.Recv()
	}
	assert.Equal(t, codes.Unavailable, grpcCode(err))
	_, err = appending.Recv()
	assert.Equal(t, codes.Unavailable, grpcCode(err))
	_, err = client.Read(t.Context(), &streams.ReadReq{Options: readAllOptions()})
	assert.Equal(t, codes.Unavailable, grpcCode(err))
	_, err = gossip.NewGossipClient(node.Conn()).Read(t.Context(), &shared.Empty{})
	assert.Equal(t, codes.Unavailable, grpcCode(err))
}

func TestConn_HonoursContexts(t *testing.T) {
	t.Parallel()
	node := open(t, "data", embedded.Options{FS: vfs.NewMem()})
	client := streams.NewStreamsClient(node.Conn())
	ctx, cancel := context.WithCancel(t.Context())
	subscribed, err := client.Read(ctx, &streams.ReadReq{Options: subscription(readAllOptions())})
	require.NoError(t, err)
	appending, err := client.BatchAppend(ctx)
	require.NoError(t, err)
	cancel()
	for err == nil {
		_, err = subscribed.Recv()
	}
	assert.Equal(t, codes.Canceled, grpcCode(err))
	_, err = appending.Recv()
	assert.Equal(t, codes.Canceled, grpcCode(err))

	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err = gossip.NewGossipClient(node.Conn()).Read(late, &shared.Empty{})
	assert.Equal(t, codes.DeadlineExceeded, grpcCode(err))
}

func TestConn_TellsTrailersAndWhatIsNotThere(t *testing.T) {
	t.Parallel()
	node := open(t, "data", embedded.Options{FS: vfs.NewMem()})
	var trailer metadata.MD
	_, err := streams.NewStreamsClient(node.Conn()).Delete(t.Context(), &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier:       name("order-1"),
		ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: 3},
	}}, grpc.Trailer(&trailer))
	assert.Equal(t, codes.FailedPrecondition, grpcCode(err))
	assert.Equal(t, []string{"wrong-expected-version"}, trailer.Get("exception"))
	assert.Contains(t, status.Convert(err).Message(), `appending to "order-1"`)
	assert.NotContains(t, status.Convert(err).Message(), "rpc error")

	for _, method := range []string{"/none/Read", "/event_store.client.streams.Streams/None", "nonsense"} {
		err := node.Conn().Invoke(t.Context(), method, &shared.Empty{}, &shared.Empty{})
		assert.Equal(t, codes.Unimplemented, grpcCode(err), method)
	}
	require.Error(t, node.Conn().Invoke(t.Context(), "/event_store.client.gossip.Gossip/Read", "no message", &shared.Empty{}))
}

// TestConn_LeavesNothingBehind: what can't be sent ends its call, or closing the
// node would wait for it.
func TestConn_LeavesNothingBehind(t *testing.T) {
	t.Parallel()
	node, err := embedded.Open("data", embedded.Options{FS: vfs.NewMem(), CloseTimeout: time.Hour})
	require.NoError(t, err)
	_, err = streams.NewStreamsClient(node.Conn()).Delete(t.Context(), nil)
	require.Error(t, err)
	require.Error(t, node.Conn().Invoke(t.Context(), "/event_store.client.gossip.Gossip/Read", "no message", &shared.Empty{}))
	require.NoError(t, node.Close())
}

// TestConn_WritesTrailersOnTheCallersGoroutine is for the race detector: who has
// given up may use the memory for something else.
func TestConn_WritesTrailersOnTheCallersGoroutine(t *testing.T) {
	t.Parallel()
	node := open(t, "data", embedded.Options{FS: vfs.NewMem()})
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			callers.Go(cancel)
			var trailer metadata.MD
			_, err := streams.NewStreamsClient(node.Conn()).Delete(ctx, &streams.DeleteReq{Options: &streams.DeleteReq_Options{
				StreamIdentifier:       name("order-1"),
				ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: 3},
			}}, grpc.Trailer(&trailer))
			assert.Error(t, err)
			trailer = nil
		})
	}
	callers.Wait()
}
