package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/codes"
)

// persistentServer answers for a node on which nobody has made a persistent
// subscription, and nobody can. Without the service, clients ask the HTTP
// interface of the same port, which isn't there either, and report what they
// fail to parse.
type persistentServer struct {
	persistent.UnimplementedPersistentSubscriptionsServer
	node *Node
}

// Create implements PersistentSubscriptions.Create, which is the one call that
// would need them.
func (*persistentServer) Create(context.Context, *persistent.CreateReq) (*persistent.CreateResp, error) {
	return nil, &failure{code: codes.Unimplemented, message: "an embedded node has no persistent subscriptions"}
}

// Update implements PersistentSubscriptions.Update: there is none to update.
func (*persistentServer) Update(ctx context.Context, req *persistent.UpdateReq) (*persistent.UpdateResp, error) {
	o := req.GetOptions()
	stream := o.GetStream().GetStreamIdentifier()
	if o.GetStreamOption() == nil {
		// Where clients from before subscriptions to $all put it.
		stream = o.GetStreamIdentifier() //nolint:staticcheck // they still do
	}
	return nil, failCall(ctx, noGroup(o.GetAll() != nil, stream, o.GetGroupName()))
}

// Delete implements PersistentSubscriptions.Delete: there is none to delete.
func (*persistentServer) Delete(ctx context.Context, req *persistent.DeleteReq) (*persistent.DeleteResp, error) {
	o := req.GetOptions()
	return nil, failCall(ctx, noGroup(o.GetAll() != nil, o.GetStreamIdentifier(), o.GetGroupName()))
}

// GetInfo implements PersistentSubscriptions.GetInfo: there is none to tell about.
func (*persistentServer) GetInfo(ctx context.Context, req *persistent.GetInfoReq) (*persistent.GetInfoResp, error) {
	o := req.GetOptions()
	return nil, failCall(ctx, noGroup(o.GetAll() != nil, o.GetStreamIdentifier(), o.GetGroupName()))
}

// ReplayParked implements PersistentSubscriptions.ReplayParked: none has parked anything.
func (*persistentServer) ReplayParked(ctx context.Context, req *persistent.ReplayParkedReq) (*persistent.ReplayParkedResp, error) {
	o := req.GetOptions()
	return nil, failCall(ctx, noGroup(o.GetAll() != nil, o.GetStreamIdentifier(), o.GetGroupName()))
}

// List implements PersistentSubscriptions.List. As in EventStoreDB, a node
// without subscriptions has an empty list, and a stream without them has none.
func (*persistentServer) List(ctx context.Context, req *persistent.ListReq) (*persistent.ListResp, error) {
	switch o := req.GetOptions().GetListOption().(type) {
	case *persistent.ListReq_Options_ListAllSubscriptions:
		return &persistent.ListResp{}, nil
	case *persistent.ListReq_Options_ListForStream:
		return nil, failCall(ctx, noGroup(o.ListForStream.GetAll() != nil, o.ListForStream.GetStream(), ""))
	default:
		return nil, failCall(ctx, badRequest("list has neither a stream nor all subscriptions"))
	}
}

// RestartSubsystem implements PersistentSubscriptions.RestartSubsystem: what
// isn't there is as good as restarted.
func (*persistentServer) RestartSubsystem(context.Context, *shared.Empty) (*shared.Empty, error) {
	return &shared.Empty{}, nil
}

// Read implements PersistentSubscriptions.Read: there is none to connect to.
func (s *persistentServer) Read(stream persistent.PersistentSubscriptions_ReadServer) error {
	received := make(chan error, 1)
	s.node.readers.Go(func() { received <- refuseReader(stream) })
	select {
	case err := <-received:
		return fail(stream, err)
	case <-s.node.stopping:
		return fail(stream, fmt.Errorf("connecting to a persistent subscription: %w", ErrClosed))
	}
}

// refuseReader waits for the name of the group, which the refusal is to repeat.
func refuseReader(stream persistent.PersistentSubscriptions_ReadServer) error {
	req, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	o := req.GetOptions()
	if o == nil {
		return badRequest("read does not begin with its options")
	}
	return noGroup(o.GetAll() != nil, o.GetStreamIdentifier(), o.GetGroupName())
}

// noGroup is the answer to whatever is asked about one persistent subscription.
func noGroup(all bool, identifier *shared.StreamIdentifier, group string) error {
	stream := "$all"
	if !all {
		var err error
		if stream, err = streamName(identifier); err != nil {
			return err
		}
	}
	return persistentSubscriptionNotFound(stream, group)
}
