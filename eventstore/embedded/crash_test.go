package embedded_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// writeUntilKilled tells its parent of each event that was acknowledged.
func writeUntilKilled(t *testing.T, dir string) {
	node, err := embedded.Open(dir, embedded.Options{}.WithMemTable(256<<10))
	require.NoError(t, err)
	var mu sync.Mutex
	var writers sync.WaitGroup
	for range 4 {
		client := connect(t, node)
		writers.Go(func() {
			stream := "order-" + uuid.NewString()
			var expected esdb.ExpectedRevision = esdb.NoStream{}
			for {
				e := event()
				e.Data = fmt.Appendf(nil, `"%s"`, strings.Repeat("x", rand.IntN(4000)))
				result, err := client.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, e)
				if err != nil {
					return
				}
				mu.Lock()
				fmt.Fprintln(os.Stdout, "acked", stream, result.NextExpectedVersion, e.EventID)
				mu.Unlock()
				expected = esdb.Revision(result.NextExpectedVersion)
			}
		})
	}
	writers.Wait()
}

func TestNode_KeepsWhatWasAcknowledgedBeforeAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acked := make(map[string]map[uint64]string)
	for round := range 3 {
		cmd := child(t, "write", dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		until := 100 + rand.IntN(400)
		for n := 0; lines.Scan(); {
			var stream, id string
			var revision uint64
			if _, err := fmt.Sscanf(lines.Text(), "acked %s %d %s", &stream, &revision, &id); err != nil {
				continue
			}
			if acked[stream] == nil {
				acked[stream] = make(map[uint64]string)
			}
			acked[stream][revision] = id
			if n++; n == until {
				require.NoError(t, cmd.Process.Kill())
			}
		}
		require.Error(t, cmd.Wait(), "round %d: the child must die of the kill", round)
		require.NotEmpty(t, acked)

		node := open(t, dir, embedded.Options{})
		client := connect(t, node)
		for stream, want := range acked {
			got := readStream(t, client, stream)
			for revision, id := range want {
				require.Less(t, revision, uint64(len(got)))
				require.Equal(t, id, got[revision].Event.EventID.String())
			}
		}
		requireSound(t, client)
		require.NoError(t, node.Close())
	}
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

func TestNode_ReportsFlippedBitsInTables(t *testing.T) {
	t.Parallel()
	dir, ids := closed(t, 200)
	reported := 0
	tables := files(t, dir, "*.sst")
	for range 10 {
		table := tables[rand.IntN(len(tables))]
		damaged := damage(t, table, func(b []byte) []byte {
			b[rand.IntN(len(b))] ^= 0x10
			return b
		})
		if n, opened := requireTruth(t, damaged, ids); !opened || n < len(ids) {
			reported++
		}
	}
	t.Logf("%d of 10 flips met", reported)
	assert.Positive(t, reported)
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
