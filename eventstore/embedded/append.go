package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
)

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
	if res.outcome == outcomeStreamDeleted {
		return fail(stream, streamDeleted(r.stream))
	}
	return stream.SendAndClose(appendResponse(r.expected, res))
}

func (s *streamsServer) receiveAppend(stream streams.Streams_AppendServer) (*request, error) {
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, badRequest("append has no options")
	}
	if err != nil {
		return nil, err
	}
	options := first.GetOptions()
	if options == nil {
		return nil, badRequest("append must begin with its options")
	}
	r := &request{kind: kindAppend}
	if r.stream, err = writableStream(options.GetStreamIdentifier()); err != nil {
		return nil, err
	}
	switch e := options.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_Revision:
		r.expected = expectRevision(e.Revision)
	case *streams.AppendReq_Options_NoStream:
		r.expected = expectNoStream
	case *streams.AppendReq_Options_Any:
		r.expected = expectAny
	case *streams.AppendReq_Options_StreamExists:
		r.expected = expectStreamExists
	default:
		return nil, badRequest("append has no expected revision")
	}
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, err
		}
		proposed := msg.GetProposedMessage()
		if proposed == nil {
			return nil, badRequest("append has more than one set of options")
		}
		if err := r.propose(proposed, s.node.opts.MaxAppendSize); err != nil {
			return nil, err
		}
	}
}

// proposedMessage is an event as the two append calls send it.
type proposedMessage interface {
	GetId() *shared.UUID
	GetMetadata() map[string]string
	GetCustomMetadata() []byte
	GetData() []byte
}

// propose adds an event to the request, refusing what EventStoreDB refuses.
func (r *request) propose(m proposedMessage, maxSize int) error {
	properties := m.GetMetadata()
	eventType, ok := properties[metadataType]
	if !ok {
		return missingMetadata(metadataType)
	}
	contentType, ok := properties[metadataContentType]
	if !ok {
		return missingMetadata(metadataContentType)
	}
	if eventType == "" {
		return badRequest("event type is empty")
	}
	id, err := parseUUID(m.GetId())
	if err != nil {
		return err
	}
	if id == uuid.Nil {
		return badRequest("event id is empty")
	}
	r.size += len(m.GetData()) + len(m.GetCustomMetadata()) + 2*len(eventType)
	if r.size > maxSize {
		return appendTooLarge(maxSize)
	}
	r.events = append(r.events, newProposal(r.stream, id, eventType, contentType == contentTypeJSON, m.GetData(), m.GetCustomMetadata()))
	return nil
}

// streamName checks a name that is read from or written to.
func streamName(identifier *shared.StreamIdentifier) (string, error) {
	name := string(identifier.GetStreamName())
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
func writableStream(identifier *shared.StreamIdentifier) (string, error) {
	name, err := streamName(identifier)
	if err != nil {
		return "", err
	}
	if name == "$all" || name == metastreamPrefix || strings.HasPrefix(name, metastreamPrefix+metastreamPrefix) {
		return "", badRequest("stream %q can't be written to", name)
	}
	return name, nil
}

func parseUUID(id *shared.UUID) (uuid.UUID, error) {
	switch v := id.GetValue().(type) {
	case *shared.UUID_Structured_:
		var u uuid.UUID
		binary.BigEndian.PutUint64(u[:8], uint64(v.Structured.GetMostSignificantBits()))  //nolint:gosec // bits, not a number
		binary.BigEndian.PutUint64(u[8:], uint64(v.Structured.GetLeastSignificantBits())) //nolint:gosec // bits, not a number
		return u, nil
	case *shared.UUID_String_:
		u, err := uuid.Parse(v.String_)
		if err != nil {
			return uuid.Nil, badRequest("%q is not a UUID", v.String_)
		}
		return u, nil
	default:
		return uuid.Nil, badRequest("UUID is missing")
	}
}

func appendResponse(expected expectation, res result) *streams.AppendResp {
	if res.outcome == outcomeWrongVersion {
		return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{
			WrongExpectedVersion: wrongVersionResponse(expected, res.current),
		}}
	}
	success := &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}},
		PositionOption:        &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}},
	}
	if res.current >= 0 {
		success.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(res.current)}
	}
	if res.position > 0 {
		success.PositionOption = &streams.AppendResp_Success_Position{
			Position: &streams.AppendResp_Position{CommitPosition: res.position, PreparePosition: res.position},
		}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: success}}
}

// wrongVersionResponse fills today's fields and those of servers before 20.6.1,
// as EventStoreDB does.
func wrongVersionResponse(expected expectation, current int64) *streams.AppendResp_WrongExpectedVersion {
	w := &streams.AppendResp_WrongExpectedVersion{}
	if current >= 0 {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(current)}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(current)}
	} else {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}}
	}
	switch expected {
	case expectAny:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
	case expectStreamExists:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
	case expectNoStream:
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
