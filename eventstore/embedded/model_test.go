package embedded_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// model is the node's rule book, written as naively as it can be: lists in
// memory, everything remembered for ever.
type model struct {
	streams map[string]*modelStream
	all     []uuid.UUID // in commit order
}

type modelStream struct {
	events     []uuid.UUID
	from       int // events before are truncated
	deleted    bool
	tombstoned bool
}

// Named expectations, as EventStoreDB numbers them.
const (
	noStream = -1
	anyState = -2
	exists   = -4
)

// append gives the answer's code (OK, AlreadyExists for a wrong version,
// FailedPrecondition for a deleted stream) and the revision that goes with it.
func (m *model) append(stream string, expected int, ids []uuid.UUID) (codes.Code, int) {
	s := m.streams[stream]
	last := len(s.events) - 1
	switch {
	case s.tombstoned, expected == exists && s.deleted:
		return codes.FailedPrecondition, 0
	case expected == exists && last < 0:
		return codes.AlreadyExists, last
	case expected > last:
		return codes.AlreadyExists, last
	case (expected == anyState || expected == exists) && len(ids) > 0:
		found := -1
		for i, id := range ids {
			at := s.latest(id)
			if at < 0 && i == 0 {
				break
			}
			if at < 0 {
				return codes.AlreadyExists, last
			}
			found = at
		}
		if found >= 0 {
			return codes.OK, found
		}
	case expected >= noStream && expected < last:
		if len(ids) == 0 {
			return codes.AlreadyExists, last
		}
		same := 0
		for same < len(ids) && expected+1+same <= last && s.events[expected+1+same] == ids[same] {
			same++
		}
		if same == len(ids) {
			return codes.OK, expected + same
		}
		if same > 0 || expected != noStream || !s.deleted {
			return codes.AlreadyExists, last
		}
	}
	if len(ids) == 0 {
		return codes.OK, last
	}
	if s.deleted {
		s.deleted, s.from = false, len(s.events)
	}
	s.events = append(s.events, ids...)
	m.all = append(m.all, ids...)
	return codes.OK, len(s.events) - 1
}

func (s *modelStream) latest(id uuid.UUID) int {
	for i, e := range slices.Backward(s.events) {
		if e == id {
			return i
		}
	}
	return -1
}

// remove is a delete or a tombstone.
func (m *model) remove(stream string, expected int, forEver bool) codes.Code {
	s := m.streams[stream]
	last := len(s.events) - 1
	switch {
	case s.tombstoned, expected == exists && s.deleted:
		return codes.FailedPrecondition
	case expected == exists && last < 0, expected > last:
		return codes.FailedPrecondition
	case expected >= noStream && expected < last && (expected != noStream || !s.deleted):
		return codes.FailedPrecondition
	case !forEver && last < 0:
		return codes.FailedPrecondition
	}
	s.deleted, s.tombstoned = !forEver || s.deleted, forEver
	return codes.OK
}

// visible is what a reader gets; the code tells a missing stream and an ended one.
func (m *model) visible(stream string) ([]uuid.UUID, codes.Code) {
	s := m.streams[stream]
	switch {
	case s.tombstoned:
		return nil, codes.FailedPrecondition
	case len(s.events) == 0 || s.deleted:
		return nil, codes.NotFound
	}
	return s.events[s.from:], codes.OK
}

// subject is the node under test, as its clients see it.
type subject struct {
	t      *rapid.T
	opts   embedded.Options
	node   *embedded.Node
	conn   *grpc.ClientConn
	client streams.StreamsClient
}

func (s *subject) open() {
	var err error
	s.node, err = embedded.Open("data", s.opts)
	require.NoError(s.t, err)
	s.conn, err = grpc.NewClient(s.node.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s.t, err)
	s.client = streams.NewStreamsClient(s.conn)
}

func (s *subject) close() {
	require.NoError(s.t, s.conn.Close())
	require.NoError(s.t, s.node.Close())
}

func (s *subject) append(stream string, expected int, ids []uuid.UUID) (codes.Code, int) {
	options := &streams.AppendReq_Options{StreamIdentifier: name(stream)}
	switch expected {
	case noStream:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
	case anyState:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Any{Any: &shared.Empty{}}
	case exists:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	default:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: uint64(expected)}
	}
	call, err := s.client.Append(s.t.Context())
	require.NoError(s.t, err)
	require.NoError(s.t, call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: options}}))
	for _, id := range ids {
		p := proposed()
		p.Id = &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
		require.NoError(s.t, call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: p}}))
	}
	resp, err := call.CloseAndRecv()
	if err != nil {
		return grpcCode(err), 0
	}
	if wrong := resp.GetWrongExpectedVersion(); wrong != nil {
		if wrong.GetCurrentNoStream() != nil {
			return codes.AlreadyExists, -1
		}
		return codes.AlreadyExists, int(wrong.GetCurrentRevision())
	}
	if resp.GetSuccess().GetNoStream() != nil {
		return codes.OK, -1
	}
	return codes.OK, int(resp.GetSuccess().GetCurrentRevision())
}

func (s *subject) remove(stream string, expected int, forEver bool) codes.Code {
	del := &streams.DeleteReq_Options{StreamIdentifier: name(stream)}
	end := &streams.TombstoneReq_Options{StreamIdentifier: name(stream)}
	switch expected {
	case noStream:
		del.ExpectedStreamRevision = &streams.DeleteReq_Options_NoStream{NoStream: &shared.Empty{}}
		end.ExpectedStreamRevision = &streams.TombstoneReq_Options_NoStream{NoStream: &shared.Empty{}}
	case anyState:
		del.ExpectedStreamRevision = &streams.DeleteReq_Options_Any{Any: &shared.Empty{}}
		end.ExpectedStreamRevision = &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}}
	case exists:
		del.ExpectedStreamRevision = &streams.DeleteReq_Options_StreamExists{StreamExists: &shared.Empty{}}
		end.ExpectedStreamRevision = &streams.TombstoneReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	default:
		del.ExpectedStreamRevision = &streams.DeleteReq_Options_Revision{Revision: uint64(expected)}
		end.ExpectedStreamRevision = &streams.TombstoneReq_Options_Revision{Revision: uint64(expected)}
	}
	var err error
	if forEver {
		_, err = s.client.Tombstone(s.t.Context(), &streams.TombstoneReq{Options: end})
	} else {
		_, err = s.client.Delete(s.t.Context(), &streams.DeleteReq{Options: del})
	}
	return grpcCode(err)
}

// read gives ids, without those of the store's own events.
func (s *subject) read(options *streams.ReadReq_Options) ([]uuid.UUID, codes.Code) {
	options.UuidOption = &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}}
	options.CountOption = &streams.ReadReq_Options_Count{Count: math.MaxUint64}
	call, err := s.client.Read(s.t.Context(), &streams.ReadReq{Options: options})
	require.NoError(s.t, err)
	var ids []uuid.UUID
	for {
		resp, err := call.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return ids, codes.OK
		case err != nil:
			return nil, grpcCode(err)
		case resp.GetStreamNotFound() != nil:
			return nil, codes.NotFound
		}
		e := resp.GetEvent().GetEvent()
		if e.GetMetadata()["type"][0] != '$' {
			ids = append(ids, uuid.MustParse(e.GetId().GetString_()))
		}
	}
}

// TestNode_IsWhatTheModelSays runs random requests and restarts on a node and
// on the model and compares every answer, and in the end all that can be read.
func TestNode_IsWhatTheModelSays(t *testing.T) {
	t.Parallel()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		if runs++; raceEnabled && runs > 15 {
			return
		}
		m := &model{streams: make(map[string]*modelStream)}
		var names []string
		for i := range 3 {
			names = append(names, fmt.Sprintf("order-%d", i))
			m.streams[names[i]] = &modelStream{}
		}
		// Few ids, so that requests repeat each other.
		pool := make([]uuid.UUID, 6)
		for i := range pool {
			pool[i] = uuid.New()
		}
		memTable := rapid.SampledFrom([]int{0, 32 << 10}).Draw(t, "mem table")
		s := &subject{t: t, opts: embedded.Options{FS: vfs.NewMem()}.WithMemTable(memTable)}
		s.open()
		defer func() { s.close() }()
		expectation := rapid.SampledFrom([]int{noStream, anyState, exists, 0, 1, 2, 3, 5})
		stream := rapid.SampledFrom(names)
		repeat := map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				on, expected := stream.Draw(t, "stream"), expectation.Draw(t, "expected")
				ids := rapid.SliceOfN(rapid.SampledFrom(pool), 0, 4).Draw(t, "ids")
				wantCode, wantRevision := m.append(on, expected, ids)
				code, revision := s.append(on, expected, ids)
				require.Equal(t, wantCode, code)
				require.Equal(t, wantRevision, revision)
			},
			"append at the end": func(t *rapid.T) {
				on := stream.Draw(t, "stream")
				ids := rapid.SliceOfN(rapid.SampledFrom(pool), 1, 4).Draw(t, "ids")
				expected := len(m.streams[on].events) - 1
				wantCode, wantRevision := m.append(on, expected, ids)
				code, revision := s.append(on, expected, ids)
				require.Equal(t, wantCode, code)
				require.Equal(t, wantRevision, revision)
			},
			"delete": func(t *rapid.T) {
				on, expected := stream.Draw(t, "stream"), expectation.Draw(t, "expected")
				require.Equal(t, m.remove(on, expected, false), s.remove(on, expected, false))
			},
			"tombstone": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
					t.Skip("tombstones end too much")
				}
				on, expected := stream.Draw(t, "stream"), expectation.Draw(t, "expected")
				require.Equal(t, m.remove(on, expected, true), s.remove(on, expected, true))
			},
			"restart": func(*rapid.T) {
				s.close()
				s.open()
			},
			"": func(t *rapid.T) {
				on := stream.Draw(t, "read")
				want, wantCode := m.visible(on)
				got, code := s.read(readStreamOptions(on))
				require.Equal(t, wantCode, code)
				require.Equal(t, want, got)
			},
		}
		t.Repeat(repeat)
		got, code := s.read(readAllOptions())
		require.Equal(t, codes.OK, code)
		require.Equal(t, m.all, got)
	})
}
