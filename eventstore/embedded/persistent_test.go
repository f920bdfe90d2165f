package embedded_test

import (
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// The official client falls back to HTTP for what a server doesn't announce,
// and then the error is not one of its own.
func TestPersistent_OfficialClientGetsCleanAnswers(t *testing.T) {
	t.Parallel()
	client := connect(t, open(t, "data", embedded.Options{FS: vfs.NewMem()}))
	ctx := t.Context()
	settings := esdb.SubscriptionSettingsDefault()
	_, err := client.AppendToStream(ctx, "order-1", esdb.AppendToStreamOptions{}, event())
	require.NoError(t, err)

	for name, c := range map[string]struct {
		want esdb.ErrorCode
		call func() error
	}{
		"create": {esdb.ErrorCodeUnsupportedFeature, func() error {
			return client.CreatePersistentSubscription(ctx, "order-1", "group", esdb.PersistentStreamSubscriptionOptions{})
		}},
		"create to all": {esdb.ErrorCodeUnsupportedFeature, func() error {
			return client.CreatePersistentSubscriptionToAll(ctx, "group", esdb.PersistentAllSubscriptionOptions{})
		}},
		"update": {esdb.ErrorCodeResourceNotFound, func() error {
			return client.UpdatePersistentSubscription(ctx, "order-1", "group", esdb.PersistentStreamSubscriptionOptions{})
		}},
		"update to all": {esdb.ErrorCodeResourceNotFound, func() error {
			return client.UpdatePersistentSubscriptionToAll(ctx, "group", esdb.PersistentAllSubscriptionOptions{Settings: &settings})
		}},
		"delete": {esdb.ErrorCodeResourceNotFound, func() error {
			return client.DeletePersistentSubscription(ctx, "order-1", "group", esdb.DeletePersistentSubscriptionOptions{})
		}},
		"delete to all": {esdb.ErrorCodeResourceNotFound, func() error {
			return client.DeletePersistentSubscriptionToAll(ctx, "group", esdb.DeletePersistentSubscriptionOptions{})
		}},
		"connect": {esdb.ErrorCodeResourceNotFound, func() error {
			_, err := client.SubscribeToPersistentSubscription(ctx, "order-1", "group", esdb.SubscribeToPersistentSubscriptionOptions{})
			return err
		}},
		"connect to all": {esdb.ErrorCodeResourceNotFound, func() error {
			_, err := client.SubscribeToPersistentSubscriptionToAll(ctx, "group", esdb.SubscribeToPersistentSubscriptionOptions{})
			return err
		}},
		"info": {esdb.ErrorCodeResourceNotFound, func() error {
			_, err := client.GetPersistentSubscriptionInfo(ctx, "order-1", "group", esdb.GetPersistentSubscriptionOptions{})
			return err
		}},
		"info of all": {esdb.ErrorCodeResourceNotFound, func() error {
			_, err := client.GetPersistentSubscriptionInfoToAll(ctx, "group", esdb.GetPersistentSubscriptionOptions{})
			return err
		}},
		"replay": {esdb.ErrorCodeResourceNotFound, func() error {
			return client.ReplayParkedMessages(ctx, "order-1", "group", esdb.ReplayParkedMessagesOptions{})
		}},
		"replay to all": {esdb.ErrorCodeResourceNotFound, func() error {
			return client.ReplayParkedMessagesToAll(ctx, "group", esdb.ReplayParkedMessagesOptions{})
		}},
		"list of a stream": {esdb.ErrorCodeResourceNotFound, func() error {
			_, err := client.ListPersistentSubscriptionsForStream(ctx, "order-1", esdb.ListPersistentSubscriptionsOptions{})
			return err
		}},
		"list to all": {esdb.ErrorCodeResourceNotFound, func() error {
			_, err := client.ListPersistentSubscriptionsToAll(ctx, esdb.ListPersistentSubscriptionsOptions{})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.call()
			var coded *esdb.Error
			require.ErrorAs(t, err, &coded)
			assert.Equal(t, c.want, coded.Code(), "error: %v", err)
			if c.want == esdb.ErrorCodeUnsupportedFeature {
				require.ErrorContains(t, coded.Err(), "an embedded node has no persistent subscriptions")
			}
		})
	}

	all, err := client.ListAllPersistentSubscriptions(ctx, esdb.ListPersistentSubscriptionsOptions{})
	require.NoError(t, err)
	assert.Empty(t, all)
	require.NoError(t, client.RestartPersistentSubscriptionSubsystem(ctx, esdb.RestartPersistentSubscriptionSubsystemOptions{}))
	assert.Len(t, readStream(t, client, "order-1"), 1, "the client is as good as before")
}

func TestPersistent_NamesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	client := persistent.NewPersistentSubscriptionsClient(dial(t, open(t, "data", embedded.Options{FS: vfs.NewMem()})))
	getInfo := func(o *persistent.GetInfoReq_Options) func(...grpc.CallOption) error {
		return func(opts ...grpc.CallOption) error {
			_, err := client.GetInfo(t.Context(), &persistent.GetInfoReq{Options: o}, opts...)
			return err
		}
	}
	for name, c := range map[string]struct {
		stream, group string
		call          func(...grpc.CallOption) error
	}{
		"a stream": {"order-1", "group", getInfo(&persistent.GetInfoReq_Options{
			StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: name("order-1")}, GroupName: "group",
		})},
		"all": {"$all", "group", getInfo(&persistent.GetInfoReq_Options{
			StreamOption: &persistent.GetInfoReq_Options_All{All: &shared.Empty{}}, GroupName: "group",
		})},
		"what a header can't hold": {"order-%C3%A4", "gr%C3%BCn", getInfo(&persistent.GetInfoReq_Options{
			StreamOption: &persistent.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: name("order-ä")}, GroupName: "grün",
		})},
		"a list": {"order-1", "", func(opts ...grpc.CallOption) error {
			_, err := client.List(t.Context(), &persistent.ListReq{Options: &persistent.ListReq_Options{
				ListOption: &persistent.ListReq_Options_ListForStream{ListForStream: &persistent.ListReq_StreamOption{
					StreamOption: &persistent.ListReq_StreamOption_Stream{Stream: name("order-1")},
				}},
			}}, opts...)
			return err
		}},
		"an update by an old client": {"order-1", "group", func(opts ...grpc.CallOption) error {
			_, err := client.Update(t.Context(), &persistent.UpdateReq{Options: &persistent.UpdateReq_Options{
				StreamIdentifier: name("order-1"), GroupName: "group",
			}}, opts...)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var trailers metadata.MD
			err := c.call(grpc.Trailer(&trailers))
			require.Equal(t, codes.NotFound, status.Code(err), "error: %v", err)
			assert.Equal(t, []string{"persistent-subscription-does-not-exist"}, trailers.Get("exception"))
			assert.Equal(t, []string{c.stream}, trailers.Get("stream-name"))
			assert.Equal(t, []string{c.group}, trailers.Get("group-name"))
		})
	}
}

func TestPersistent_RefusesWhatEventStoreDBRefuses(t *testing.T) {
	t.Parallel()
	client := persistent.NewPersistentSubscriptionsClient(dial(t, open(t, "data", embedded.Options{FS: vfs.NewMem()})))
	read := func(req *persistent.ReadReq) error {
		call, err := client.Read(t.Context())
		require.NoError(t, err)
		if req != nil {
			require.NoError(t, call.Send(req))
		}
		require.NoError(t, call.CloseSend())
		_, err = call.Recv()
		return err
	}
	for name, call := range map[string]func() error{
		"info without options":           func() error { _, err := client.GetInfo(t.Context(), &persistent.GetInfoReq{}); return err },
		"a list of nothing":              func() error { _, err := client.List(t.Context(), &persistent.ListReq{}); return err },
		"a connection that says nothing": func() error { return read(nil) },
		"a connection that begins with an ack": func() error {
			return read(&persistent.ReadReq{Content: &persistent.ReadReq_Ack_{Ack: &persistent.ReadReq_Ack{}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := call()
			assert.Equal(t, codes.InvalidArgument, status.Code(err), "error: %v", err)
		})
	}
}

// A client that connects and then says nothing must not keep the node open.
func TestPersistent_CloseDoesNotWaitForSilentReaders(t *testing.T) {
	t.Parallel()
	node := open(t, "data", embedded.Options{FS: vfs.NewMem(), CloseTimeout: time.Hour})
	client := persistent.NewPersistentSubscriptionsClient(dial(t, node))
	call, err := client.Read(t.Context())
	require.NoError(t, err)
	// Calls of one connection arrive in order: once this one is answered, the node
	// has the other.
	_, err = client.RestartSubsystem(t.Context(), &shared.Empty{})
	require.NoError(t, err)
	require.NoError(t, node.Close())
	_, err = call.Recv()
	assert.Equal(t, codes.Unavailable, status.Code(err), "error: %v", err)
}
