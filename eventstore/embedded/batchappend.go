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
}

// part is one message of a BatchAppend call: a chunk of a batch.
type part struct {
	call  *batchCall
	now   time.Time
	id    uuid.UUID // of the batch
	batch *batch
	final bool
	err   error // why it is the end of the call
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
		p := part{call: b, now: b.server.node.opts.Now()}
		err := stream.RecvMsg(&p)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case p.err != nil:
			return p.err
		}
		if err := b.submit(&p); err != nil {
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
			// One sync answers many: the others are there already.
			for n := len(b.responses); ; n-- {
				<-b.slots
				if err := stream.SendMsg(resp); err != nil {
					return err
				}
				if n == 0 {
					break
				}
				resp = <-b.responses
			}
		case err := <-received:
			if err != nil && !b.server.node.isStopping() {
				return err
			}
			if err := b.drain(stream); err != nil {
				return err
			}
			return err
		case <-stopping:
			// What is in flight is still answered. Nothing is added to it any more.
			if err := b.drain(stream); err != nil {
				return err
			}
			return b.stopped()
		case <-b.ctx.Done():
			return b.ctx.Err()
		}
	}
}

func (b *batchCall) stopped() error { return fmt.Errorf("appending batches: %w", ErrClosed) }

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

// UnmarshalBinary adds the chunk to its batch, or begins one. Whether the batch is
// refused, or the call ends, is found in batch.err and err: to gRPC, an error here
// would be a broken connection.
func (p *part) UnmarshalBinary(message []byte) error {
	if p.err = p.decodeHead(message); p.err != nil || p.batch.err != nil {
		return nil //nolint:nilerr // see above
	}
	maxSize := p.call.server.node.opts.MaxAppendSize
	p.batch.err = wire.Fields(message, func(field protowire.Number, value []byte, _ uint64) error {
		if field != wire.FieldBatchProposed || value == nil {
			return nil
		}
		return p.batch.request.propose(value, maxSize)
	})
	if p.batch.err != nil {
		p.batch.request.drop()
	}
	return nil
}

// decodeHead finds out which batch the chunk belongs to, or begins one.
func (p *part) decodeHead(message []byte) error {
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
			p.final = number != 0
		}
		return nil
	})
	if err != nil {
		return err
	}
	if p.id, err = wire.DecodeUUID(encodedID); err != nil {
		return err
	}
	unfinished := p.call.unfinished
	if p.batch = unfinished[p.id]; p.batch != nil {
		return nil
	}
	p.batch = &batch{correlation: bytes.Clone(encodedID)}
	if !p.final {
		if len(unfinished) >= maxUnfinished {
			return &failure{code: codes.ResourceExhausted, message: "too many unfinished batches"}
		}
		unfinished[p.id] = p.batch
	}
	if p.batch.err = p.batch.begin(encodedOptions, p.now); p.batch.err == nil {
		p.batch.request.expect(proposed, min(len(message), p.call.server.node.opts.MaxAppendSize))
	}
	return nil
}

// begin begins the request of a batch.
func (c *batch) begin(encodedOptions []byte, now time.Time) error {
	if encodedOptions == nil {
		return badRequest("batch must begin with its options")
	}
	var o wire.Options
	if err := o.Decode(encodedOptions); err != nil {
		return err
	}
	r, err := appendFrom(&o)
	if err != nil {
		return err
	}
	switch {
	case o.Within != nil:
		r.deadline = now.Add(*o.Within)
	case o.At != nil:
		r.deadline = *o.At
	}
	c.request = r
	return nil
}

// expect takes memory for so many events. It is bounded, since they may all be
// refused yet.
func (r *request) expect(events, bytes int) {
	events = min(events, maxExpected)
	r.events = make([]proposal, 0, events)
	if events > 1 {
		r.memory = &arena{free: make([]byte, bytes+events*(len(r.stream)+perEvent))}
	}
}

// drop gives the memory of a refused request back.
func (r *request) drop() { r.events, r.memory = nil, nil }

// submit hands the batch over to the writer if this was its last chunk.
func (b *batchCall) submit(p *part) error {
	c := p.batch
	late := c.err == nil && !c.request.deadline.IsZero() && !p.now.Before(c.request.deadline)
	if !p.final && !late {
		return nil
	}
	delete(b.unfinished, p.id)
	if b.server.node.isStopping() {
		return b.stopped()
	}
	select {
	case b.slots <- struct{}{}:
	case <-b.server.node.stopping:
		return b.stopped()
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
	if late {
		b.responses <- c.response(result{outcome: outcomeTimedOut})
		return nil
	}
	if refused := c.err; refused != nil {
		b.responses <- c.response(result{outcome: outcomeFailed, err: refused})
		return nil //nolint:nilerr // the batch is refused, the call goes on
	}
	c.request.done = func(res result) { b.responses <- c.response(res) }
	if err := b.server.node.writer.submit(b.ctx, c.request); err != nil {
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
		failed = protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(codes.Unknown))
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
