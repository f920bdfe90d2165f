package eventstoretest

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// pipeline is a BatchAppend call in the hands of one test.
type pipeline struct {
	t    *testing.T
	call streams.Streams_BatchAppendClient
}

func (s *suite) pipeline(t *testing.T) *pipeline {
	t.Helper()
	if s.traits.Dial == nil {
		t.Skip("this store can't be dialled from a test")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	call, err := streams.NewStreamsClient(s.traits.Dial(t)).BatchAppend(ctx)
	require.NoError(t, err)
	return &pipeline{t: t, call: call}
}

// batchOf is a whole batch in one message. after < 0 expects no stream.
func batchOf(stream string, after int64, events []esdb.EventData) *streams.BatchAppendReq {
	options := &streams.BatchAppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(stream)},
		ExpectedStreamPosition: &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}},
		DeadlineOption:         &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(patience)},
	}
	if after >= 0 {
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(after)}
	}
	return &streams.BatchAppendReq{
		CorrelationId:    stringUUID(uuid.New()),
		Options:          options,
		ProposedMessages: messages(events),
		IsFinal:          true,
	}
}

func messages(events []esdb.EventData) []*streams.BatchAppendReq_ProposedMessage {
	out := make([]*streams.BatchAppendReq_ProposedMessage, len(events))
	for i, e := range events {
		most, least := esdb.UUIDAsInt64(e.EventID)
		out[i] = &streams.BatchAppendReq_ProposedMessage{
			Id: &shared.UUID{Value: &shared.UUID_Structured_{
				Structured: &shared.UUID_Structured{MostSignificantBits: most, LeastSignificantBits: least},
			}},
			Metadata:       map[string]string{"type": e.EventType, "content-type": "application/json"},
			CustomMetadata: e.Metadata,
			Data:           e.Data,
		}
	}
	return out
}

func stringUUID(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
}

func (p *pipeline) send(req *streams.BatchAppendReq) {
	p.t.Helper()
	require.NoError(p.t, p.call.Send(req))
}

func (p *pipeline) recv() *streams.BatchAppendResp {
	p.t.Helper()
	resp, err := p.call.Recv()
	require.NoError(p.t, err)
	return resp
}

// ask sends one batch and takes its answer.
func (p *pipeline) ask(req *streams.BatchAppendReq) *streams.BatchAppendResp {
	p.t.Helper()
	p.send(req)
	resp := p.recv()
	require.Equal(p.t, correlation(req.GetCorrelationId()), correlation(resp.GetCorrelationId()))
	return resp
}

// correlation reads an id in either form: servers may answer in the other one.
func correlation(id *shared.UUID) uuid.UUID {
	if s := id.GetStructured(); s != nil {
		u, err := esdb.ParseUUIDFromInt64(s.GetMostSignificantBits(), s.GetLeastSignificantBits())
		if err != nil {
			return uuid.Nil
		}
		return u
	}
	u, err := uuid.Parse(id.GetString_())
	if err != nil {
		return uuid.Nil
	}
	return u
}

func (s *suite) batchCases() cases {
	return cases{
		"one batch": func(t *testing.T) {
			store, p, stream := s.store(t), s.pipeline(t), newStream("order")
			events := newEvents(3)
			resp := p.ask(batchOf(stream, -1, events))
			require.NotNil(t, resp.GetSuccess(), "error: %v", resp.GetError())
			assert.EqualValues(t, 2, resp.GetSuccess().GetCurrentRevision())
			assert.Equal(t, stream, string(resp.GetStreamIdentifier().GetStreamName()))
			read := store.whole(stream)
			assert.Equal(t, proposedIDs(events), ids(read))
			assert.Equal(t, position(read[2]).Commit, resp.GetSuccess().GetPosition().GetCommitPosition())
			assert.Equal(t, position(read[2]).Prepare, resp.GetSuccess().GetPosition().GetPreparePosition())
		},
		"batches of one stream may count on those before them": func(t *testing.T) {
			store, p, stream := s.store(t), s.pipeline(t), newStream("order")
			const batches = 300
			var want []uuid.UUID
			waiting := make(map[uuid.UUID]bool)
			for i := range int64(batches) {
				events := newEvents(2)
				req := batchOf(stream, 2*i-1, events)
				waiting[correlation(req.GetCorrelationId())] = true
				want = append(want, proposedIDs(events)...)
				p.send(req)
			}
			for len(waiting) > 0 {
				resp := p.recv()
				require.NotNil(t, resp.GetSuccess(), "error: %v", resp.GetError())
				id := correlation(resp.GetCorrelationId())
				require.True(t, waiting[id], "an answer that nobody waits for")
				delete(waiting, id)
			}
			assert.Equal(t, want, ids(store.whole(stream)))
		},
		"a half-closed call still answers what it got": func(t *testing.T) {
			p := s.pipeline(t)
			const batches = 50
			for range batches {
				p.send(batchOf(newStream("order"), -1, newEvents(1)))
			}
			require.NoError(t, p.call.CloseSend())
			for range batches {
				assert.NotNil(t, p.recv().GetSuccess())
			}
			_, err := p.call.Recv()
			require.ErrorIs(t, err, io.EOF)
		},
		"a batch may come in chunks": func(t *testing.T) {
			store, p, stream := s.store(t), s.pipeline(t), newStream("order")
			events := newEvents(6)
			req := batchOf(stream, -1, events[:2])
			req.IsFinal = false
			p.send(req)
			other := newStream("order")
			assert.NotNil(t, p.ask(batchOf(other, -1, newEvents(1))).GetSuccess(), "another batch in between")
			p.send(&streams.BatchAppendReq{CorrelationId: req.GetCorrelationId(), ProposedMessages: messages(events[2:5])})
			resp := p.ask(&streams.BatchAppendReq{CorrelationId: req.GetCorrelationId(), ProposedMessages: messages(events[5:]), IsFinal: true})
			require.NotNil(t, resp.GetSuccess(), "error: %v", resp.GetError())
			assert.EqualValues(t, 5, resp.GetSuccess().GetCurrentRevision())
			assert.Equal(t, proposedIDs(events), ids(store.whole(stream)))
		},
		"ids and deadlines have two forms each": func(t *testing.T) {
			store, p, stream := s.store(t), s.pipeline(t), newStream("order")
			events := newEvents(1)
			req := batchOf(stream, -1, events)
			most, least := esdb.UUIDAsInt64(uuid.New())
			req.CorrelationId = &shared.UUID{Value: &shared.UUID_Structured_{
				Structured: &shared.UUID_Structured{MostSignificantBits: most, LeastSignificantBits: least},
			}}
			req.ProposedMessages[0].Id = stringUUID(events[0].EventID)
			req.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{
				Deadline_21_10_0: timestamppb.New(time.Now().Add(patience)),
			}
			resp := p.ask(req)
			require.NotNil(t, resp.GetSuccess(), "error: %v", resp.GetError())
			assert.Equal(t, proposedIDs(events), ids(store.whole(stream)))
		},
		"the same batch again is the same batch": func(t *testing.T) {
			store, p, stream := s.store(t), s.pipeline(t), newStream("order")
			events := newEvents(2)
			first := p.ask(batchOf(stream, -1, events)).GetSuccess()
			again := p.ask(batchOf(stream, -1, events)).GetSuccess()
			require.NotNil(t, first)
			require.NotNil(t, again)
			assert.Equal(t, first.GetPosition().GetCommitPosition(), again.GetPosition().GetCommitPosition())
			assert.Equal(t, first.GetCurrentRevision(), again.GetCurrentRevision())
			assert.Len(t, store.whole(stream), 2)
		},
		"a wrong version fails its batch and those which counted on it": func(t *testing.T) {
			store, p, stream := s.store(t), s.pipeline(t), newStream("order")
			require.NotNil(t, p.ask(batchOf(stream, -1, newEvents(2))).GetSuccess())
			for _, after := range []int64{5, 6, 7} {
				resp := p.ask(batchOf(stream, after, newEvents(1)))
				require.NotNil(t, resp.GetError())
				assert.EqualValues(t, codes.AlreadyExists, resp.GetError().GetCode())
				require.Len(t, resp.GetError().GetDetails(), 1)
				var detail shared.WrongExpectedVersion
				require.NoError(t, resp.GetError().GetDetails()[0].UnmarshalTo(&detail))
				assert.EqualValues(t, 1, detail.GetCurrentStreamRevision())
				assert.EqualValues(t, after, detail.GetExpectedStreamPosition())
			}
			require.NotNil(t, p.ask(batchOf(stream, 1, newEvents(1))).GetSuccess(), "the call goes on")
			assert.Len(t, store.whole(stream), 3)
		},
		"a batch beyond its deadline is not written": func(t *testing.T) {
			store, p, stream := s.store(t), s.pipeline(t), newStream("order")
			req := batchOf(stream, -1, newEvents(1))
			req.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(-time.Second)}
			resp := p.ask(req)
			require.NotNil(t, resp.GetError())
			assert.EqualValues(t, codes.DeadlineExceeded, resp.GetError().GetCode())
			_, err := store.tryRead(stream, esdb.ReadStreamOptions{}, 1)
			store.requireCode(esdb.ErrorCodeResourceNotFound, err)
		},
		"a batch beyond the size limit is refused, the call goes on": func(t *testing.T) {
			p := s.pipeline(t)
			events := newEvents(3)
			for i := range events {
				events[i].Data = make([]byte, s.traits.MaxAppendSize/2)
			}
			resp := p.ask(batchOf(newStream("order"), -1, events))
			require.NotNil(t, resp.GetError())
			assert.EqualValues(t, codes.InvalidArgument, resp.GetError().GetCode())
			require.Len(t, resp.GetError().GetDetails(), 1)
			var detail shared.MaximumAppendSizeExceeded
			require.NoError(t, resp.GetError().GetDetails()[0].UnmarshalTo(&detail))
			assert.EqualValues(t, s.traits.MaxAppendSize, detail.GetMaxAppendSize())
			assert.NotNil(t, p.ask(batchOf(newStream("order"), -1, newEvents(1))).GetSuccess())
		},
	}
}
