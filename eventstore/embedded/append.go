package embedded

import (
	"context"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

// maxStored bounds what one append takes in memory and on disk. The size that the
// protocol limits leaves out the stream's name, which stands at each event.
const maxStored = 2 * largestMaxAppendSize

// maxStreamName is far beyond any sensible name; it keeps index keys small.
const maxStreamName = 4096

// streamsServer serves the Streams service.
type streamsServer struct {
	streams.UnimplementedStreamsServer
	node *Node
}

// fail turns an error into the status and trailers of a stream call.
func fail(stream grpc.ServerStream, err error) error {
	f := wireError(err)
	if f == nil {
		return nil
	}
	stream.SetTrailer(f.trailers)
	return f
}

// failCall is fail for a call without streams.
func failCall(ctx context.Context, err error) error {
	f := wireError(err)
	if f == nil {
		return nil
	}
	if err := grpc.SetTrailer(ctx, f.trailers); err != nil {
		return err
	}
	return f
}

// Append implements Streams.Append: one atomic append per call.
func (s *streamsServer) Append(stream streams.Streams_AppendServer) error {
	r, err := s.receiveAppend(stream)
	if err != nil {
		return fail(stream, err)
	}
	res, err := s.node.writer.do(stream.Context(), r)
	if err != nil {
		return fail(stream, err)
	}
	switch res.outcome {
	case outcomeCommitted:
		return stream.SendMsg(frame(success(res).Append(nil, wire.FieldAppendSuccess)))
	case outcomeWrongVersion:
		return stream.SendMsg(&streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{
			WrongExpectedVersion: wrongVersionResponse(r.expected, res.current),
		}})
	default:
		return fail(stream, res.failure(r))
	}
}

func (s *streamsServer) receiveAppend(stream grpc.ServerStream) (*request, error) {
	call := &appendCall{maxSize: s.node.opts.MaxAppendSize}
	for {
		err := stream.RecvMsg(call)
		switch {
		case errors.Is(err, io.EOF) && call.request == nil:
			return nil, badRequest("append has no options")
		case errors.Is(err, io.EOF):
			return call.request, nil
		case err != nil:
			return nil, err
		case call.refused != nil:
			return nil, call.refused
		}
	}
}

// appendCall puts the request of one Append call together from its messages.
type appendCall struct {
	maxSize int
	request *request // nil until the options have come
	refused error
}

// UnmarshalBinary takes one message of the call. Whether it is refused is found
// in refused: to gRPC, an error here would be a broken connection.
func (c *appendCall) UnmarshalBinary(message []byte) error {
	c.refused = wire.Fields(message, func(field protowire.Number, value []byte, _ uint64) error {
		switch field {
		case wire.FieldAppendOptions:
			return c.begin(value)
		case wire.FieldAppendProposed:
			if c.request == nil {
				return badRequest("append must begin with its options")
			}
			return c.request.propose(value, c.maxSize)
		}
		return nil
	})
	return nil
}

func (c *appendCall) begin(options []byte) (err error) {
	if c.request != nil {
		return badRequest("append has more than one set of options")
	}
	c.request, err = newAppend(options)
	return err
}

// propose adds an event to the request, refusing what EventStoreDB refuses.
func (r *request) propose(encoded []byte, maxSize int) error {
	var e wire.Proposed
	if err := e.Decode(encoded); err != nil {
		return err
	}
	switch {
	case e.Type == nil:
		return missingMetadata(wire.MetadataType)
	case e.ContentType == nil:
		return missingMetadata(wire.MetadataContentType)
	case len(e.Type) == 0:
		return badRequest("event type is empty")
	case !e.HasID:
		return badRequest("UUID is missing")
	case e.ID == uuid.Nil:
		return badRequest("event id is empty")
	}
	r.size += len(e.Data) + len(e.Custom) + 2*len(e.Type)
	if r.size > maxSize {
		return appendTooLarge(maxSize)
	}
	p := newProposal(r.memory, r.stream, e.ID, string(e.Type), string(e.ContentType) == wire.ContentTypeJSON, e.Data, e.Custom)
	if r.stored += len(p.body); r.stored > maxStored {
		return badRequest("append takes more than %d bytes, with its stream's name at each event", maxStored)
	}
	r.events = append(r.events, p)
	return nil
}

// newAppend begins a request from the options of an Append.
func newAppend(encoded []byte) (*request, error) {
	var o wire.Options
	if err := o.Decode(encoded); err != nil {
		return nil, err
	}
	return appendFrom(&o)
}

// appendFrom begins a request from the options of either append call, deadlines aside.
func appendFrom(o *wire.Options) (*request, error) {
	if !o.Expects {
		return nil, badRequest("append has no expected revision")
	}
	stream, err := writableStream(string(o.Stream))
	if err != nil {
		return nil, err
	}
	return &request{kind: kindAppend, stream: stream, expected: o.Expected}, nil
}

// streamName checks a name that is read from or written to.
func streamName(identifier *shared.StreamIdentifier) (string, error) {
	return checkedName(string(identifier.GetStreamName()))
}

func checkedName(name string) (string, error) {
	switch {
	case name == "":
		return "", badRequest("stream name is empty")
	case len(name) > maxStreamName:
		return "", badRequest("stream name is longer than %d bytes", maxStreamName)
	case !utf8.ValidString(name):
		return "", badRequest("stream name is not UTF-8")
	}
	return name, nil
}

// writableStream refuses the names which have a meaning of their own.
func writableStream(name string) (string, error) {
	if _, err := checkedName(name); err != nil {
		return "", err
	}
	if name == "$all" || name == metastreamPrefix || strings.HasPrefix(name, metastreamPrefix+metastreamPrefix) {
		return "", badRequest("stream %q can't be written to", name)
	}
	return name, nil
}

// failure is what a request gets that was neither carried out nor at the wrong
// revision.
func (res result) failure(r *request) error {
	switch {
	case res.err != nil:
		return res.err
	case res.outcome == outcomeStreamDeleted:
		return streamDeleted(r.stream)
	case res.outcome == outcomeTimedOut:
		return &failure{code: codes.DeadlineExceeded, message: "timed out; nothing was written"}
	default:
		return &failure{code: codes.Internal, message: "request has no outcome"}
	}
}

func success(res result) wire.Success {
	return wire.Success{Revision: res.current, Commit: res.position, Prepare: res.position}
}

// wrongVersionResponse fills today's fields and those of servers before 20.6.1,
// as EventStoreDB does.
func wrongVersionResponse(expected wire.Expectation, current int64) *streams.AppendResp_WrongExpectedVersion {
	w := &streams.AppendResp_WrongExpectedVersion{}
	if current >= 0 {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(current)}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(current)}
	} else {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}}
	}
	switch expected {
	case wire.Any:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
	case wire.StreamExists:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
	case wire.NoStream:
		// The old form has no word for it and says -1.
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: ^uint64(0)}
	default:
		revision := uint64(expected) //nolint:gosec // the named ones are handled above
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: revision}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: revision}
	}
	return w
}
