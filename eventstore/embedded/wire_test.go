package embedded_test

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// wire speaks to a node without the official client, to see what that hides.
type wire struct {
	t      *testing.T
	client streams.StreamsClient
}

func newWire(t *testing.T) (*wire, *embedded.Node) {
	t.Helper()
	node := open(t, "data", embedded.Options{FS: vfs.NewMem()})
	return &wire{t: t, client: streams.NewStreamsClient(dial(t, node))}, node
}

func (w *wire) context() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	w.t.Cleanup(cancel)
	return ctx
}

func name(stream string) *shared.StreamIdentifier {
	return &shared.StreamIdentifier{StreamName: []byte(stream)}
}

func appendOptions(stream string) *streams.AppendReq_Options {
	return &streams.AppendReq_Options{
		StreamIdentifier:       name(stream),
		ExpectedStreamRevision: &streams.AppendReq_Options_Any{Any: &shared.Empty{}},
	}
}

func proposed() *streams.AppendReq_ProposedMessage {
	return &streams.AppendReq_ProposedMessage{
		Id:       &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
		Metadata: map[string]string{"type": "order.accepted", "content-type": "application/json"},
		Data:     []byte(`{}`),
	}
}

func (w *wire) append(options *streams.AppendReq_Options, events ...*streams.AppendReq_ProposedMessage) (*streams.AppendResp, metadata.MD, error) {
	w.t.Helper()
	call, err := w.client.Append(w.context())
	require.NoError(w.t, err)
	if options != nil {
		send(w.t, call, &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: options}})
	}
	for _, e := range events {
		send(w.t, call, &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: e}})
	}
	resp, err := call.CloseAndRecv()
	return resp, call.Trailer(), err
}

// send: a server that has already answered makes sending fail with EOF.
func send[T any](t *testing.T, call grpc.ClientStreamingClient[T, streams.AppendResp], req *T) {
	t.Helper()
	if err := call.Send(req); !errors.Is(err, io.EOF) {
		require.NoError(t, err)
	}
}

func (w *wire) read(options *streams.ReadReq_Options) ([]*streams.ReadResp, metadata.MD, error) {
	w.t.Helper()
	call, err := w.client.Read(w.context(), &streams.ReadReq{Options: options})
	require.NoError(w.t, err)
	var all []*streams.ReadResp
	for {
		resp, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return all, call.Trailer(), nil
		}
		if err != nil {
			return all, call.Trailer(), err
		}
		all = append(all, resp)
	}
}

func structured() *streams.ReadReq_Options_UUIDOption {
	return &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}}
}

func readStreamOptions(stream string) *streams.ReadReq_Options {
	return &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: name(stream),
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
		}},
		CountOption:  &streams.ReadReq_Options_Count{Count: 100},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   structured(),
	}
}

func readAllOptions() *streams.ReadReq_Options {
	o := readStreamOptions("")
	o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
		AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}},
	}}
	return o
}

func readAllFrom(commit, prepare uint64) *streams.ReadReq_Options {
	o := readAllOptions()
	o.StreamOption = &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
		AllOption: &streams.ReadReq_Options_AllOptions_Position{
			Position: &streams.ReadReq_Options_Position{CommitPosition: commit, PreparePosition: prepare},
		},
	}}
	return o
}

func subscription(o *streams.ReadReq_Options) *streams.ReadReq_Options {
	o.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	return o
}

func TestAppend_RefusesWhatEventStoreDBRefuses(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	change := func(do func(*streams.AppendReq_ProposedMessage)) *streams.AppendReq_ProposedMessage {
		m := proposed()
		do(m)
		return m
	}
	for name, c := range map[string]struct {
		options  *streams.AppendReq_Options
		event    *streams.AppendReq_ProposedMessage
		trailers map[string]string
	}{
		"no options":           {event: proposed()},
		"no expected revision": {options: &streams.AppendReq_Options{StreamIdentifier: name("order-1")}, event: proposed()},
		"no stream":            {options: appendOptions(""), event: proposed()},
		"all":                  {options: appendOptions("$all"), event: proposed()},
		"metadata of metadata": {options: appendOptions("$$$$order-1"), event: proposed()},
		"metadata of nothing":  {options: appendOptions("$$"), event: proposed()},
		"a name not in UTF-8":  {options: appendOptions("\xff"), event: proposed()},
		"an endless name":      {options: appendOptions(string(make([]byte, 5000))), event: proposed()},
		"no id":                {options: appendOptions("order-1"), event: change(func(m *streams.AppendReq_ProposedMessage) { m.Id = nil })},
		"an empty id": {options: appendOptions("order-1"), event: change(func(m *streams.AppendReq_ProposedMessage) {
			m.Id = &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{}}}
		})},
		"an id that is none": {options: appendOptions("order-1"), event: change(func(m *streams.AppendReq_ProposedMessage) {
			m.Id = &shared.UUID{Value: &shared.UUID_String_{String_: "order-1"}}
		})},
		"an empty type": {options: appendOptions("order-1"), event: change(func(m *streams.AppendReq_ProposedMessage) { m.Metadata["type"] = "" })},
		"no type": {
			options:  appendOptions("order-1"),
			event:    change(func(m *streams.AppendReq_ProposedMessage) { delete(m.Metadata, "type") }),
			trailers: map[string]string{"exception": "missing-required-metadata-property", "required-metadata-properties": "type,content-type"},
		},
		"no content type": {
			options:  appendOptions("order-1"),
			event:    change(func(m *streams.AppendReq_ProposedMessage) { delete(m.Metadata, "content-type") }),
			trailers: map[string]string{"exception": "missing-required-metadata-property"},
		},
		"too many bytes": {
			options:  appendOptions("order-1"),
			event:    change(func(m *streams.AppendReq_ProposedMessage) { m.Data = make([]byte, 1<<20) }),
			trailers: map[string]string{"exception": "maximum-append-size-exceeded", "maximum-append-size": "1048576"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{t: t, client: w.client}
			_, trailers, err := w.append(c.options, c.event)
			require.Equal(t, codes.InvalidArgument, grpcCode(err), "error: %v", err)
			for key, want := range c.trailers {
				assert.Equal(t, []string{want}, trailers.Get(key))
			}
			all, _, err := w.read(readAllOptions())
			require.NoError(t, err)
			assert.Empty(t, all, "nothing may be written")
		})
	}
}

func TestAppend_SaysWhatItExpectedAndWhatThereIs(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	resp, _, err := w.append(appendOptions("order-1"), proposed(), proposed())
	require.NoError(t, err)
	assert.EqualValues(t, 1, resp.GetSuccess().GetCurrentRevision())
	assert.Positive(t, resp.GetSuccess().GetPosition().GetCommitPosition())

	at := appendOptions("order-1")
	at.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: 7}
	resp, _, err = w.append(at, proposed())
	require.NoError(t, err)
	wrong := resp.GetWrongExpectedVersion()
	require.NotNil(t, wrong)
	assert.EqualValues(t, 1, wrong.GetCurrentRevision())
	assert.EqualValues(t, 1, wrong.GetCurrentRevision_20_6_0())
	assert.EqualValues(t, 7, wrong.GetExpectedRevision())
	assert.EqualValues(t, 7, wrong.GetExpectedRevision_20_6_0())

	at = appendOptions("order-2")
	at.ExpectedStreamRevision = &streams.AppendReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	resp, _, err = w.append(at, proposed())
	require.NoError(t, err)
	wrong = resp.GetWrongExpectedVersion()
	assert.NotNil(t, wrong.GetCurrentNoStream())
	assert.NotNil(t, wrong.GetNoStream_20_6_0())
	assert.NotNil(t, wrong.GetExpectedStreamExists())
	assert.NotNil(t, wrong.GetStreamExists_20_6_0())

	at = appendOptions("order-1")
	at.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
	resp, _, err = w.append(at, proposed())
	require.NoError(t, err)
	assert.NotNil(t, resp.GetWrongExpectedVersion().GetExpectedNoStream())

	// No revision is that high; the largest must not wrap into a named one.
	at = appendOptions("order-1")
	at.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: math.MaxUint64}
	resp, _, err = w.append(at, proposed())
	require.NoError(t, err)
	assert.NotNil(t, resp.GetWrongExpectedVersion())
}

func TestAppend_OfNothingWritesNothing(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	resp, _, err := w.append(appendOptions("order-1"))
	require.NoError(t, err)
	assert.NotNil(t, resp.GetSuccess().GetNoStream())
	_, _, err = w.append(appendOptions("order-1"), proposed())
	require.NoError(t, err)
	resp, _, err = w.append(appendOptions("order-1"))
	require.NoError(t, err)
	assert.Zero(t, resp.GetSuccess().GetCurrentRevision())
	assert.Nil(t, resp.GetSuccess().GetNoStream())
	all, _, err := w.read(readAllOptions())
	require.NoError(t, err)
	assert.Len(t, all, 1)
}

func TestRead_RefusesWhatItCannotAnswer(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	written, _, err := w.append(appendOptions("order-1"), proposed(), proposed())
	require.NoError(t, err)
	last := written.GetSuccess().GetPosition().GetCommitPosition()
	change := func(o *streams.ReadReq_Options, do func(*streams.ReadReq_Options)) *streams.ReadReq_Options {
		do(o)
		return o
	}
	filtered := func(f *streams.ReadReq_Options_FilterOptions) *streams.ReadReq_Options {
		return subscription(change(readAllOptions(), func(o *streams.ReadReq_Options) {
			o.FilterOption = &streams.ReadReq_Options_Filter{Filter: f}
		}))
	}
	byType := func(e *streams.ReadReq_Options_FilterOptions_Expression) *streams.ReadReq_Options_FilterOptions_EventType {
		return &streams.ReadReq_Options_FilterOptions_EventType{EventType: e}
	}
	prefix := &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"a"}}
	for name, c := range map[string]struct {
		options *streams.ReadReq_Options
		want    codes.Code
	}{
		"nothing":                  {&streams.ReadReq_Options{}, codes.InvalidArgument},
		"no stream name":           {readStreamOptions(""), codes.InvalidArgument},
		"no count":                 {change(readAllOptions(), func(o *streams.ReadReq_Options) { o.CountOption = nil }), codes.InvalidArgument},
		"no stream":                {change(readAllOptions(), func(o *streams.ReadReq_Options) { o.StreamOption = nil }), codes.InvalidArgument},
		"no form of UUID":          {change(readAllOptions(), func(o *streams.ReadReq_Options) { o.UuidOption = nil }), codes.InvalidArgument},
		"a subscription backwards": {subscription(change(readAllOptions(), func(o *streams.ReadReq_Options) { o.ReadDirection = streams.ReadReq_Options_Backwards })), codes.InvalidArgument},
		"a filtered stream": {change(readStreamOptions("order-1"), func(o *streams.ReadReq_Options) {
			o.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{Filter: byType(prefix)}}
		}), codes.InvalidArgument},
		"a page off the boundaries":           {readAllFrom(last+1, last+1), codes.Unknown},
		"a page beyond the end":               {readAllFrom(1<<40, 1<<40), codes.Unknown},
		"a page from half a position":         {readAllFrom(last, 0), codes.Unknown},
		"a subscription off the boundaries":   {subscription(readAllFrom(last+1, last+1)), codes.InvalidArgument},
		"a subscription beyond the end":       {subscription(readAllFrom(1<<40, 1<<40)), codes.InvalidArgument},
		"a subscription from half a position": {subscription(readAllFrom(last, 0)), codes.InvalidArgument},
		"an empty filter":                     {filtered(&streams.ReadReq_Options_FilterOptions{CheckpointIntervalMultiplier: 1}), codes.InvalidArgument},
		"a filter without expression": {filtered(&streams.ReadReq_Options_FilterOptions{
			Filter: byType(&streams.ReadReq_Options_FilterOptions_Expression{}), CheckpointIntervalMultiplier: 1,
		}), codes.InvalidArgument},
		"a filter with two expressions": {filtered(&streams.ReadReq_Options_FilterOptions{
			Filter:                       byType(&streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"a"}, Regex: "a"}),
			CheckpointIntervalMultiplier: 1,
		}), codes.InvalidArgument},
		"a filter with lookahead": {filtered(&streams.ReadReq_Options_FilterOptions{
			Filter: byType(&streams.ReadReq_Options_FilterOptions_Expression{Regex: "^(?!a)"}), CheckpointIntervalMultiplier: 1,
		}), codes.InvalidArgument},
		"no checkpoint interval": {filtered(&streams.ReadReq_Options_FilterOptions{Filter: byType(prefix)}), codes.InvalidArgument},
		"no window": {filtered(&streams.ReadReq_Options_FilterOptions{
			Filter: byType(prefix), CheckpointIntervalMultiplier: 1,
			Window: &streams.ReadReq_Options_FilterOptions_Max{},
		}), codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := (&wire{t: t, client: w.client}).read(c.options)
			assert.Equal(t, c.want, grpcCode(err), "error: %v", err)
		})
	}
}

// TestRead_SubscribingAtTheEndIsRefused: the end is the place of the next
// record, and "after" it would skip that one.
func TestRead_SubscribingAtTheEndIsRefused(t *testing.T) {
	t.Parallel()
	w, node := newWire(t)
	_, _, err := w.append(appendOptions("order-1"), proposed())
	require.NoError(t, err)
	all := readAll(t, connect(t, node))
	require.Len(t, all, 1)
	// The second record shows how long the first, alike one, is.
	resp, _, err := w.append(appendOptions("order-1"), proposed())
	require.NoError(t, err)
	second := resp.GetSuccess().GetPosition().GetCommitPosition()
	end := second + (second - all[0].Event.Position.Commit)
	refused := 0
	for at := end - 8; at <= end+8; at++ {
		_, _, err := w.read(subscription(readAllFrom(at, at)))
		if grpcCode(err) == codes.InvalidArgument {
			refused++
		}
	}
	assert.Equal(t, 17, refused)
}

func TestRead_WritesUUIDsAsAsked(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	event := proposed()
	_, _, err := w.append(appendOptions("order-1"), event)
	require.NoError(t, err)
	o := readStreamOptions("order-1")
	o.UuidOption = &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}}
	got, _, err := w.read(o)
	require.NoError(t, err)
	require.Len(t, got, 1)
	assert.Equal(t, event.GetId().GetString_(), got[0].GetEvent().GetEvent().GetId().GetString_())
	got, _, err = w.read(readStreamOptions("order-1"))
	require.NoError(t, err)
	assert.NotNil(t, got[0].GetEvent().GetEvent().GetId().GetStructured())
}

func TestRead_PagesOfAllCanBeFiltered(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	for range 600 {
		_, _, err := w.append(appendOptions("order-1"), proposed())
		require.NoError(t, err)
	}
	_, _, err := w.append(appendOptions("account-1"), proposed(), proposed(), proposed())
	require.NoError(t, err)
	for _, direction := range []streams.ReadReq_Options_ReadDirection{streams.ReadReq_Options_Forwards, streams.ReadReq_Options_Backwards} {
		o := readAllOptions()
		o.ReadDirection = direction
		if direction == streams.ReadReq_Options_Backwards {
			o.GetAll().AllOption = &streams.ReadReq_Options_AllOptions_End{End: &shared.Empty{}}
		}
		o.CountOption = &streams.ReadReq_Options_Count{Count: 2}
		o.FilterOption = &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{
				StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"account-"}},
			},
			Window:                       &streams.ReadReq_Options_FilterOptions_Count{Count: &shared.Empty{}},
			CheckpointIntervalMultiplier: 1,
		}}
		got, _, err := w.read(o)
		require.NoError(t, err)
		require.Len(t, got, 2, "a page holds events and nothing else, or the client panics")
		for _, e := range got {
			assert.Equal(t, "account-1", string(e.GetEvent().GetEvent().GetStreamIdentifier().GetStreamName()))
		}
	}
}

func TestSubscription_TellsWhenAndWhereItCaughtUp(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	written, _, err := w.append(appendOptions("order-1"), proposed(), proposed())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		options *streams.ReadReq_Options
		field   protowire.Number
	}{
		"all":           {subscription(readAllOptions()), 3},
		"stream":        {subscription(readStreamOptions("order-1")), 2},
		"absent stream": {subscription(readStreamOptions("order-2")), 2},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			call, err := w.client.Read(ctx, &streams.ReadReq{Options: c.options})
			require.NoError(t, err)
			first, err := call.Recv()
			require.NoError(t, err)
			assert.NotEmpty(t, first.GetConfirmation().GetSubscriptionId(), "the confirmation must come first")
			for {
				resp, err := call.Recv()
				require.NoError(t, err)
				caughtUp := resp.GetCaughtUp()
				if caughtUp == nil {
					continue
				}
				fields := unknown(t, caughtUp.ProtoReflect().GetUnknown())
				assert.Contains(t, fields, protowire.Number(1), "the time")
				require.Contains(t, fields, c.field)
				switch name {
				case "stream":
					assert.EqualValues(t, 1, fields[2])
				case "absent stream":
					assert.EqualValues(t, -1, fields[2])
				case "all":
					inner, ok := fields[3].([]byte)
					require.True(t, ok)
					position := unknown(t, inner)
					assert.EqualValues(t, written.GetSuccess().GetPosition().GetCommitPosition(), position[1])
					assert.EqualValues(t, written.GetSuccess().GetPosition().GetPreparePosition(), position[2])
				}
				return
			}
		})
	}
}

func unknown(t *testing.T, b []byte) map[protowire.Number]any {
	t.Helper()
	fields := make(map[protowire.Number]any)
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		require.GreaterOrEqual(t, n, 0)
		b = b[n:]
		if kind == protowire.VarintType {
			v, n := protowire.ConsumeVarint(b)
			require.GreaterOrEqual(t, n, 0)
			fields[number], b = int64(v), b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		require.GreaterOrEqual(t, n, 0)
		fields[number], b = v, b[n:]
	}
	return fields
}

func TestDelete_SaysWhyNotInItsTrailers(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	stream := "order-ünïcode"
	_, _, err := w.append(appendOptions(stream), proposed(), proposed())
	require.NoError(t, err)

	var trailers metadata.MD
	_, err = w.client.Delete(w.context(), &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier: name(stream), ExpectedStreamRevision: &streams.DeleteReq_Options_Revision{Revision: 5},
	}}, grpc.Trailer(&trailers))
	assert.Equal(t, codes.FailedPrecondition, grpcCode(err))
	assert.Equal(t, []string{"wrong-expected-version"}, trailers.Get("exception"))
	assert.Equal(t, []string{"5"}, trailers.Get("expected-version"))
	assert.Equal(t, []string{"1"}, trailers.Get("actual-version"))

	_, err = w.client.Delete(w.context(), &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier: name("order-nowhere"), ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}},
	}}, grpc.Trailer(&trailers))
	assert.Equal(t, codes.FailedPrecondition, grpcCode(err))
	assert.Equal(t, []string{"wrong-expected-version"}, trailers.Get("exception"))

	_, err = w.client.Delete(w.context(), &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier: name("$$" + stream), ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}},
	}})
	assert.Equal(t, codes.InvalidArgument, grpcCode(err))
	_, err = w.client.Delete(w.context(), &streams.DeleteReq{Options: &streams.DeleteReq_Options{StreamIdentifier: name(stream)}})
	assert.Equal(t, codes.InvalidArgument, grpcCode(err))
	_, err = w.client.Tombstone(w.context(), &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{StreamIdentifier: name(stream)}})
	assert.Equal(t, codes.InvalidArgument, grpcCode(err))

	_, err = w.client.Tombstone(w.context(), &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier: name(stream), ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
	}})
	require.NoError(t, err)
	for _, s := range []string{stream, "$$" + stream} {
		_, trailers, err = w.append(appendOptions(s), proposed())
		assert.Equal(t, codes.FailedPrecondition, grpcCode(err))
		assert.Equal(t, []string{"stream-deleted"}, trailers.Get("exception"))
		// The client panics if this one is missing.
		assert.Len(t, trailers.Get("stream-name"), 1)
	}
	_, trailers, err = w.read(readStreamOptions(stream))
	assert.Equal(t, codes.FailedPrecondition, grpcCode(err))
	assert.Equal(t, []string{"stream-deleted"}, trailers.Get("exception"))
	assert.Len(t, trailers.Get("stream-name"), 1)
	// A stream that never was may end too.
	_, err = w.client.Tombstone(w.context(), &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier: name("order-never"), ExpectedStreamRevision: &streams.TombstoneReq_Options_NoStream{NoStream: &shared.Empty{}},
	}})
	require.NoError(t, err)
	_, _, err = w.read(readStreamOptions("order-never"))
	assert.Equal(t, codes.FailedPrecondition, grpcCode(err))
}

func batchChunk(stream string, final bool, events int) *streams.BatchAppendReq {
	req := &streams.BatchAppendReq{
		CorrelationId: &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
		Options: &streams.BatchAppendReq_Options{
			StreamIdentifier:       name(stream),
			ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
		},
		IsFinal: final,
	}
	for range events {
		p := proposed()
		req.ProposedMessages = append(req.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{Id: p.GetId(), Metadata: p.GetMetadata(), Data: p.GetData()})
	}
	return req
}

func TestBatchAppend_RefusesABatchAndGoesOn(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	call, err := w.client.BatchAppend(w.context())
	require.NoError(t, err)
	ask := func(req *streams.BatchAppendReq) *streams.BatchAppendResp {
		require.NoError(t, call.Send(req))
		resp, err := call.Recv()
		require.NoError(t, err)
		return resp
	}
	for _, spoil := range []func(*streams.BatchAppendReq){
		func(r *streams.BatchAppendReq) { r.Options = nil },
		func(r *streams.BatchAppendReq) { r.Options.ExpectedStreamPosition = nil },
		func(r *streams.BatchAppendReq) { r.Options.StreamIdentifier = name("$all") },
		func(r *streams.BatchAppendReq) { delete(r.ProposedMessages[0].Metadata, "type") },
		func(r *streams.BatchAppendReq) { r.ProposedMessages[1].Id = nil },
	} {
		req := batchChunk("order-1", true, 2)
		spoil(req)
		resp := ask(req)
		require.NotNil(t, resp.GetError())
		assert.EqualValues(t, codes.InvalidArgument, resp.GetError().GetCode())
		require.Len(t, resp.GetError().GetDetails(), 1)
		var detail shared.BadRequest
		require.NoError(t, resp.GetError().GetDetails()[0].UnmarshalTo(&detail))
		assert.NotEmpty(t, detail.GetMessage())
	}
	resp := ask(batchChunk("order-1", true, 2))
	require.NotNil(t, resp.GetSuccess())
	assert.EqualValues(t, 1, resp.GetSuccess().GetCurrentRevision())
	assert.NotNil(t, resp.GetAny())

	// A deleted stream is an error of its own.
	_, err = w.client.Tombstone(w.context(), &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier: name("order-1"), ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
	}})
	require.NoError(t, err)
	resp = ask(batchChunk("order-1", true, 1))
	assert.EqualValues(t, codes.NotFound, resp.GetError().GetCode())
	var deleted shared.StreamDeleted
	require.NoError(t, resp.GetError().GetDetails()[0].UnmarshalTo(&deleted))
	assert.Equal(t, "order-1", string(deleted.GetStreamIdentifier().GetStreamName()))

	// Without a correlation id there is nobody to answer to.
	req := batchChunk("order-2", true, 1)
	req.CorrelationId = nil
	require.NoError(t, call.Send(req))
	_, err = call.Recv()
	assert.Equal(t, codes.InvalidArgument, grpcCode(err))
}

func TestBatchAppend_DropsAnUnfinishedBatchAfterItsDeadline(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	call, err := w.client.BatchAppend(w.context())
	require.NoError(t, err)
	req := batchChunk("order-1", false, 1)
	req.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(-time.Second)}
	require.NoError(t, call.Send(req))
	resp, err := call.Recv()
	require.NoError(t, err)
	assert.EqualValues(t, codes.DeadlineExceeded, resp.GetError().GetCode())
}

func TestBatchAppend_BoundsUnfinishedBatches(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	call, err := w.client.BatchAppend(w.context())
	require.NoError(t, err)
	for {
		if err := call.Send(batchChunk("order-1", false, 1)); err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
	}
	_, err = call.Recv()
	assert.Equal(t, codes.ResourceExhausted, grpcCode(err))
}

// TestBatchAppend_KeepsMoreInFlightThanItHolds: a client that sends without
// reading is held back, not dropped, and gets every answer in the end.
func TestBatchAppend_KeepsMoreInFlightThanItHolds(t *testing.T) {
	t.Parallel()
	w, node := newWire(t)
	call, err := w.client.BatchAppend(w.context())
	require.NoError(t, err)
	const batches = 3000
	sent := make(chan error, 1)
	go func() {
		for range batches {
			if err := call.Send(batchChunk("order-1", true, 1)); err != nil {
				sent <- err
				return
			}
		}
		sent <- call.CloseSend()
	}()
	for range batches {
		resp, err := call.Recv()
		require.NoError(t, err)
		require.NotNil(t, resp.GetSuccess())
	}
	require.NoError(t, <-sent)
	_, err = call.Recv()
	require.ErrorIs(t, err, io.EOF)
	assert.Len(t, readStream(t, connect(t, node), "order-1"), batches)
}

func TestClient_ReadsEventsOfEverySize(t *testing.T) {
	t.Parallel()
	_, node := newWire(t)
	client := connect(t, node)
	want := make(map[uuid.UUID]int)
	for size := 0; size < 1<<20; size = size*5 + 1 {
		e := event()
		e.ContentType = esdb.ContentTypeBinary
		e.Data = make([]byte, size)
		want[e.EventID] = size
		_, err := client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, e)
		require.NoError(t, err)
	}
	all := readAll(t, client)
	assert.Len(t, all, len(want))
	for _, e := range all {
		assert.Len(t, e.Event.Data, want[e.Event.EventID])
	}
}

// TestAppend_PassesOverFieldsOfOtherCalls: an Append has no deadline, even if its
// options carry what would be one in BatchAppend.
func TestAppend_PassesOverFieldsOfOtherCalls(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	options := appendOptions("order-1")
	options.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), []byte{8, 5}))
	resp, _, err := w.append(options, proposed())
	require.NoError(t, err)
	require.NotNil(t, resp.GetSuccess().GetPosition())
	events, _, err := w.read(readStreamOptions("order-1"))
	require.NoError(t, err)
	assert.Len(t, events, 1)
}

func TestBatchAppend_WithoutTimeIsTooLate(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	call, err := w.client.BatchAppend(w.context())
	require.NoError(t, err)
	req := batchChunk("order-1", true, 1)
	req.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(0)}
	require.NoError(t, call.Send(req))
	resp, err := call.Recv()
	require.NoError(t, err)
	assert.EqualValues(t, codes.DeadlineExceeded, resp.GetError().GetCode())
}

// TestAppend_BoundsWhatTheStreamsNameAddsToEachEvent: the size that the protocol
// limits doesn't count it.
func TestAppend_BoundsWhatTheStreamsNameAddsToEachEvent(t *testing.T) {
	t.Parallel()
	w, _ := newWire(t)
	many := make([]*streams.AppendReq_ProposedMessage, 10_000)
	for i := range many {
		many[i] = proposed()
		many[i].Data = nil
	}
	_, _, err := w.append(appendOptions(strings.Repeat("n", 4096)), many...)
	assert.Equal(t, codes.InvalidArgument, grpcCode(err))
	_, _, err = w.append(appendOptions("order-1"), many...)
	assert.NoError(t, err)
}
