package wire_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

// Everything here is compared with the generated code of the official client.

func marshal(t require.TestingT, m proto.Message) []byte {
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	return b
}

func structured(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

func drawID(t *rapid.T) uuid.UUID {
	return uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
}

func drawBytes(t *rapid.T, name string) []byte {
	return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, name)
}

func TestBatchAppendReq_IsWhatTheGeneratedCodeReads(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		correlation, id := drawID(t), drawID(t)
		stream, eventType := rapid.String().Draw(t, "stream"), rapid.String().Draw(t, "type")
		data, custom := drawBytes(t, "data"), drawBytes(t, "custom")
		expected := wire.Expectation(rapid.Int64Range(-1, math.MaxInt64-1).Draw(t, "expected"))
		within := time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "within"))

		b := wire.AppendUUID(nil, wire.FieldBatchCorrelation, correlation)
		b = wire.AppendBatchOptions(b, stream, expected, within)
		b = wire.AppendProposed(b, wire.FieldBatchProposed, id, eventType, data, custom)
		b = protowire.AppendVarint(protowire.AppendTag(b, wire.FieldBatchFinal, protowire.VarintType), 1)

		var got streams.BatchAppendReq
		require.NoError(t, proto.Unmarshal(b, &got))
		want := &streams.BatchAppendReq{
			CorrelationId: structured(correlation),
			Options: &streams.BatchAppendReq_Options{
				StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(stream)},
				ExpectedStreamPosition: &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(expected)},
				DeadlineOption:         &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(within)},
			},
			ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{{
				Id: structured(id), Metadata: map[string]string{"type": eventType, "content-type": "application/json"},
				CustomMetadata: custom, Data: data,
			}},
			IsFinal: true,
		}
		if expected == wire.NoStream {
			want.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
		}
		require.True(t, proto.Equal(want, &got), "got %v, want %v", &got, want)
	})
}

func TestOptions_AreWhatTheGeneratedCodeWrites(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 14, 30, 0, 123_000_000, time.UTC)
	within := func(d time.Duration) *time.Duration { return &d }
	identifier := &shared.StreamIdentifier{StreamName: []byte("order-1")}
	for name, tc := range map[string]struct {
		message proto.Message
		want    wire.Options
	}{
		"batch, revision": {
			&streams.BatchAppendReq_Options{StreamIdentifier: identifier, ExpectedStreamPosition: &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: 7}},
			wire.Options{Expected: 7, Expects: true},
		},
		"batch, no stream, timestamp": {
			&streams.BatchAppendReq_Options{
				StreamIdentifier: identifier, ExpectedStreamPosition: &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}},
				DeadlineOption: &streams.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: timestamppb.New(at)},
			},
			wire.Options{Expected: wire.NoStream, Expects: true, At: &at},
		},
		"batch, any, duration": {
			&streams.BatchAppendReq_Options{
				StreamIdentifier: identifier, ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
				DeadlineOption: &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(-1500 * time.Millisecond)},
			},
			wire.Options{Expected: wire.Any, Expects: true, Within: within(-1500 * time.Millisecond)},
		},
		"batch, exists, a duration beyond all": {
			&streams.BatchAppendReq_Options{
				StreamIdentifier: identifier, ExpectedStreamPosition: &streams.BatchAppendReq_Options_StreamExists{StreamExists: &emptypb.Empty{}},
				DeadlineOption: &streams.BatchAppendReq_Options_Deadline{Deadline: &durationpb.Duration{Seconds: math.MaxInt64}},
			},
			wire.Options{Expected: wire.StreamExists, Expects: true, Within: within(1 << 32 * time.Second)},
		},
		"batch, no time at all": {
			&streams.BatchAppendReq_Options{
				StreamIdentifier: identifier, ExpectedStreamPosition: &streams.BatchAppendReq_Options_StreamPosition{},
				DeadlineOption: &streams.BatchAppendReq_Options_Deadline{Deadline: &durationpb.Duration{}},
			},
			wire.Options{Expects: true, Within: within(0)},
		},
		"append, revision beyond all": {
			&streams.AppendReq_Options{StreamIdentifier: identifier, ExpectedStreamRevision: &streams.AppendReq_Options_Revision{Revision: math.MaxUint64}},
			wire.Options{Expected: math.MaxInt64 - 1, Expects: true},
		},
		"append, no stream": {
			&streams.AppendReq_Options{StreamIdentifier: identifier, ExpectedStreamRevision: &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}},
			wire.Options{Expected: wire.NoStream, Expects: true},
		},
		"append, any": {
			&streams.AppendReq_Options{StreamIdentifier: identifier, ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}}},
			wire.Options{Expected: wire.Any, Expects: true},
		},
		"append, exists": {
			&streams.AppendReq_Options{StreamIdentifier: identifier, ExpectedStreamRevision: &streams.AppendReq_Options_StreamExists{StreamExists: &shared.Empty{}}},
			wire.Options{Expected: wire.StreamExists, Expects: true},
		},
		"append, nothing expected": {&streams.AppendReq_Options{StreamIdentifier: identifier}, wire.Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got wire.Options
			require.NoError(t, got.Decode(marshal(t, tc.message)))
			if got.At != nil {
				utc := got.At.UTC()
				got.At = &utc
			}
			tc.want.Stream = []byte("order-1")
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestBatchAppendResp_RepeatsWhatWasExpected(t *testing.T) {
	t.Parallel()
	for expected, want := range map[wire.Expectation]*streams.BatchAppendResp{
		5:                 {ExpectedStreamPosition: &streams.BatchAppendResp_StreamPosition{StreamPosition: 5}},
		wire.NoStream:     {ExpectedStreamPosition: &streams.BatchAppendResp_NoStream{NoStream: &emptypb.Empty{}}},
		wire.Any:          {ExpectedStreamPosition: &streams.BatchAppendResp_Any{Any: &emptypb.Empty{}}},
		wire.StreamExists: {ExpectedStreamPosition: &streams.BatchAppendResp_StreamExists{StreamExists: &emptypb.Empty{}}},
	} {
		var got streams.BatchAppendResp
		require.NoError(t, proto.Unmarshal(expected.AppendEcho(nil), &got))
		assert.True(t, proto.Equal(want, &got), "%s: got %v", expected, &got)
	}
}

func TestSuccess_IsTheSameInBothCalls(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		success wire.Success
		append  *streams.AppendResp_Success
		batch   *streams.BatchAppendResp_Success
	}{
		"written": {
			wire.Success{Revision: 4, Commit: 300, Prepare: 200},
			&streams.AppendResp_Success{
				CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: 4},
				PositionOption:        &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{CommitPosition: 300, PreparePosition: 200}},
			},
			&streams.BatchAppendResp_Success{
				CurrentRevisionOption: &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: 4},
				PositionOption:        &streams.BatchAppendResp_Success_Position{Position: &shared.AllStreamPosition{CommitPosition: 300, PreparePosition: 200}},
			},
		},
		"nothing written": {
			wire.Success{Revision: -1},
			&streams.AppendResp_Success{
				CurrentRevisionOption: &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}},
				PositionOption:        &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}},
			},
			&streams.BatchAppendResp_Success{
				CurrentRevisionOption: &streams.BatchAppendResp_Success_NoStream{NoStream: &emptypb.Empty{}},
				PositionOption:        &streams.BatchAppendResp_Success_NoPosition{NoPosition: &emptypb.Empty{}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var one streams.AppendResp
			require.NoError(t, proto.Unmarshal(tc.success.Append(nil, wire.FieldAppendSuccess), &one))
			assert.True(t, proto.Equal(tc.append, one.GetSuccess()), "got %v", &one)
			var many streams.BatchAppendResp
			require.NoError(t, proto.Unmarshal(tc.success.Append(nil, wire.FieldBatchRespSuccess), &many))
			assert.True(t, proto.Equal(tc.batch, many.GetSuccess()), "got %v", &many)
			for _, m := range []proto.Message{tc.append, tc.batch} {
				var back wire.Success
				require.NoError(t, back.Decode(marshal(t, m)))
				assert.Equal(t, tc.success, back)
			}
		})
	}
}

func TestProposed_IsWhatTheGeneratedCodeWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := drawID(t)
		m := &streams.AppendReq_ProposedMessage{
			Id:       structured(id),
			Metadata: map[string]string{"type": rapid.String().Draw(t, "type"), "content-type": rapid.String().Draw(t, "content type"), "other": "x"},
			Data:     drawBytes(t, "data"), CustomMetadata: drawBytes(t, "custom"),
		}
		if rapid.Bool().Draw(t, "as text") {
			m.Id = &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
		}
		var got wire.Proposed
		require.NoError(t, got.Decode(marshal(t, m)))
		require.Equal(t, id, got.ID)
		require.True(t, got.HasID)
		require.Equal(t, m.GetMetadata()["type"], string(got.Type))
		require.Equal(t, m.GetMetadata()["content-type"], string(got.ContentType))
		require.NotNil(t, got.Type, "empty is not missing")
		require.Equal(t, string(m.GetData()), string(got.Data))
		require.Equal(t, string(m.GetCustomMetadata()), string(got.Custom))
	})
}

func TestRecorded_IsWhatTheGeneratedCodeWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := drawID(t)
		m := &streams.ReadResp_ReadEvent_RecordedEvent{
			Id: structured(id), StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(rapid.String().Draw(t, "stream"))},
			StreamRevision: rapid.Uint64().Draw(t, "revision"), PreparePosition: rapid.Uint64().Draw(t, "prepare"), CommitPosition: rapid.Uint64().Draw(t, "commit"),
			Metadata: map[string]string{"type": rapid.String().Draw(t, "type"), "created": "17", "content-type": "application/json"},
			Data:     drawBytes(t, "data"), CustomMetadata: drawBytes(t, "custom"),
		}
		var got wire.Recorded
		require.NoError(t, got.Decode(marshal(t, m)))
		require.Equal(t, id, got.ID)
		require.Equal(t, string(m.GetStreamIdentifier().GetStreamName()), string(got.Stream))
		require.Equal(t, []uint64{m.GetStreamRevision(), m.GetPreparePosition(), m.GetCommitPosition()}, []uint64{got.Revision, got.Prepare, got.Commit})
		require.Equal(t, m.GetMetadata()["type"], string(got.Type))
		require.EqualValues(t, 17, got.Created)
		require.Equal(t, string(m.GetData()), string(got.Data))
		require.Equal(t, string(m.GetCustomMetadata()), string(got.Custom))
	})
}

func TestUUIDString_IsWhatTheGeneratedCodeReads(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	b := wire.AppendUUIDString(nil, wire.FieldBatchCorrelation, id)
	assert.Len(t, b, wire.SizeUUIDString)
	var got streams.BatchAppendReq
	require.NoError(t, proto.Unmarshal(b, &got))
	assert.Equal(t, id.String(), got.GetCorrelationId().GetString_())
}

func TestDecode_RefusesWhatIsMalformed(t *testing.T) {
	t.Parallel()
	truncated := wire.AppendProposed(nil, 1, uuid.New(), "order.accepted", []byte("data"), nil)[2:]
	truncated = truncated[:len(truncated)-1]
	var p wire.Proposed
	require.ErrorIs(t, p.Decode(truncated), wire.ErrMalformed)
	require.ErrorIs(t, p.Decode(wire.AppendProperty(nil, 2, "type", "\xff")), wire.ErrMalformed, "text is UTF-8")
	_, err := wire.DecodeUUID(nil)
	require.ErrorIs(t, err, wire.ErrMalformed)
	_, err = wire.DecodeUUID(protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "not one"))
	require.ErrorIs(t, err, wire.ErrMalformed)
	var r wire.Recorded
	require.ErrorIs(t, r.Decode(wire.AppendProperty(nil, wire.FieldRecordedMetadata, "created", "yesterday")), wire.ErrMalformed)
	var o wire.Options
	require.ErrorIs(t, o.Decode([]byte{0xff}), wire.ErrMalformed)
}

// FuzzDecode: whatever comes over a socket is decoded or refused, and what both
// we and the generated code can read says the same.
func FuzzDecode(f *testing.F) {
	f.Add(wire.AppendProposed(nil, 1, uuid.New(), "order.accepted", []byte("data"), []byte("custom"))[3:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p wire.Proposed
		var m streams.AppendReq_ProposedMessage
		if p.Decode(b) == nil && proto.Unmarshal(b, &m) == nil {
			assert.Equal(t, string(m.GetData()), string(p.Data))
			assert.Equal(t, string(m.GetCustomMetadata()), string(p.Custom))
			assert.Equal(t, m.GetMetadata()["type"], string(p.Type))
		}
		var r wire.Recorded
		_ = r.Decode(b)
		var o wire.Options
		_ = o.Decode(b)
		var s wire.Success
		_ = s.Decode(b)
	})
}
