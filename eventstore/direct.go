package eventstore

import (
	"context"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

// Of a subscription: how many events the server considers between two looks at
// the client, and how many such windows between two checkpoints.
const (
	searchWindow       = 1024
	checkpointInterval = 16
)

// direct reads through the protocol's stubs, and takes the answers apart by hand.
// It finds no leader and makes no connections: it is for the node in this process.
type direct struct{ conn grpc.ClientConnInterface }

// open implements source.
func (d direct) open(ctx context.Context, q query) (cursor, error) {
	ctx, cancel := context.WithCancel(ctx)
	call, err := d.call(ctx, &streams.ReadReq{Options: readOptions(q)})
	if err != nil {
		cancel()
		return nil, err
	}
	return &directRead{call: call, cancel: cancel}, nil
}

func (d direct) call(ctx context.Context, request *streams.ReadReq) (grpc.ClientStream, error) {
	call, err := d.conn.NewStream(ctx, &grpc.StreamDesc{StreamName: "Read", ServerStreams: true},
		streams.Streams_Read_FullMethodName, grpc.ForceCodecV2(wire.NewCodec()), grpc.MaxCallRecvMsgSize(maxAnswer))
	if err != nil {
		return nil, err
	}
	if err := call.SendMsg(request); err != nil {
		return nil, err
	}
	return call, call.CloseSend()
}

// maxAnswer is what the official client accepts.
const maxAnswer = 17 << 20

func readOptions(q query) *streams.ReadReq_Options {
	o := &streams.ReadReq_Options{
		CountOption:  &streams.ReadReq_Options_Count{Count: q.count},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption: &streams.ReadReq_Options_UUIDOption{
			Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}},
		},
	}
	if q.backwards {
		o.ReadDirection = streams.ReadReq_Options_Backwards
	}
	if q.stream != "" {
		o.StreamOption = &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(q.stream)},
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_Revision{Revision: q.revision},
		}}
		return o
	}
	all := &streams.ReadReq_Options_AllOptions{}
	switch {
	case q.position.IsZero():
		all.AllOption = &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}}
	case q.position == domain.EndPosition:
		all.AllOption = &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
	default:
		all.AllOption = &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{
			CommitPosition: q.position.Commit, PreparePosition: q.position.Prepare,
		}}
	}
	o.StreamOption = &streams.ReadReq_Options_All{All: all}
	if q.subscribe {
		o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
		o.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_EventType{
				EventType: &streams.ReadReq_Options_FilterOptions_Expression{Regex: esdb.ExcludeSystemEventsFilter().Regex},
			},
			Window:                       &streams.ReadReq_Options_FilterOptions_Max{Max: searchWindow},
			CheckpointIntervalMultiplier: checkpointInterval,
		}}
	}
	return o
}

// directRead is a read, or a subscription, over a bare connection.
type directRead struct {
	call   grpc.ClientStream
	cancel context.CancelFunc
}

func (r *directRead) next() (item, error) {
	for {
		var a answer
		if err := r.call.RecvMsg(&a); err != nil {
			return item{}, withException(err, r.call.Trailer().Get("exception"))
		}
		switch {
		case a.missing:
			return item{}, classified(domain.ClassNotFound, CodeStreamMissing, "no such stream", nil)
		case a.caughtUp, a.found:
			return a.item, nil
		}
	}
}

func (r *directRead) close(error) { r.cancel() }

// withException knows the one error that a trailer says more about than the status.
func withException(err error, exceptions []string) error {
	if len(exceptions) > 0 && exceptions[0] == "stream-deleted" {
		return classified(domain.ClassNotFound, CodeStreamDeleted, "stream is deleted", err)
	}
	return err
}

// answer is a ReadResp.
type answer struct {
	item

	found   bool // item.record is set
	missing bool // the stream does not exist
}

// UnmarshalBinary takes a ReadResp. What matters to nobody here, such as
// checkpoints, is passed over.
func (a *answer) UnmarshalBinary(b []byte) error {
	return wire.Fields(b, func(field protowire.Number, value []byte, _ uint64) error {
		switch field {
		case wire.FieldReadEvent:
			return a.event(value)
		case wire.FieldReadCaughtUp:
			a.caughtUp = true
		case wire.FieldReadStreamNotFound:
			a.missing = true
		}
		return nil
	})
}

func (a *answer) event(b []byte) error {
	return wire.Fields(b, func(field protowire.Number, value []byte, _ uint64) error {
		if field != wire.FieldEvent {
			return nil
		}
		var e wire.Recorded
		if err := e.Decode(value); err != nil {
			return err
		}
		// One piece of memory for both; the message is gone when this returns.
		payload := make([]byte, len(e.Data)+len(e.Custom))
		n := copy(payload, e.Data)
		copy(payload[n:], e.Custom)
		a.found = true
		a.record = Record{
			ID: e.ID, Type: string(e.Type), Stream: string(e.Stream), Revision: e.Revision,
			Position: domain.Position{Commit: e.Commit, Prepare: e.Prepare},
			Created:  time.Unix(0, e.Created*wire.NanosPerTick).UTC(),
			Data:     payload[:n:n], Metadata: payload[n:],
		}
		return nil
	})
}
