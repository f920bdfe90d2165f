package embedded_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

func open(t testing.TB, dir string, opts embedded.Options) *embedded.Node {
	t.Helper()
	node, err := embedded.Open(dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, node.Close()) })
	return node
}

func TestNode_CloseEndsEverythingAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	node := open(t, t.TempDir(), embedded.Options{})
	client := connect(t, node)
	sub, err := client.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	defer sub.Close()
	socket := strings.TrimPrefix(node.Address(), "unix://")
	assert.FileExists(t, socket)
	require.NoError(t, node.Err())

	var closers sync.WaitGroup
	for range 3 {
		closers.Go(func() { assert.NoError(t, node.Close()) })
	}
	closers.Wait()
	<-node.Done()
	require.NoError(t, node.Err())
	assert.NoDirExists(t, filepath.Dir(socket))
	for {
		if e := sub.Recv(); e.SubscriptionDropped != nil {
			break
		}
	}
}

func TestNode_SocketIsPrivateAndItsPathShort(t *testing.T) {
	t.Parallel()
	node := open(t, t.TempDir(), embedded.Options{})
	socket := strings.TrimPrefix(node.Address(), "unix://")
	assert.Less(t, len(socket), 108)
	info, err := os.Stat(filepath.Dir(socket))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestNode_LeavesNoSocketBehindWhenItIsKilled(t *testing.T) {
	t.Parallel()
	dir, temporary := shortDir(t), t.TempDir()
	socket := filepath.Join(dir, "socket", "node.sock")
	cmd := child(t, "write", dir)
	cmd.Env = append(cmd.Env, "TMPDIR="+temporary)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.HasPrefix(lines.Text(), "acked"); {
	}
	assert.FileExists(t, socket)
	_, err = embedded.Open(dir, embedded.Options{})
	require.ErrorIs(t, err, embedded.ErrInUse)
	assert.FileExists(t, socket, "that of a live process stays")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	assert.FileExists(t, socket, "nobody could remove it")
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	assert.Empty(t, left)

	node := open(t, dir, embedded.Options{})
	assert.Equal(t, "unix://"+socket, node.Address())
	assert.NotEmpty(t, readAll(t, connect(t, node)))
	require.NoError(t, node.Close())
	assert.NoDirExists(t, filepath.Dir(socket))
}

func TestNode_SocketsOfLongPathsAreElsewhere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(shortDir(t), strings.Repeat("x", 90))
	node := open(t, dir, embedded.Options{})
	socket := strings.TrimPrefix(node.Address(), "unix://")
	assert.False(t, strings.HasPrefix(socket, dir))
	info, err := os.Stat(filepath.Dir(socket))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	_, err = connect(t, node).AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{}, event())
	require.NoError(t, err)
}

// shortDir is a directory whose path leaves room for the name of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tt") //nolint:usetesting // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestNode_CloseKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	node := open(t, dir, embedded.Options{})
	var mu sync.Mutex
	acked := make(map[string][]uuid.UUID)
	begun := make(chan struct{}, 1)
	var writers sync.WaitGroup
	for range 8 {
		client := connect(t, node)
		writers.Go(func() {
			stream := "order-" + uuid.NewString()
			for {
				e := event()
				if _, err := client.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{}, e); err != nil {
					return
				}
				mu.Lock()
				acked[stream] = append(acked[stream], e.EventID)
				enough := len(acked[stream]) >= 20
				mu.Unlock()
				if enough {
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	<-begun
	require.NoError(t, node.Close())
	writers.Wait()

	client := connect(t, open(t, dir, embedded.Options{}))
	for stream, want := range acked {
		got := readStream(t, client, stream)
		require.GreaterOrEqual(t, len(got), len(want))
		for i, id := range want {
			assert.Equal(t, id, got[i].Event.EventID)
		}
	}
	requireSound(t, client)
}

func TestOpen_RefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	node := open(t, dir, embedded.Options{})
	_, err := embedded.Open(dir, embedded.Options{})
	require.ErrorIs(t, err, embedded.ErrInUse)
	require.EqualError(t, err, "opening event store in "+dir+": in use by another process")

	out, err := child(t, "open", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "opening event store in "+dir+": in use by another process")

	require.NoError(t, node.Close())
	out, err = child(t, "open", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "opened")
}

func TestOpen_RefusesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*pebble.DB) error{
		"another database": func(db *pebble.DB) error { return db.Set([]byte("a"), []byte("b"), pebble.Sync) },
		"a newer format":   func(db *pebble.DB) error { return db.Set([]byte("f"), []byte{2}, pebble.Sync) },
		"no format at all": func(db *pebble.DB) error { return db.Set([]byte("f"), nil, pebble.Sync) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatTableFormatV6, Logger: silent{}})
			require.NoError(t, err)
			require.NoError(t, write(db))
			require.NoError(t, db.Close())
			_, err = embedded.Open(dir, embedded.Options{})
			require.ErrorContains(t, err, "opening event store in "+dir)
			// And it let go of it.
			db, err = pebble.Open(dir, &pebble.Options{Logger: silent{}})
			require.NoError(t, err)
			require.NoError(t, db.Close())
		})
	}
}

type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, _ ...any) { panic(format) }

func TestOpen_ListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0", "127.0.0.1"} {
		_, err := embedded.Open("data", embedded.Options{FS: vfs.NewMem(), Listen: address})
		require.ErrorContains(t, err, "listening", address)
	}
	node := open(t, "data", embedded.Options{FS: vfs.NewMem(), Listen: "127.0.0.1:0"})
	host, port, err := net.SplitHostPort(node.Address())
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1", host)
	assert.NotEqual(t, "0", port)

	// Discovery by gossip needs the node's real address in the answer.
	cfg, err := esdb.ParseConnectionString("esdb+discover://" + node.Address() + "?tls=false")
	require.NoError(t, err)
	cfg.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(cfg)
	require.NoError(t, err)
	defer client.Close()
	_, err = client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{}, event())
	require.NoError(t, err)
	assert.Len(t, readStream(t, client, "order-1"), 1)
}

func TestNode_SaysWhatItCanDo(t *testing.T) {
	t.Parallel()
	node := open(t, "data", embedded.Options{FS: vfs.NewMem()})
	conn := dial(t, node)
	features, err := serverfeatures.NewServerFeaturesClient(conn).GetSupportedMethods(t.Context(), &shared.Empty{})
	require.NoError(t, err)
	assert.Regexp(t, `^\d+\.\d+\.\d+$`, features.GetEventStoreServerVersion())
	for _, m := range features.GetMethods() {
		assert.Contains(t, []string{
			"event_store.client.streams.streams",
			"event_store.client.persistent_subscriptions.persistentsubscriptions",
		}, m.GetServiceName())
		assert.Equal(t, strings.ToLower(m.GetMethodName()), m.GetMethodName(), "clients compare in lower case")
	}
	cluster, err := gossip.NewGossipClient(conn).Read(t.Context(), &shared.Empty{})
	require.NoError(t, err)
	require.Len(t, cluster.GetMembers(), 1)
	assert.Equal(t, gossip.MemberInfo_Leader, cluster.GetMembers()[0].GetState())
	assert.True(t, cluster.GetMembers()[0].GetIsAlive())

	client := connect(t, node)
	version, err := client.GetServerVersion()
	require.NoError(t, err)
	assert.Equal(t, 24, version.Major)
}

func TestNode_CreatedNeverGoesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	now := begin
	opts := embedded.Options{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}}
	set := func(t time.Time) {
		mu.Lock()
		defer mu.Unlock()
		now = t
	}
	write := func(node *embedded.Node) {
		_, err := connect(t, node).AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event())
		require.NoError(t, err)
	}
	node := open(t, dir, opts)
	write(node)
	set(begin.Add(-time.Hour))
	write(node)
	require.NoError(t, node.Close())
	node = open(t, dir, opts)
	write(node)
	set(begin.Add(time.Second))
	write(node)
	var created []time.Time
	for _, e := range readStream(t, connect(t, node), "order-1") {
		created = append(created, e.Event.CreatedDate)
	}
	assert.Equal(t, []time.Time{begin, begin, begin, begin.Add(time.Second)}, created)
}

func TestNode_HidesEventsBeyondTheirAge(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	now := begin
	node := open(t, "data", embedded.Options{FS: vfs.NewMem(), Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	client := connect(t, node)
	var metadata esdb.StreamMetadata
	metadata.SetMaxAge(time.Hour)
	_, err := client.SetStreamMetadata(t.Context(), "order-1", esdb.AppendToStreamOptions{}, metadata)
	require.NoError(t, err)
	for i := range 3 {
		mu.Lock()
		now = begin.Add(time.Duration(i) * 40 * time.Minute)
		mu.Unlock()
		_, err = client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event())
		require.NoError(t, err)
	}
	visible := readStream(t, client, "order-1")
	require.Len(t, visible, 2)
	assert.EqualValues(t, 1, visible[0].Event.EventNumber)
}

// Children: the test binary, started again to be another process.

const (
	envChild    = "EMBEDDED_TEST_CHILD"
	envChildDir = "EMBEDDED_TEST_CHILD_DIR"
)

func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
	// Its socket goes where the test cleans up, also if it is killed.
	cmd.Env = append(os.Environ(), envChild+"="+role, envChildDir+"="+dir, "TMPDIR="+t.TempDir())
	return cmd
}

func TestChild(t *testing.T) {
	dir := os.Getenv(envChildDir)
	switch os.Getenv(envChild) {
	case "":
		t.Skip("not started as a child")
	case "open":
		node, err := embedded.Open(dir, embedded.Options{})
		if err != nil {
			t.Log(err)
			return
		}
		t.Log("opened")
		require.NoError(t, node.Close())
	case "write":
		writeUntilKilled(t, dir)
	}
}
