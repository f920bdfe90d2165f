package embedded_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// answer is all that a client gets to see of one call.
type answer struct {
	messages []proto.Message
	trailers metadata.MD
	status   *status.Status
}

func (a *answer) requireEqual(t *rapid.T, b *answer) {
	require.Equal(t, a.status.Code(), b.status.Code())
	require.Equal(t, a.status.Message(), b.status.Message())
	require.Equal(t, a.trailers, b.trailers)
	require.Len(t, b.messages, len(a.messages))
	for i := range a.messages {
		ownID(a.messages[i])
		ownID(b.messages[i])
		require.True(t, proto.Equal(a.messages[i], b.messages[i]), "message %d: %.1000s and %.1000s", i, a.messages[i], b.messages[i])
	}
}

// ownID hides the one thing that a node makes up: the ids of its own events.
func ownID(m proto.Message) {
	resp, ok := m.(*streams.ReadResp)
	if e := resp.GetEvent().GetEvent(); ok && strings.HasPrefix(e.GetMetadata()["type"], "$") {
		e.Id = nil
	}
}

func (s *subject) rawAppend(req []*streams.AppendReq) *answer {
	call, err := s.client.Append(s.t.Context())
	require.NoError(s.t, err)
	for _, r := range req {
		if err := call.Send(r); !errors.Is(err, io.EOF) { // it has answered already
			require.NoError(s.t, err)
		}
	}
	resp, err := call.CloseAndRecv()
	a := &answer{trailers: call.Trailer(), status: status.Convert(err)}
	if err == nil {
		a.messages = []proto.Message{resp}
	}
	return a
}

func (s *subject) rawBatch(req *streams.BatchAppendReq) *answer {
	call, err := s.client.BatchAppend(s.t.Context())
	require.NoError(s.t, err)
	require.NoError(s.t, call.Send(req))
	resp, err := call.Recv()
	require.NoError(s.t, err)
	require.NoError(s.t, call.CloseSend())
	_, err = call.Recv()
	require.ErrorIs(s.t, err, io.EOF)
	return &answer{messages: []proto.Message{resp}, trailers: call.Trailer()}
}

func (s *subject) rawRead(req *streams.ReadReq) *answer {
	call, err := s.client.Read(s.t.Context(), req)
	require.NoError(s.t, err)
	a := &answer{}
	for {
		resp, err := call.Recv()
		if err != nil {
			a.trailers = call.Trailer()
			if !errors.Is(err, io.EOF) {
				a.status = status.Convert(err)
			}
			return a
		}
		a.messages = append(a.messages, resp)
	}
}

func (s *subject) rawRemove(stream string, forEver bool) *answer {
	a := &answer{}
	var resp proto.Message
	var err error
	if forEver {
		resp, err = s.client.Tombstone(s.t.Context(), &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
			StreamIdentifier:       name(stream),
			ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
		}}, grpc.Trailer(&a.trailers))
	} else {
		resp, err = s.client.Delete(s.t.Context(), &streams.DeleteReq{Options: &streams.DeleteReq_Options{
			StreamIdentifier:       name(stream),
			ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}},
		}}, grpc.Trailer(&a.trailers))
	}
	if a.status = status.Convert(err); err == nil {
		a.messages = []proto.Message{resp}
	}
	return a
}

// kill ends the node as a power cut would: what was not synced is gone.
func (s *subject) kill() {
	mem, ok := s.opts.FS.(*vfs.MemFS)
	require.True(s.t, ok)
	s.opts.FS = mem.CrashClone(vfs.CrashCloneCfg{})
	s.close() // changes the old disk only
	s.open()
}

func readEverything(options *streams.ReadReq_Options) *streams.ReadReq {
	options.CountOption = &streams.ReadReq_Options_Count{Count: math.MaxUint64}
	return &streams.ReadReq{Options: options}
}

// TestNode_AnswersTheSameInAnyConfiguration sends the same random requests to
// two nodes: one that keeps all in memory, and one that moves its data about all
// the time and caches none. Each is restarted or killed when the other is not.
// Every answer is the same to the last field, and so is the whole history.
func TestNode_AnswersTheSameInAnyConfiguration(t *testing.T) {
	t.Parallel()
	limit, runs := 40, 0
	if raceEnabled || testing.Short() {
		limit = 5
	}
	rapid.Check(t, func(t *rapid.T) {
		if runs++; runs > limit && !soak() {
			return
		}
		now := time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)
		clock := func() time.Time { return now }
		roomy := &subject{t: t, opts: embedded.Options{FS: vfs.NewCrashableMem(), Now: clock}}
		tight := &subject{t: t, opts: embedded.Options{FS: vfs.NewCrashableMem(), Now: clock, CacheBytes: 1}.WithMemTable(32 << 10)}
		nodes := []*subject{roomy, tight}
		for _, s := range nodes {
			s.open()
			defer func() { s.close() }()
		}
		same := func(t *rapid.T, do func(s *subject) *answer) *answer {
			// Nobody asks for the time between two requests.
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "milliseconds")) * time.Millisecond)
			first := do(roomy)
			first.requireEqual(t, do(tight))
			return first
		}

		var places []uint64 // positions that were given out
		stream := rapid.SampledFrom([]string{"order-0", "order-1", "order-2", "order-never"})
		written := rapid.SampledFrom([]string{"order-0", "order-1", "order-2", "$$order-0", "$$order-1"})
		// Half of the ids are of a few, so that requests repeat each other.
		id := rapid.Custom(func(t *rapid.T) string {
			number := rapid.OneOf(rapid.Uint64Range(0, 7), rapid.Uint64()).Draw(t, "number")
			return uuid.UUID(binary.BigEndian.AppendUint64(make([]byte, 8), number)).String()
		})
		meta := rapid.SampledFrom([]string{`{}`, `{"$maxCount":2}`, `{"$tb":3}`, `{"$maxAge":5}`, `{"$tb":1,"$maxCount":3}`, `{"$tb":9223372036854775807}`})
		events := func(t *rapid.T, on string, least int) []*streams.AppendReq_ProposedMessage {
			out := make([]*streams.AppendReq_ProposedMessage, rapid.IntRange(least, 4).Draw(t, "events"))
			for i := range out {
				p := proposed()
				p.Id = &shared.UUID{Value: &shared.UUID_String_{String_: id.Draw(t, "id")}}
				p.Data = bytes.Repeat([]byte{'x'}, rapid.IntRange(0, 8000).Draw(t, "bytes"))
				if on[0] == '$' {
					p.Data = []byte(meta.Draw(t, "metadata"))
				}
				out[i] = p
			}
			return out
		}
		revision := rapid.Uint64Range(0, 12)
		keep := func(a *answer) {
			for _, m := range a.messages {
				switch m := m.(type) {
				case *streams.AppendResp:
					if p := m.GetSuccess().GetPosition(); p != nil {
						places = append(places, p.GetCommitPosition())
					}
				case *streams.BatchAppendResp:
					if p := m.GetSuccess().GetPosition(); p != nil {
						places = append(places, p.GetCommitPosition())
					}
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				on := written.Draw(t, "stream")
				options := appendOptions(on)
				switch rapid.IntRange(0, 3).Draw(t, "expected") {
				case 0:
					options.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
				case 1:
					options.ExpectedStreamRevision = &streams.AppendReq_Options_StreamExists{StreamExists: &shared.Empty{}}
				case 2:
					options.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: revision.Draw(t, "revision")}
				}
				req := []*streams.AppendReq{{Content: &streams.AppendReq_Options_{Options: options}}}
				for _, p := range events(t, on, 0) {
					req = append(req, &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: p}})
				}
				keep(same(t, func(s *subject) *answer { return s.rawAppend(req) }))
			},
			"batch": func(t *rapid.T) {
				on := written.Draw(t, "stream")
				options := &streams.BatchAppendReq_Options{StreamIdentifier: name(on)}
				switch rapid.IntRange(0, 3).Draw(t, "expected") {
				case 0:
					options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
				case 1:
					options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}}
				case 2:
					options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: revision.Draw(t, "revision")}
				default:
					options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}
				}
				req := &streams.BatchAppendReq{
					CorrelationId: &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
					Options:       options, IsFinal: true,
				}
				for _, p := range events(t, on, 1) {
					req.ProposedMessages = append(req.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
						Id: p.GetId(), Metadata: p.GetMetadata(), Data: p.GetData(),
					})
				}
				keep(same(t, func(s *subject) *answer { return s.rawBatch(req) }))
			},
			"read a stream": func(t *rapid.T) {
				options := readStreamOptions(stream.Draw(t, "stream"))
				options.GetStream().RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: revision.Draw(t, "from")}
				direct(t, options)
				same(t, func(s *subject) *answer { return s.rawRead(&streams.ReadReq{Options: options}) })
			},
			"read all": func(t *rapid.T) {
				options := readAllOptions()
				if len(places) > 0 {
					at := rapid.SampledFrom(places).Draw(t, "from") + rapid.SampledFrom([]uint64{0, 0, 0, 1}).Draw(t, "beside")
					options.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_Position{
						Position: &streams.ReadReq_Options_Position{CommitPosition: at, PreparePosition: at},
					}
				}
				direct(t, options)
				same(t, func(s *subject) *answer { return s.rawRead(&streams.ReadReq{Options: options}) })
			},
			"restart": func(t *rapid.T) {
				s := nodes[rapid.IntRange(0, 1).Draw(t, "node")]
				s.close()
				s.open()
			},
			"kill": func(t *rapid.T) { nodes[rapid.IntRange(0, 1).Draw(t, "node")].kill() },
		})
		whole := same(t, func(s *subject) *answer { return s.rawRead(readEverything(readAllOptions())) })
		require.GreaterOrEqual(t, len(whole.messages), len(places)/8)
		for i := range 3 {
			for _, prefix := range []string{"", "$$"} {
				on := fmt.Sprintf("%sorder-%d", prefix, i)
				same(t, func(s *subject) *answer { return s.rawRead(readEverything(readStreamOptions(on))) })
			}
		}
		// Last, because a node writes these with an id of its own, whose length
		// moves what follows. ($tb above is how a client deletes.)
		on, forEver := stream.Draw(t, "stream"), rapid.Bool().Draw(t, "for ever")
		same(t, func(s *subject) *answer { return s.rawRemove(on, forEver) })
		for _, on := range []string{on, "$$" + on} {
			same(t, func(s *subject) *answer { return s.rawRead(readEverything(readStreamOptions(on))) })
		}
		same(t, func(s *subject) *answer { return s.rawRead(readEverything(readAllOptions())) })
	})
}

// direct draws a direction and a count.
func direct(t *rapid.T, options *streams.ReadReq_Options) {
	if rapid.Bool().Draw(t, "backwards") {
		options.ReadDirection = streams.ReadReq_Options_Backwards
	}
	options.CountOption = &streams.ReadReq_Options_Count{Count: rapid.Uint64Range(1, 20).Draw(t, "count")}
}
