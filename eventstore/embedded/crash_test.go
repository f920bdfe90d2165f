package embedded_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/pebble/v2"
	pebblerecord "github.com/cockroachdb/pebble/v2/record"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// The load that dies: appenders through the official client, over BatchAppend, and
// over BatchAppend without a socket, on streams of their own and on streams shared
// by all.
const (
	ownAppenders    = 8 // of each way
	sharedAppenders = 5 // of each way
	sharedStreams   = 3
)

// attempt is one append of one event at an exact revision, as the child tells
// of it: "try" before it is sent, "acked" or "refused" after.
type attempt struct {
	stream   string
	revision uint64 // that the event is to have
	id       string
}

func (a attempt) String() string { return fmt.Sprintf("%s %d %s", a.stream, a.revision, a.id) }

func (a attempt) expected() esdb.ExpectedRevision {
	if a.revision == 0 {
		return esdb.NoStream{}
	}
	return esdb.Revision(a.revision - 1)
}

// appender appends one event; refused is the answer that the stream is not at
// the expected revision. An error leaves the outcome unknown.
type appender func(ctx context.Context, a attempt, data []byte) (refused bool, err error)

func throughClient(client *esdb.Client) appender {
	return func(ctx context.Context, a attempt, data []byte) (bool, error) {
		e := event()
		e.EventID, e.Data = uuid.MustParse(a.id), data
		result, err := client.AppendToStream(ctx, a.stream, esdb.AppendToStreamOptions{ExpectedRevision: a.expected()}, e)
		var coded *esdb.Error
		if errors.As(err, &coded) && coded.Code() == esdb.ErrorCodeWrongExpectedVersion {
			return true, nil
		}
		if err == nil && result.NextExpectedVersion != a.revision {
			err = fmt.Errorf("%s: acknowledged as revision %d", a, result.NextExpectedVersion)
		}
		return false, err
	}
}

// throughBatch is for one goroutine: it waits for each answer.
func throughBatch(call streams.Streams_BatchAppendClient) appender {
	return func(_ context.Context, a attempt, data []byte) (bool, error) {
		options := &streams.BatchAppendReq_Options{
			StreamIdentifier:       name(a.stream),
			ExpectedStreamPosition: &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}},
		}
		if a.revision > 0 {
			options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: a.revision - 1}
		}
		if err := call.Send(&streams.BatchAppendReq{
			CorrelationId: &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
			Options:       options,
			IsFinal:       true,
			ProposedMessages: []*streams.BatchAppendReq_ProposedMessage{{
				Id:       &shared.UUID{Value: &shared.UUID_String_{String_: a.id}},
				Metadata: map[string]string{"type": "order.accepted", "content-type": "application/json"},
				Data:     data,
			}},
		}); err != nil {
			return false, err
		}
		answer, err := call.Recv()
		switch {
		case err != nil:
			return false, err
		case answer.GetError() != nil:
			if err := status.ErrorProto(answer.GetError()); status.Code(err) != codes.AlreadyExists {
				return false, err
			}
			return true, nil
		case answer.GetSuccess().GetCurrentRevision() != a.revision:
			return false, fmt.Errorf("%s: acknowledged as revision %d", a, answer.GetSuccess().GetCurrentRevision())
		}
		return false, nil
	}
}

// nextRevision asks a stream for its end.
func nextRevision(ctx context.Context, client *esdb.Client, stream string) (uint64, error) {
	reader, err := client.ReadStream(ctx, stream, esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1)
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	last, err := reader.Recv()
	var coded *esdb.Error
	if errors.As(err, &coded) && coded.Code() == esdb.ErrorCodeResourceNotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return last.Event.EventNumber + 1, nil
}

// writeUntilKilled is the child: it tells its parent of every attempt and of
// its outcome.
func writeUntilKilled(t *testing.T, dir string) {
	node, err := embedded.Open(dir, embedded.Options{}.WithMemTable(256<<10))
	require.NoError(t, err)
	var mu sync.Mutex
	tell := func(what string, a attempt) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(os.Stdout, what, a)
	}
	client := connect(t, node)
	conn := streams.NewStreamsClient(dial(t, node))
	var writers sync.WaitGroup
	write := func(do appender, stream string, shared bool) {
		next := uint64(0)
		for id := uuid.NewString(); ; {
			if shared {
				var err error
				if next, err = nextRevision(t.Context(), client, stream); err != nil {
					return
				}
			}
			a := attempt{stream, next, id}
			tell("try", a)
			refused, err := do(t.Context(), a, fmt.Appendf(nil, `"%s"`, strings.Repeat("x", rand.IntN(2000))))
			switch {
			case err != nil:
				tell("failed", a)
				t.Log(err)
				return
			case refused && !shared:
				tell("lost", a) // nobody else writes there
				return
			case refused:
				tell("refused", a) // somebody was faster: the same event, at the new end
			default:
				tell("acked", a)
				next++
				id = uuid.NewString()
			}
		}
	}
	inside := streams.NewStreamsClient(node.Conn())
	for i := range 3 * (ownAppenders + sharedAppenders) {
		do := throughClient(client)
		if stubs := []streams.StreamsClient{conn, inside, nil}[i%3]; stubs != nil {
			call, err := stubs.BatchAppend(t.Context())
			require.NoError(t, err)
			do = throughBatch(call)
		}
		if i < 3*ownAppenders {
			writers.Go(func() { write(do, "order-"+uuid.NewString(), false) })
		} else {
			writers.Go(func() { write(do, fmt.Sprintf("order-shared-%d", i%sharedStreams), true) })
		}
	}
	writers.Wait()
}

// lives is what the parent learns from its children.
type lives struct {
	acked   map[string]map[uint64]string // stream -> revision -> id
	pending map[string]attempt           // by id: sent, outcome unknown
	counted int                          // all events that must be there in the end
}

// live starts a child, and kills it after it has acknowledged this many events.
func (l *lives) live(t *testing.T, dir string, until int) {
	t.Helper()
	cmd := child(t, "write", dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); {
		var what string
		var a attempt
		if _, err := fmt.Sscanf(lines.Text(), "%s %s %d %s", &what, &a.stream, &a.revision, &a.id); err != nil {
			continue
		}
		switch what {
		case "try":
			l.pending[a.id] = a
		case "refused":
			delete(l.pending, a.id)
		case "acked":
			delete(l.pending, a.id)
			l.ack(t, a)
			if n++; n == until {
				require.NoError(t, cmd.Process.Kill())
			}
		case "lost", "failed":
			require.NoError(t, cmd.Process.Kill())
			require.Fail(t, "an append failed though nobody had killed the node", lines.Text())
		}
	}
	require.Error(t, cmd.Wait(), "the child must die of the kill")
}

func (l *lives) ack(t *testing.T, a attempt) {
	t.Helper()
	if l.acked[a.stream] == nil {
		l.acked[a.stream] = make(map[uint64]string)
	}
	require.Empty(t, l.acked[a.stream][a.revision], "%s: acknowledged twice", a)
	l.acked[a.stream][a.revision] = a.id
	l.counted++
}

// settle tries what is pending again, with the same ids: an event that was
// written before the kill is recognised; one that was not is written now, on a
// shared stream perhaps at a later revision.
func (l *lives) settle(t *testing.T, node *embedded.Node) {
	t.Helper()
	client := connect(t, node)
	call, err := streams.NewStreamsClient(dial(t, node)).BatchAppend(t.Context())
	require.NoError(t, err)
	ways := []appender{throughClient(client), throughBatch(call)}
	i := 0
	for _, a := range l.pending {
		for {
			i++
			refused, err := ways[i%2](t.Context(), a, []byte(`"again"`))
			require.NoError(t, err, a)
			if !refused {
				break
			}
			require.Contains(t, a.stream, "shared", "%s: nobody else writes there", a)
			a.revision, err = nextRevision(t.Context(), client, a.stream)
			require.NoError(t, err)
		}
		l.ack(t, a)
	}
	clear(l.pending)
	require.NoError(t, call.CloseSend())
	_, err = call.Recv()
	require.ErrorIs(t, err, io.EOF)
}

// requireAcked reads the streams of this round, or all, and compares.
func (l *lives) requireAcked(t *testing.T, client *esdb.Client, streams iter.Seq[string]) {
	t.Helper()
	for stream := range streams {
		got := readStream(t, client, stream)
		want := l.acked[stream]
		require.Len(t, got, len(want), "%s: all pending appends are settled", stream)
		for i, e := range got {
			require.EqualValues(t, i, e.Event.EventNumber)
			require.Equal(t, want[uint64(i)], e.Event.EventID.String())
		}
	}
}

// TestNode_KeepsWhatWasAcknowledgedBeforeAKill kills a node under the load of 39
// appenders, again and again. No acknowledged event is lost; one whose outcome
// the kill left unknown is there once when it is tried again; revisions have no
// gaps.
func TestNode_KeepsWhatWasAcknowledgedBeforeAKill(t *testing.T) {
	t.Parallel()
	rounds := 5
	if soak() {
		rounds = 200
	}
	dir := t.TempDir()
	l := &lives{acked: make(map[string]map[uint64]string), pending: make(map[string]attempt)}
	settled, checked := 0, make(map[string]bool)
	for round := range rounds {
		l.live(t, dir, 100+rand.IntN(400))
		require.NotEmpty(t, l.acked)
		// Now and then the next child meets what the kill left.
		if rand.IntN(3) == 0 && round < rounds-1 {
			continue
		}
		settled += len(l.pending)
		node := open(t, dir, embedded.Options{})
		l.settle(t, node)
		client := connect(t, node)
		var fresh []string
		for stream := range l.acked {
			if !checked[stream] && !strings.Contains(stream, "shared") {
				checked[stream] = true
				fresh = append(fresh, stream)
			}
		}
		l.requireAcked(t, client, slices.Values(fresh))
		if round == rounds-1 {
			l.requireAcked(t, client, maps.Keys(l.acked))
			requireSound(t, client)
			ids := make(map[uuid.UUID]bool)
			for _, e := range readAll(t, client) {
				require.False(t, ids[e.Event.EventID], "%s is there twice", e.Event.EventID)
				ids[e.Event.EventID] = true
			}
			require.Len(t, ids, l.counted)
		}
		require.NoError(t, client.Close())
		require.NoError(t, node.Close())
	}
	t.Logf("%d kills, %d events, %d of them tried again", rounds, l.counted, settled)
	require.Positive(t, settled)
}

// crashed are the files of a store with n events, as a crash leaves them.
func crashed(t *testing.T, n int) (dir string, ids []uuid.UUID) {
	t.Helper()
	source := t.TempDir()
	node := open(t, source, embedded.Options{})
	h := &history{stream: "order-1"}
	record(t, node, h, n)
	require.Equal(t, n, h.acked)
	return copied(t, source), h.tried
}

// copied is a copy of a store's files, without its socket.
func copied(t *testing.T, source string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	entries, err := os.ReadDir(source)
	require.NoError(t, err)
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(source, e.Name()))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, e.Name()), content, 0o600))
	}
	return dir
}

// closed is a store with n events, closed in good order.
func closed(t *testing.T, n int) (dir string, ids []uuid.UUID) {
	t.Helper()
	dir = t.TempDir()
	node := open(t, dir, embedded.Options{}.WithMemTable(64<<10))
	h := &history{stream: "order-1"}
	record(t, node, h, n)
	require.Equal(t, n, h.acked)
	require.NoError(t, node.Close())
	return dir, h.tried
}

func files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found
}

// damage changes a copy of the file through do, and gives the copy's folder.
func damage(t *testing.T, file string, do func([]byte) []byte) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Dir(file))))
	path := filepath.Join(dir, filepath.Base(file))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, do(content), 0o600))
	return dir
}

// requireTruth: whatever happened to the files, what is read is what was
// written, in order and without a hole; anything else must be an error.
func requireTruth(t *testing.T, dir string, ids []uuid.UUID) (events int, opened bool) {
	t.Helper()
	node, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		var integrity *embedded.IntegrityError
		require.ErrorAs(t, err, &integrity)
		return 0, false
	}
	defer func() { assert.NoError(t, node.Close()) }()
	reader, err := connect(t, node).ReadAll(t.Context(), esdb.ReadAllOptions{}, 1<<40)
	require.NoError(t, err)
	defer reader.Close()
	for {
		e, err := reader.Recv()
		if err == io.EOF { //nolint:errorlint // the client's own
			return events, true
		}
		if err != nil {
			require.Equal(t, codes.DataLoss, grpcCode(err), "error: %v", err)
			return events, true
		}
		require.Less(t, events, len(ids))
		require.Equal(t, ids[events], e.Event.EventID)
		events++
	}
}

// TestOpen_AfterATruncatedTail: a crash can leave half a record at the end of
// the write-ahead log. More than that is damage, and found where the log says
// how far it was synced.
func TestOpen_AfterATruncatedTail(t *testing.T) {
	t.Parallel()
	dir, ids := crashed(t, 40)
	wal := files(t, dir, "*.log")
	last := wal[len(wal)-1]
	for cut := 1; cut < 100_000; cut = cut*3 + 1 {
		damaged := damage(t, last, func(b []byte) []byte { return b[:max(0, len(b)-cut)] })
		n, opened := requireTruth(t, damaged, ids)
		t.Logf("%d bytes cut off: opened %t, %d of %d events", cut, opened, n, len(ids))
		if cut < 10 {
			require.True(t, opened, "a torn end must be recovered from")
		}
	}
}

func TestOpen_AfterFlippedBitsInTheLog(t *testing.T) {
	t.Parallel()
	dir, ids := crashed(t, 40)
	wal := files(t, dir, "*.log")
	last := wal[len(wal)-1]
	info, err := os.Stat(last)
	require.NoError(t, err)
	// Within the last block nothing tells damage from a torn end.
	const block = 32 << 10
	for at := rand.Int64N(10_000); at < info.Size(); at += 10_000 {
		damaged := damage(t, last, func(b []byte) []byte { b[at] ^= 0x10; return b })
		n, opened := requireTruth(t, damaged, ids)
		t.Logf("bit flipped at %d of %d: opened %t, %d of %d events", at, info.Size(), opened, n, len(ids))
		if opened && at < info.Size()-2*block {
			require.Len(t, ids, n, "damage in the middle must be reported, not cut off")
		}
	}
}

// Every bit of a manifest is looked after; an end torn off anywhere is what a
// crash may leave.
func TestManifestDamage_IsNotATornEnd(t *testing.T) {
	t.Parallel()
	dir, _ := closed(t, 60)
	for _, name := range files(t, dir, "MANIFEST-*") {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		_, damaged := embedded.ManifestDamage(content)
		require.False(t, damaged)
		for length := range content {
			_, damaged := embedded.ManifestDamage(content[:length])
			require.False(t, damaged, "cut to %d bytes", length)
		}
		stride := 5
		if raceEnabled {
			stride = 61
		}
		for bit := 0; bit < 8*len(content); bit += stride {
			content[bit/8] ^= 1 << (bit % 8)
			at, damaged := embedded.ManifestDamage(content)
			require.True(t, damaged, "bit %d of byte %d", bit%8, bit/8)
			require.LessOrEqual(t, at, bit/8, "where the bad chunk begins")
			content[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// A record may lie in two blocks, and a power cut keep the second part only.
func TestManifestDamage_IsNotATornRecordInTwoBlocks(t *testing.T) {
	t.Parallel()
	const block = 32 << 10
	var manifest bytes.Buffer
	w := pebblerecord.NewWriter(&manifest)
	write := func(size int) {
		part, err := w.Next()
		require.NoError(t, err)
		_, err = part.Write(bytes.Repeat([]byte{7}, size))
		require.NoError(t, err)
		require.NoError(t, w.Flush())
	}
	write(block - 100)
	synced := manifest.Len()
	write(1000)
	whole := bytes.Clone(manifest.Bytes())
	clear(manifest.Bytes()[synced:block])
	_, damaged := embedded.ManifestDamage(manifest.Bytes())
	assert.False(t, damaged)

	// The same hole with another record behind it is damage.
	write(10)
	later := append(bytes.Clone(whole), manifest.Bytes()[len(whole):]...)
	clear(later[synced:block])
	_, damaged = embedded.ManifestDamage(later)
	assert.True(t, damaged)
}

// TestOpen_AfterFlippedBitsInTheManifest: the manifest is what makes tables part
// of the store. A flipped bit in it must not make the node forget any.
func TestOpen_AfterFlippedBitsInTheManifest(t *testing.T) {
	t.Parallel()
	dir, ids := closed(t, 10)
	// What a life of the node adds is forgotten without any other trace.
	for range 3 {
		node := open(t, dir, embedded.Options{}.WithMemTable(64<<10))
		h := &history{stream: "order-1", tried: ids, acked: len(ids)}
		record(t, node, h, len(ids)+25)
		require.NoError(t, node.Close())
		ids = h.tried
	}
	manifests := files(t, dir, "MANIFEST-*")
	newest := manifests[len(manifests)-1]
	info, err := os.Stat(newest)
	require.NoError(t, err)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	stride := 7
	if soak() {
		stride = 1
	}
	refused := 0
	for at := 0; at < int(info.Size()); at += stride {
		bit := byte(1) << random.IntN(8)
		damaged := damage(t, newest, func(b []byte) []byte { b[at] ^= bit; return b })
		n, opened := requireTruth(t, damaged, ids)
		if !opened {
			refused++
		} else {
			require.Len(t, ids, n, "seed %d: bit %08b of byte %d", seed, bit, at)
		}
		require.NoError(t, os.RemoveAll(damaged))
	}
	t.Logf("%d of %d flips kept the node from opening", refused, (int(info.Size())+stride-1)/stride)
	assert.Positive(t, refused)
}

// TestNode_ReportsFlippedBitsInTables flips one bit in a table, before the node
// opens it or while it has it open, and reads the log in every way there is.
// What is read is what was written, up to an error which says where in the log
// the damage is.
func TestNode_ReportsFlippedBitsInTables(t *testing.T) {
	t.Parallel()
	flips := 40
	if raceEnabled {
		flips = 15
	}
	if soak() {
		flips = 600
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	dir, ids := closed(t, 200)
	tables := files(t, dir, "*.sst")
	positions := make([]uint64, 0, len(ids)+1)
	node := open(t, dir, embedded.Options{})
	for _, e := range readAll(t, connect(t, node)) {
		positions = append(positions, e.Event.Position.Commit)
	}
	require.Len(t, positions, len(ids))
	require.NoError(t, node.Close())

	var unopened, met int
	for i := range flips {
		table := tables[random.IntN(len(tables))]
		info, err := os.Stat(table)
		require.NoError(t, err)
		at, bit, running := random.Int64N(info.Size()), byte(1)<<random.IntN(8), random.IntN(2) == 0
		flip := func(b []byte) []byte { b[at] ^= bit; return b }
		told := fmt.Sprintf("seed %d, flip %d: bit %08b of byte %d in %s, while running: %t", seed, i, bit, at, filepath.Base(table), running)

		opts := embedded.Options{CacheBytes: 1} // what is read comes from the file
		var damaged string
		var node *embedded.Node
		if running {
			damaged = damage(t, table, func(b []byte) []byte { return b })
			node, err = embedded.Open(damaged, opts)
			require.NoError(t, err, told)
			// In place: the node has the file open.
			file, err := os.OpenFile(filepath.Join(damaged, filepath.Base(table)), os.O_RDWR, 0)
			require.NoError(t, err)
			one := make([]byte, 1)
			_, err = file.ReadAt(one, at)
			require.NoError(t, err)
			_, err = file.WriteAt([]byte{one[0] ^ bit}, at)
			require.NoError(t, err)
			require.NoError(t, file.Close())
		} else {
			damaged = damage(t, table, flip)
			if node, err = embedded.Open(damaged, opts); err != nil {
				var integrity *embedded.IntegrityError
				require.ErrorAs(t, err, &integrity, told)
				unopened++
				continue
			}
		}
		client := connect(t, node)
		if requireToldWhere(t, client, ids, positions, told) {
			met++
		}
		require.NoError(t, client.Close())
		require.NoError(t, node.Close(), told)
		require.NoError(t, os.RemoveAll(damaged))
	}
	t.Logf("of %d flips, %d kept the node from opening, %d were met by a reader", flips, unopened, met)
	assert.Positive(t, met)
}

// requireToldWhere reads forwards and backwards, all and the one stream there
// is, and says whether any of it met damage.
func requireToldWhere(t *testing.T, client *esdb.Client, ids []uuid.UUID, positions []uint64, told string) (met bool) {
	t.Helper()
	last := len(ids) - 1
	for _, way := range []struct {
		name      string
		backwards bool
		read      func() (*esdb.ReadStream, error)
	}{
		{"all", false, func() (*esdb.ReadStream, error) {
			return client.ReadAll(t.Context(), esdb.ReadAllOptions{}, 1<<40)
		}},
		{"all, backwards", true, func() (*esdb.ReadStream, error) {
			return client.ReadAll(t.Context(), esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1<<40)
		}},
		{"stream", false, func() (*esdb.ReadStream, error) {
			return client.ReadStream(t.Context(), "order-1", esdb.ReadStreamOptions{}, 1<<40)
		}},
		{"stream, backwards", true, func() (*esdb.ReadStream, error) {
			return client.ReadStream(t.Context(), "order-1", esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1<<40)
		}},
	} {
		told := fmt.Sprintf("%s, reading %s", told, way.name)
		reader, err := way.read()
		require.NoError(t, err, told)
		n := 0
		for {
			var e *esdb.ResolvedEvent
			if e, err = reader.Recv(); err != nil {
				break
			}
			require.Less(t, n, len(ids), told)
			i := n
			if way.backwards {
				i = last - n
			}
			require.Equal(t, ids[i], e.Event.EventID, told)
			require.Equal(t, positions[i], e.Event.Position.Commit, told)
			n++
		}
		reader.Close()
		if errors.Is(err, io.EOF) {
			require.Len(t, ids, n, told)
			continue
		}
		met = true
		require.Equal(t, codes.DataLoss, grpcCode(err), "%s: %v", told, err)
		found := regexp.MustCompile(`record at position (\d+): `).FindStringSubmatch(err.Error())
		if found == nil {
			// A name belongs to a stream, not to a place in the log.
			require.ErrorContains(t, err, `looking up stream "`, told)
			continue
		}
		position, err2 := strconv.ParseUint(found[1], 10, 64)
		require.NoError(t, err2)
		told = fmt.Sprintf("%s, after %d events: %v", told, n, err)
		switch {
		case strings.Contains(err.Error(), "index of the stream"):
			require.Equal(t, positions[0], position, told)
		case !way.backwards:
			require.Equal(t, positions[n], position, told)
		case strings.Contains(err.Error(), "what comes before it") && n == 0:
			require.Greater(t, position, positions[last], told)
		case strings.Contains(err.Error(), "what comes before it"):
			require.Equal(t, positions[last-n+1], position, told)
		default:
			require.Equal(t, positions[last-n], position, told)
		}
	}
	return met
}

// TestNode_ReportsARecordThatIsNotWhatWasWritten changes a record behind
// Pebble's back, so that only its own checksum can tell.
func TestNode_ReportsARecordThatIsNotWhatWasWritten(t *testing.T) {
	t.Parallel()
	dir, ids := closed(t, 10)
	db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}})
	require.NoError(t, err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("e"), UpperBound: []byte("f")})
	require.NoError(t, err)
	require.True(t, it.First())
	for range 4 {
		require.True(t, it.Next())
	}
	key, value := append([]byte{}, it.Key()...), append([]byte{}, it.Value()...)
	require.NoError(t, it.Close())
	value[len(value)/2] ^= 1
	require.NoError(t, db.Set(key, value, pebble.Sync))
	require.NoError(t, db.Close())

	n, opened := requireTruth(t, dir, ids)
	assert.True(t, opened)
	assert.Equal(t, 4, n, "all before the damage, nothing of it")

	client := connect(t, open(t, dir, embedded.Options{}))
	reader, err := client.ReadStream(t.Context(), "order-1", esdb.ReadStreamOptions{From: esdb.Revision(4)}, 1)
	require.NoError(t, err)
	defer reader.Close()
	_, err = reader.Recv()
	require.Equal(t, codes.DataLoss, grpcCode(err))
	require.ErrorContains(t, err, "record at position ")
	// The rest is still there.
	reader, err = client.ReadStream(t.Context(), "order-1", esdb.ReadStreamOptions{From: esdb.Revision(5)}, 100)
	require.NoError(t, err)
	assert.Len(t, drain(t, reader), 5)
}

func grpcCode(err error) codes.Code {
	s, ok := status.FromError(err)
	if !ok {
		return codes.Unknown
	}
	return s.Code()
}
