package embedded_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"sync"
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

// fate is what becomes of one change of a file system.
type fate int

const (
	done     fate = iota
	lost          // it fails and is not made
	madeLost      // it is made and then reported as failed
)

// faultFS decides over each change of a file system. Changes are made one at a
// time, and have names such as "write 000004.log (7)", for the seventh time.
type faultFS struct {
	vfs.FS
	mu     sync.Mutex
	seen   map[string]int
	decide func(step string) fate
	after  func(step string) // of a change that is done; before the next begins
}

func newFaultFS(fs vfs.FS) *faultFS {
	return &faultFS{FS: fs, seen: make(map[string]int), decide: func(string) fate { return done }, after: func(string) {}}
}

func (f *faultFS) step(doing, name string, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	step := doing + " " + f.PathBase(name)
	f.seen[step]++
	step = fmt.Sprintf("%s (%d)", step, f.seen[step])
	switch f.decide(step) {
	case lost:
		return syscall.ENOSPC
	case madeLost:
		if err := do(); err != nil {
			return err
		}
		return syscall.ENOSPC
	case done:
	}
	err := do()
	f.after(step)
	return err
}

// become changes what is decided from now on.
func (f *faultFS) become(decide func(step string) fate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.decide = decide
}

// fillUpAt makes the nth change from now on fail, and all later ones; happened
// says whether it has come to that.
func (f *faultFS) fillUpAt(n int64) (happened func() bool) {
	count := int64(0)
	f.become(func(string) fate {
		if count++; count >= n {
			return lost
		}
		return done
	})
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return count >= n
	}
}

func (f *faultFS) file(doing, name string, open func() (vfs.File, error)) (out vfs.File, err error) {
	err = f.step(doing, name, func() error {
		file, err := open()
		out = &faultFile{File: file, fs: f, name: name}
		return err
	})
	return out, err
}

func (f *faultFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file("create", name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *faultFS) ReuseForWrite(o, n string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file("reuse "+f.PathBase(o)+" as", n, func() (vfs.File, error) { return f.FS.ReuseForWrite(o, n, c) })
}

func (f *faultFS) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	return &faultFile{File: file, fs: f, name: "directory " + f.PathBase(name)}, err
}

func (f *faultFS) Rename(o, n string) error {
	return f.step("rename "+f.PathBase(o)+" to", n, func() error { return f.FS.Rename(o, n) })
}

func (f *faultFS) Link(o, n string) error {
	return f.step("link "+f.PathBase(o)+" as", n, func() error { return f.FS.Link(o, n) })
}

func (f *faultFS) Remove(name string) error {
	return f.step("remove", name, func() error { return f.FS.Remove(name) })
}

type faultFile struct {
	vfs.File
	fs   *faultFS
	name string
}

func (f *faultFile) Write(p []byte) (n int, err error) {
	err = f.fs.step("write", f.name, func() error { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *faultFile) Sync() error     { return f.fs.step("sync", f.name, f.File.Sync) }
func (f *faultFile) SyncData() error { return f.fs.step("sync", f.name, f.File.SyncData) }
func (f *faultFile) SyncTo(n int64) (full bool, err error) {
	err = f.fs.step("sync", f.name, func() error { full, err = f.File.SyncTo(n); return err })
	return full, err
}

// history is what a test knows to be written, or tried.
type history struct {
	stream string
	bytes  int // per event; 0 is 3000
	// beside: each event is followed by a small one of another stream, so that the
	// tables of the stream index overlap and have to be compacted.
	beside bool

	mu    sync.Mutex
	tried []uuid.UUID
	acked int // this many of tried
}

func (h *history) snapshot() *history {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &history{stream: h.stream, bytes: h.bytes, beside: h.beside, tried: slices.Clone(h.tried), acked: h.acked}
}

// try is the id of event i, which is tried from now on.
func (h *history) try(i int) uuid.UUID {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i == len(h.tried) {
		h.tried = append(h.tried, uuid.New())
	}
	return h.tried[i]
}

func (h *history) ack(i int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acked = i + 1
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
		options := &streams.BatchAppendReq_Options{
			StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte(h.stream)},
			ExpectedStreamPosition: &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}},
		}
		if i > 0 {
			options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(i - 1)}
		}
		if !recordOne(t, call, options, h.try(i), cmp.Or(h.bytes, 3000)) {
			return
		}
		h.ack(i)
		if h.beside && !recordOne(t, call, &streams.BatchAppendReq_Options{
			StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("beside-" + h.stream)},
			ExpectedStreamPosition: &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}},
		}, uuid.New(), 10) {
			return
		}
	}
}

// recordOne appends one event; false if the node has failed.
func recordOne(t *testing.T, call streams.Streams_BatchAppendClient, options *streams.BatchAppendReq_Options, id uuid.UUID, bytes int) bool {
	t.Helper()
	most, least := esdb.UUIDAsInt64(id)
	err := call.Send(&streams.BatchAppendReq{
		CorrelationId: &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
		Options:       options,
		IsFinal:       true,
		ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{{
			Id: &shared.UUID{Value: &shared.UUID_Structured_{
				Structured: &shared.UUID_Structured{MostSignificantBits: most, LeastSignificantBits: least},
			}},
			Metadata: map[string]string{"type": "order.accepted", "content-type": "application/json"},
			Data:     make([]byte, bytes),
		}},
	})
	if err != nil {
		require.ErrorIs(t, err, io.EOF)
		return false
	}
	resp, err := call.Recv()
	return err == nil && resp.GetError() == nil
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

// The workload of the failure table: small, but the log rotates, tables are
// flushed and compacted, and the manifest is written.
const (
	tableEvents = 18
	tableBytes  = 8000
)

func tableOptions(fs vfs.FS) embedded.Options {
	return embedded.Options{FS: fs}.WithMemTable(32 << 10)
}

// runTable runs the workload until it ends or the node fails, and says what
// Open or Close said.
func runTable(t *testing.T, fs vfs.FS, h *history) error {
	t.Helper()
	node, err := embedded.Open("data", tableOptions(fs))
	if err != nil {
		return err
	}
	record(t, node, h, tableEvents)
	if h.acked < tableEvents {
		<-node.Done()
		require.ErrorIs(t, node.Err(), syscall.ENOSPC)
	}
	return node.Close()
}

// requireGoesOn opens what a failure left, checks all of it, writes on until
// tables are flushed again, and checks again.
func requireGoesOn(t *testing.T, disk vfs.FS, h *history) {
	t.Helper()
	node, err := embedded.Open("data", tableOptions(disk))
	require.NoError(t, err)
	requireKept(t, node, h)
	again := h.snapshot()
	want := h.acked + 5
	record(t, node, again, want)
	require.Equal(t, want, again.acked)
	requireKept(t, node, again)
	require.NoError(t, node.Close())
}

// tableSteps records the changes that the workload makes. They are not the same
// each time, because Pebble works in the background; the names that come back
// are the table's.
func tableSteps(t *testing.T) []string {
	t.Helper()
	const times = 3
	var order []string
	seen := make(map[string]int)
	for range times {
		fs := newFaultFS(vfs.NewMem())
		fs.after = func(step string) {
			if seen[step]++; seen[step] == 1 {
				order = append(order, step)
			}
		}
		h := &history{stream: "order-1", bytes: tableBytes, beside: true}
		require.NoError(t, runTable(t, fs, h))
		require.Equal(t, tableEvents, h.acked)
	}
	steps := slices.DeleteFunc(order, func(step string) bool { return seen[step] < times })
	for _, kind := range []string{
		`^create MANIFEST-`, `^write MANIFEST-`, `^sync MANIFEST-`, `^create marker\.manifest\.`, `^sync directory data`,
		`^create \d+\.log`, `^write \d+\.log`, `^sync \d+\.log`, `^reuse \d+\.log as \d+\.log`,
		`^create \d+\.sst`, `^write \d+\.sst`, `^sync \d+\.sst`,
		`^remove \d+\.sst`, // compacted
	} {
		require.True(t, slices.ContainsFunc(steps, regexp.MustCompile(kind).MatchString), "the workload has no step %s", kind)
	}
	return steps
}

// TestNode_SurvivesEveryFailedChangeAndKill is the failure table: each change of
// the disk fails and is lost, fails although it is made, fails as all later ones
// do, or is the last before a kill. A node whose disk fails must stop and say
// why. Afterwards, whether the machine lost power or only the process ended, the
// next open has all that was acknowledged, and goes on.
func TestNode_SurvivesEveryFailedChangeAndKill(t *testing.T) {
	t.Parallel()
	steps := tableSteps(t)
	stride := 5
	if raceEnabled || testing.Short() {
		stride = 12
	}
	if soak() {
		stride = 1
	}
	for _, column := range []struct {
		name  string
		fate  fate
		later fate // of all later changes
	}{
		{"fails and is lost", lost, done},
		{"fails although it is made", madeLost, done},
		{"fails as all later ones do", lost, lost}, // a full disk
	} {
		t.Run(column.name, func(t *testing.T) {
			t.Parallel()
			ran, absent := 0, 0
			for i := stride / 2; i < len(steps); i += stride {
				came := false
				for try := 0; try < 3 && !came; try++ {
					came = failStep(t, steps[i], column.fate, column.later)
				}
				if came {
					ran++
				} else {
					absent++
				}
			}
			t.Logf("%d of %d steps: %d cells ran, %d steps did not come up again", ran+absent, len(steps), ran, absent)
			require.Greater(t, ran, absent)
		})
	}
	t.Run("is the last before a kill", func(t *testing.T) {
		t.Parallel()
		// Few at a time: each is some copies of the disk.
		const batch = 16
		var chosen []string
		for i := stride / 2; i < len(steps); i += stride {
			chosen = append(chosen, steps[i])
		}
		absent := chosen
		for try := 0; try < 3 && len(absent) > 0; try++ {
			var still []string
			for some := range slices.Chunk(absent, batch) {
				still = append(still, killAfter(t, some)...)
			}
			absent = still
		}
		ran := len(chosen) - len(absent)
		t.Logf("%d of %d steps: %d cells ran, %d steps did not come up again", len(chosen), len(steps), ran, len(absent))
		require.Greater(t, ran, len(absent))
	})
}

// failStep is one cell; false if the step did not come up.
func failStep(t *testing.T, target string, at, later fate) (came bool) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	fs := newFaultFS(mem)
	fs.become(func(step string) fate {
		switch {
		case step == target:
			came = true
			return at
		case came:
			return later
		}
		return done
	})
	h := &history{stream: "order-1", bytes: tableBytes, beside: true}
	err := runTable(t, fs, h)
	// A change that doesn't matter for truth may fail without consequences. All
	// others must be named.
	if err != nil {
		require.ErrorIs(t, err, syscall.ENOSPC, target)
	} else {
		require.Equal(t, tableEvents, h.acked, target)
	}
	if !came {
		return false
	}
	for _, left := range []struct {
		name string
		disk vfs.FS
	}{{"power cut", mem.CrashClone(vfs.CrashCloneCfg{})}, {"process ended", mem}} {
		if !t.Run(target+", then "+left.name, func(t *testing.T) { requireGoesOn(t, left.disk, h) }) {
			t.FailNow()
		}
	}
	return true
}

// killAfter runs the workload once, keeps what each of the steps would have left
// had it been the last, and gives the steps that did not come up.
func killAfter(t *testing.T, steps []string) (absent []string) {
	t.Helper()
	type image struct {
		name string
		disk vfs.FS
		h    *history
	}
	var images []image
	mem := vfs.NewCrashableMem()
	fs := newFaultFS(mem)
	h := &history{stream: "order-1", bytes: tableBytes, beside: true}
	absent = slices.Clone(steps)
	fs.after = func(step string) {
		i := slices.Index(absent, step)
		if i < 0 {
			return
		}
		absent = slices.Delete(absent, i, i+1)
		known := h.snapshot() // before the copy, which so has all of it
		for _, left := range []struct {
			name    string
			percent int // kept of what was not synced
		}{{"power cut", 0}, {"process ended", 100}} {
			disk := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: left.percent, RNG: rand.New(rand.NewPCG(0, 0))})
			images = append(images, image{step + ", then " + left.name, disk, known})
		}
	}
	require.NoError(t, runTable(t, fs, h))
	for _, i := range images {
		if !t.Run(i.name, func(t *testing.T) { requireGoesOn(t, i.disk, i.h) }) {
			t.FailNow()
		}
	}
	return absent
}

func TestNode_TellsItsWaitingClientsThatTheDiskIsFull(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	fault := newFaultFS(mem)
	node, err := embedded.Open("data", embedded.Options{FS: fault})
	require.NoError(t, err)
	client := connect(t, node)
	_, err = client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{}, event())
	require.NoError(t, err)
	sub, err := client.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	defer sub.Close()

	fault.become(func(string) fate { return lost })
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
