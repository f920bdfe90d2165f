package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

const (
	// maxInFlight bounds the submitted batches of one call. At the bound the
	// call is not read from, which holds the client back.
	maxInFlight = 512
	// maxExpected bounds the events that memory is taken for before they are seen.
	maxExpected = 1024
	// perEvent is about what an event takes besides its own bytes and its stream's name.
	perEvent = 64
	// maxUnfinished bounds the batches of one call whose final chunk is missing.
	maxUnfinished = 64
)

// batch is one append of a BatchAppend call, put together from its chunks.
type batch struct {
	correlation []byte   // encoded, as it came
	request     *request // nil if the options were refused
	err         error    // found while it was put together; answered at the final chunk
}

// batchCall is one BatchAppend call. Its reader submits batches in the order
// of their final chunks, so a client may count on revisions it has not been
// told yet; its sender answers them as they complete.
type batchCall struct {
	server     *streamsServer
	ctx        context.Context //nolint:containedctx // the call's own
	unfinished map[uuid.UUID]*batch
	slots      chan struct{} // one per batch in flight
	responses  chan frame    // as long as slots: answering never blocks the committer

	// The chunk that was received last.
	id      uuid.UUID
	current *batch
	final   bool
	now     time.Time
	broken  error // why it is the end of the call
}

// BatchAppend implements Streams.BatchAppend: many appends in flight on one call.
func (s *streamsServer) BatchAppend(stream streams.Streams_BatchAppendServer) error {
	// Everything submitted is waited for, by the sender or, if the call
	// breaks, by nobody: answers then stay in the channel.
	call := &batchCall{
		server:     s,
		ctx:        stream.Context(),
		unfinished: make(map[uuid.UUID]*batch),
		slots:      make(chan struct{}, maxInFlight),
		responses:  make(chan frame, maxInFlight),
	}
	received := make(chan error, 1)
	s.node.readers.Go(func() { received <- call.receive(stream) })
	return fail(stream, call.send(stream, received))
}

// receive reads until the client half-closes (nil) or the call ends.
func (b *batchCall) receive(stream grpc.ServerStream) error {
	for {
		err := stream.RecvMsg(b)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err := errors.Join(err, b.broken); err != nil {
			return err
		}
		if err := b.submit(); err != nil {
			return err
		}
	}
}

// send answers until everything is answered after a half-close, or the call ends.
func (b *batchCall) send(stream streams.Streams_BatchAppendServer, received <-chan error) error {
	stopping := b.server.node.stopping
	for {
		select {
		case resp := <-b.responses:
			<-b.slots
			if err := stream.SendMsg(resp); err != nil {
				return err
			}
		case err := <-received:
			if err != nil {
				return err
			}
			return b.drain(stream)
		case <-stopping:
			// What is in flight is still answered: it costs one sync at most.
			if err := b.drain(stream); err != nil {
				return err
			}
			return unavailable(fmt.Errorf("appending batches: %w", ErrClosed))
		case <-b.ctx.Done():
			return b.ctx.Err()
		}
	}
}

// drain answers what is in flight.
func (b *batchCall) drain(stream streams.Streams_BatchAppendServer) error {
	for len(b.slots) > 0 {
		select {
		case resp := <-b.responses:
			<-b.slots
			if err := stream.SendMsg(resp); err != nil {
				return err
			}
		case <-b.ctx.Done():
			return b.ctx.Err()
		}
	}
	return nil
}

// UnmarshalBinary adds a chunk to its batch. Whether the chunk is refused or even
// ends the call is found in current and broken.
func (b *batchCall) UnmarshalBinary(message []byte) error {
	b.current, b.final, b.now = nil, false, b.server.node.opts.Now()
	b.broken = b.decodeHead(message)
	if b.broken != nil || b.current.err != nil {
		return nil
	}
	maxSize := b.server.node.opts.MaxAppendSize
	b.current.err = wire.Fields(message, func(field protowire.Number, value []byte, _ uint64) error {
		if field != wire.FieldBatchProposed {
			return nil
		}
		return b.current.request.propose(value, maxSize)
	})
	return nil
}

// decodeHead finds out which batch a chunk belongs to, or begins one.
func (b *batchCall) decodeHead(message []byte) error {
	var encodedID, encodedOptions []byte
	proposed := 0
	err := wire.Fields(message, func(field protowire.Number, value []byte, number uint64) error {
		switch field {
		case wire.FieldBatchCorrelation:
			encodedID = value
		case wire.FieldBatchOptions:
			encodedOptions = value
		case wire.FieldBatchProposed:
			proposed++
		case wire.FieldBatchFinal:
			b.final = number != 0
		}
		return nil
	})
	if err != nil {
		return err
	}
	if b.id, err = wire.DecodeUUID(encodedID); err != nil {
		return err
	}
	if b.current = b.unfinished[b.id]; b.current != nil {
		return nil
	}
	b.current = &batch{correlation: bytes.Clone(encodedID)}
	if !b.final {
		if len(b.unfinished) >= maxUnfinished {
			return &failure{code: codes.ResourceExhausted, message: "too many unfinished batches"}
		}
		b.unfinished[b.id] = b.current
	}
	if encodedOptions == nil {
		b.current.err = badRequest("batch must begin with its options")
		return nil
	}
	if b.current.request, b.current.err = newAppend(encodedOptions, b.now); b.current.err == nil {
		// Bounded, since a message can be full of events that are all refused.
		proposed = min(proposed, maxExpected)
		b.current.request.events = make([]proposal, 0, proposed)
		if proposed > 1 {
			b.current.request.memory = &arena{free: make([]byte, len(message)+proposed*(len(b.current.request.stream)+perEvent))}
		}
	}
	return nil
}

// submit hands the batch over to the writer if the last chunk was its final one.
func (b *batchCall) submit() error {
	current := b.current
	late := current.err == nil && !current.request.deadline.IsZero() && !b.now.Before(current.request.deadline)
	if !b.final && !late {
		return nil
	}
	delete(b.unfinished, b.id)
	select {
	case b.slots <- struct{}{}:
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
	if late {
		b.responses <- current.response(result{outcome: outcomeTimedOut})
		return nil
	}
	if refused := current.err; refused != nil {
		b.responses <- current.response(result{outcome: outcomeFailed, err: refused})
		return nil //nolint:nilerr // the batch is refused, the call goes on
	}
	current.request.done = func(res result) { b.responses <- current.response(res) }
	if err := b.server.node.writer.submit(b.ctx, current.request); err != nil {
		<-b.slots
		return err
	}
	return nil
}

// response is a BatchAppendResp.
func (c *batch) response(res result) frame {
	b := make([]byte, 0, 128+len(c.correlation))
	b = protowire.AppendTag(b, wire.FieldBatchRespCorrelation, protowire.BytesType)
	b = protowire.AppendBytes(b, c.correlation)
	if r := c.request; r != nil {
		b = wire.AppendStream(b, wire.FieldBatchRespStream, r.stream)
		b = r.expected.AppendEcho(b)
	}
	if res.outcome == outcomeCommitted {
		return success(res).Append(b, wire.FieldBatchRespSuccess)
	}
	failed, err := proto.Marshal(c.failure(res))
	if err != nil { // only text that is not UTF-8 could be the reason
		failed = nil
	}
	return protowire.AppendBytes(protowire.AppendTag(b, wire.FieldBatchRespError, protowire.BytesType), failed)
}

// failure is the error of one batch, in the codes and details that
// EventStoreDB's clients know. The call goes on.
func (c *batch) failure(res result) *rpcstatus.Status {
	switch res.outcome {
	case outcomeWrongVersion:
		return batchError(codes.AlreadyExists, "wrong expected version", wrongVersionDetail(c.request.expected, res.current))
	case outcomeStreamDeleted:
		return batchError(codes.NotFound, "stream is deleted", &shared.StreamDeleted{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(c.request.stream)}})
	case outcomeTimedOut:
		return batchError(codes.DeadlineExceeded, "timed out", &shared.Timeout{})
	case outcomeCommitted, outcomeFailed:
	}
	f := wireError(res.err)
	switch {
	case f.code != codes.InvalidArgument:
		return batchError(f.code, f.message, &shared.Unknown{})
	case len(f.trailers.Get(trailerException)) > 0 && f.trailers.Get(trailerException)[0] == exceptionAppendSize:
		return batchError(f.code, f.message, &shared.MaximumAppendSizeExceeded{MaxAppendSize: f.limit})
	default:
		return batchError(f.code, f.message, &shared.BadRequest{Message: f.message})
	}
}

func wrongVersionDetail(expected wire.Expectation, current int64) *shared.WrongExpectedVersion {
	w := &shared.WrongExpectedVersion{
		CurrentStreamRevisionOption: &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}},
	}
	if current >= 0 {
		w.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(current)}
	}
	switch expected {
	case wire.Any:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: &emptypb.Empty{}}
	case wire.StreamExists:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}}
	case wire.NoStream:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &emptypb.Empty{}}
	default:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{
			ExpectedStreamPosition: uint64(expected), //nolint:gosec // the named ones are handled above
		}
	}
	return w
}

// batchError has exactly one detail: EventStoreDB's own message has room for one.
func batchError(code codes.Code, message string, detail proto.Message) *rpcstatus.Status {
	s := &rpcstatus.Status{Code: int32(code), Message: message} //nolint:gosec // 17 codes
	if packed, err := anypb.New(detail); err == nil {
		s.Details = []*anypb.Any{packed}
	}
	return s
}
