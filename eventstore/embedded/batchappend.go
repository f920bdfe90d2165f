package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	// maxInFlight bounds the submitted batches of one call. At the bound the
	// call is not read from, which holds the client back.
	maxInFlight = 512
	// maxUnfinished bounds the batches of one call whose final chunk is missing.
	maxUnfinished = 64
)

// batch is one append of a BatchAppend call, put together from its chunks.
type batch struct {
	correlation *shared.UUID
	options     *streams.BatchAppendReq_Options
	request     *request
	err         error // found while it was put together; answered at the final chunk
}

// batchCall is one BatchAppend call. Its reader submits batches in the order
// of their final chunks, so a client may count on revisions it has not been
// told yet; its sender answers them as they complete.
type batchCall struct {
	server     *streamsServer
	ctx        context.Context //nolint:containedctx // the call's own
	unfinished map[uuid.UUID]*batch
	slots      chan struct{}                 // one per batch in flight
	responses  chan *streams.BatchAppendResp // as long as slots: answering never blocks the committer
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
		responses:  make(chan *streams.BatchAppendResp, maxInFlight),
	}
	received := make(chan error, 1)
	s.node.readers.Go(func() { received <- call.receive(stream) })
	return fail(stream, call.send(stream, received))
}

// receive reads until the client half-closes (nil) or the call ends.
func (b *batchCall) receive(stream streams.Streams_BatchAppendServer) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := b.take(req); err != nil {
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
			if err := stream.Send(resp); err != nil {
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
			if err := stream.Send(resp); err != nil {
				return err
			}
		case <-b.ctx.Done():
			return b.ctx.Err()
		}
	}
	return nil
}

// take adds a chunk to its batch and submits the batch if it is the last one.
func (b *batchCall) take(req *streams.BatchAppendReq) error {
	correlation, err := parseUUID(req.GetCorrelationId())
	if err != nil {
		return err
	}
	now := b.server.node.opts.Now()
	current, ok := b.unfinished[correlation]
	if !ok {
		if len(b.unfinished) >= maxUnfinished {
			return &failure{code: codes.ResourceExhausted, message: "too many unfinished batches"}
		}
		current = &batch{correlation: req.GetCorrelationId(), options: req.GetOptions()}
		current.request, current.err = newBatchRequest(req.GetOptions(), now)
		b.unfinished[correlation] = current
	}
	for _, m := range req.GetProposedMessages() {
		if current.err != nil {
			break
		}
		current.err = current.request.propose(m, b.server.node.opts.MaxAppendSize)
	}
	late := current.err == nil && !current.request.deadline.IsZero() && !now.Before(current.request.deadline)
	if !req.GetIsFinal() && !late {
		return nil
	}
	delete(b.unfinished, correlation)
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

func newBatchRequest(options *streams.BatchAppendReq_Options, now time.Time) (*request, error) {
	if options == nil {
		return nil, badRequest("batch must begin with its options")
	}
	r := &request{kind: kindAppend}
	switch d := options.GetDeadlineOption().(type) {
	case *streams.BatchAppendReq_Options_Deadline_21_10_0:
		r.deadline = d.Deadline_21_10_0.AsTime()
	case *streams.BatchAppendReq_Options_Deadline:
		r.deadline = now.Add(d.Deadline.AsDuration())
	}
	var err error
	if r.stream, err = writableStream(options.GetStreamIdentifier()); err != nil {
		return nil, err
	}
	switch e := options.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		r.expected = expectRevision(e.StreamPosition)
	case *streams.BatchAppendReq_Options_NoStream:
		r.expected = expectNoStream
	case *streams.BatchAppendReq_Options_Any:
		r.expected = expectAny
	case *streams.BatchAppendReq_Options_StreamExists:
		r.expected = expectStreamExists
	default:
		return nil, badRequest("batch has no expected position")
	}
	return r, nil
}

func (c *batch) response(res result) *streams.BatchAppendResp {
	resp := &streams.BatchAppendResp{
		CorrelationId:    c.correlation,
		StreamIdentifier: c.options.GetStreamIdentifier(),
	}
	switch e := c.options.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_StreamPosition{StreamPosition: e.StreamPosition}
	case *streams.BatchAppendReq_Options_NoStream:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_NoStream{NoStream: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_Any:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_Any{Any: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_StreamExists:
		resp.ExpectedStreamPosition = &streams.BatchAppendResp_StreamExists{StreamExists: &emptypb.Empty{}}
	}
	if res.outcome == outcomeCommitted {
		resp.Result = &streams.BatchAppendResp_Success_{Success: batchSuccess(res)}
	} else {
		resp.Result = &streams.BatchAppendResp_Error{Error: c.failure(res)}
	}
	return resp
}

func batchSuccess(res result) *streams.BatchAppendResp_Success {
	success := &streams.BatchAppendResp_Success{
		CurrentRevisionOption: &streams.BatchAppendResp_Success_NoStream{NoStream: &emptypb.Empty{}},
		PositionOption:        &streams.BatchAppendResp_Success_NoPosition{NoPosition: &emptypb.Empty{}},
	}
	if res.current >= 0 {
		success.CurrentRevisionOption = &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(res.current)}
	}
	if res.position > 0 {
		success.PositionOption = &streams.BatchAppendResp_Success_Position{
			Position: &shared.AllStreamPosition{CommitPosition: res.position, PreparePosition: res.position},
		}
	}
	return success
}

// failure is the error of one batch, in the codes and details that
// EventStoreDB's clients know. The call goes on.
func (c *batch) failure(res result) *rpcstatus.Status {
	switch res.outcome {
	case outcomeWrongVersion:
		return batchError(codes.AlreadyExists, "wrong expected version", wrongVersionDetail(c.request.expected, res.current))
	case outcomeStreamDeleted:
		return batchError(codes.NotFound, "stream is deleted", &shared.StreamDeleted{StreamIdentifier: c.options.GetStreamIdentifier()})
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

func wrongVersionDetail(expected expectation, current int64) *shared.WrongExpectedVersion {
	w := &shared.WrongExpectedVersion{
		CurrentStreamRevisionOption: &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}},
	}
	if current >= 0 {
		w.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(current)}
	}
	switch expected {
	case expectAny:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: &emptypb.Empty{}}
	case expectStreamExists:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}}
	case expectNoStream:
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
