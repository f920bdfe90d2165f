package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// faultFS fails the changes of a file system from the nth on.
type faultFS struct {
	vfs.FS
	from  int64
	count atomic.Int64
	// once: only the nth fails, as in a hiccup; otherwise all later ones too,
	// as on a full disk.
	once bool
	// after: the change is made and then reported as failed.
	after bool
}

func (f *faultFS) step(do func() error) error {
	n := f.count.Add(1)
	fails := n == f.from || (n > f.from && !f.once)
	if !fails {
		return do()
	}
	if f.after {
		if err := do(); err != nil {
			return err
		}
	}
	return syscall.ENOSPC
}

func (f *faultFS) file(open func() (vfs.File, error)) (out vfs.File, err error) {
	err = f.step(func() error {
		file, err := open()
		out = &faultFile{File: file, fs: f}
		return err
	})
	return out, err
}

func (f *faultFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *faultFS) ReuseForWrite(o, n string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(func() (vfs.File, error) { return f.FS.ReuseForWrite(o, n, c) })
}

func (f *faultFS) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	return &faultFile{File: file, fs: f}, err
}

func (f *faultFS) Rename(o, n string) error {
	return f.step(func() error { return f.FS.Rename(o, n) })
}

func (f *faultFS) Link(o, n string) error {
	return f.step(func() error { return f.FS.Link(o, n) })
}

func (f *faultFS) Remove(name string) error {
	return f.step(func() error { return f.FS.Remove(name) })
}

type faultFile struct {
	vfs.File
	fs *faultFS
}

func (f *faultFile) Write(p []byte) (n int, err error) {
	err = f.fs.step(func() error { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *faultFile) Sync() error     { return f.fs.step(f.File.Sync) }
func (f *faultFile) SyncData() error { return f.fs.step(f.File.SyncData) }
func (f *faultFile) SyncTo(n int64) (full bool, err error) {
	err = f.fs.step(func() error { full, err = f.File.SyncTo(n); return err })
	return full, err
}

// history is what a test knows to be written, or tried.
type history struct {
	stream string
	tried  []uuid.UUID
	acked  int // this many of tried
}

// record appends events of some kilobytes, each at the exact revision, until
// the node fails or n are written. It goes around the official client, which
// would look for a failed node for ever.
func record(t *testing.T, node *embedded.Node, h *history, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	call, err := streams.NewStreamsClient(dial(t, node)).BatchAppend(ctx)
	require.NoError(t, err)
	defer func() {
		require.NoError(t, call.CloseSend())
		for {
			if _, err := call.Recv(); err != nil {
				return
			}
		}
	}()
	for i := h.acked; i < n; i++ {
		if i == len(h.tried) {
			h.tried = append(h.tried, uuid.New())
		}
		most, least := esdb.UUIDAsInt64(h.tried[i])
		options := &streams.BatchAppendReq_Options{
			StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(h.stream)},
			ExpectedStreamPosition: &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}},
		}
		if i > 0 {
			options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(i - 1)}
		}
		err := call.Send(&streams.BatchAppendReq{
			CorrelationId: &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
			Options:       options,
			IsFinal:       true,
			ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{{
				Id: &shared.UUID{Value: &shared.UUID_Structured_{
					Structured: &shared.UUID_Structured{MostSignificantBits: most, LeastSignificantBits: least},
				}},
				Metadata: map[string]string{"type": "order.accepted", "content-type": "application/json"},
				Data:     make([]byte, 3000),
			}},
		})
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			return
		}
		resp, err := call.Recv()
		if err != nil || resp.GetError() != nil {
			return
		}
		h.acked = i + 1
	}
}

// requireKept: everything acknowledged is there, nothing but what was tried
// is, and the log as a whole is in order.
func requireKept(t *testing.T, node *embedded.Node, h *history) {
	t.Helper()
	client := connect(t, node)
	got := readStream(t, client, h.stream)
	require.GreaterOrEqual(t, len(got), h.acked, "acknowledged events are missing")
	require.LessOrEqual(t, len(got), len(h.tried))
	for i, e := range got {
		require.Equal(t, h.tried[i], e.Event.EventID, "event %d", i)
		require.EqualValues(t, i, e.Event.EventNumber)
	}
	requireSound(t, client)
}

// requireSound checks the log against itself: positions rise, and each stream
// has in $all what it has by its own index.
func requireSound(t *testing.T, client *esdb.Client) {
	t.Helper()
	byStream := make(map[string][]uuid.UUID)
	var last uint64
	for _, e := range readAll(t, client) {
		require.Greater(t, e.Event.Position.Commit, last)
		last = e.Event.Position.Commit
		require.EqualValues(t, len(byStream[e.Event.StreamID]), e.Event.EventNumber)
		byStream[e.Event.StreamID] = append(byStream[e.Event.StreamID], e.Event.EventID)
	}
	for stream, want := range byStream {
		var got []uuid.UUID
		for _, e := range readStream(t, client, stream) {
			got = append(got, e.Event.EventID)
		}
		require.Equal(t, want, got, stream)
	}
}

func readStream(t *testing.T, client *esdb.Client, stream string) []*esdb.ResolvedEvent {
	t.Helper()
	reader, err := client.ReadStream(t.Context(), stream, esdb.ReadStreamOptions{}, 1<<40)
	require.NoError(t, err)
	return drain(t, reader)
}

func readAll(t *testing.T, client *esdb.Client) []*esdb.ResolvedEvent {
	t.Helper()
	reader, err := client.ReadAll(t.Context(), esdb.ReadAllOptions{}, 1<<40)
	require.NoError(t, err)
	return drain(t, reader)
}

// drain takes a missing stream for an empty one.
func drain(t *testing.T, reader *esdb.ReadStream) []*esdb.ResolvedEvent {
	t.Helper()
	defer reader.Close()
	var events []*esdb.ResolvedEvent
	for {
		e, err := reader.Recv()
		var coded *esdb.Error
		if errors.Is(err, io.EOF) || (errors.As(err, &coded) && coded.Code() == esdb.ErrorCodeResourceNotFound) {
			return events
		}
		require.NoError(t, err)
		events = append(events, e)
	}
}

// TestNode_SurvivesEveryFailedChange fails each change of the disk in turn:
// lost or made nonetheless, once or from then on. The node must stop and say
// why. Then the machine loses power, or only the process ends; in either case
// the next open has all that was acknowledged, and goes on.
func TestNode_SurvivesEveryFailedChange(t *testing.T) {
	t.Parallel()
	const events = 60
	stride := int64(11)
	if testing.Short() || raceEnabled {
		stride = 37
	}
	for _, once := range []bool{true, false} {
		for _, after := range []bool{true, false} {
			t.Run(fmt.Sprintf("once=%t,after=%t", once, after), func(t *testing.T) {
				t.Parallel()
				for n := int64(1); ; n += stride {
					mem := vfs.NewCrashableMem()
					fault := &faultFS{FS: mem, from: n, once: once, after: after}
					opts := embedded.Options{FS: fault}.WithMemTable(32 << 10)
					h := &history{stream: "order-1"}
					node, err := embedded.Open("data", opts)
					if err == nil {
						record(t, node, h, events)
						failed := fault.count.Load() >= n
						if h.acked < events {
							<-node.Done()
							require.ErrorIs(t, node.Err(), syscall.ENOSPC, "change %d", n)
						}
						err = node.Close()
						if !failed && err == nil {
							require.Equal(t, events, h.acked)
							return // all changes have had their turn
						}
					}
					// A change that doesn't matter for truth may fail without
					// consequences. All others must be named.
					if err != nil {
						require.ErrorIs(t, err, syscall.ENOSPC, "change %d", n)
					}
					for _, disk := range []vfs.FS{mem.CrashClone(vfs.CrashCloneCfg{}), mem} {
						reopened, err := embedded.Open("data", embedded.Options{FS: disk})
						require.NoError(t, err, "change %d", n)
						requireKept(t, reopened, h)
						again := *h
						record(t, reopened, &again, events+1)
						require.Equal(t, events+1, again.acked, "change %d", n)
						requireKept(t, reopened, &again)
						require.NoError(t, reopened.Close())
					}
				}
			})
		}
	}
}

func TestNode_TellsItsWaitingClientsThatTheDiskIsFull(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	fault := &faultFS{FS: mem, from: 1 << 40}
	node, err := embedded.Open("data", embedded.Options{FS: fault})
	require.NoError(t, err)
	client := connect(t, node)
	_, err = client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{}, event())
	require.NoError(t, err)
	sub, err := client.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	defer sub.Close()

	fault.from = fault.count.Load() + 1
	_, err = client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{}, event())
	var coded *esdb.Error
	require.ErrorAs(t, err, &coded)
	assert.Equal(t, esdb.ErrorUnavailable, coded.Code())
	require.ErrorContains(t, err, "no space left on device")

	<-node.Done()
	require.ErrorIs(t, node.Err(), syscall.ENOSPC)
	require.ErrorIs(t, node.Close(), syscall.ENOSPC)
	for {
		if e := sub.Recv(); e.SubscriptionDropped != nil {
			break
		}
	}
	reopened, err := embedded.Open("data", embedded.Options{FS: mem})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, reopened.Close()) })
	assert.NotEmpty(t, readAll(t, connect(t, reopened)))
}

func event() esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: "order.accepted", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}
}
