package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/remote"
)

// recordOrder records the beginning of an order and returns the event's id.
func recordOrder(ctx context.Context, client *remote.Client, order string, data map[string]any) (id string, err error) {
	text, err := json.Marshal(map[string]any{
		"event_type": "order.submitted", "occurred_at": "2026-03-02T14:30:00Z", "order_id": order, "account_id": "A", "data": data,
	})
	if err != nil {
		return "", err
	}
	items, err := ingest.ParseBody(bytes.NewReader(text), ingest.FramingGuess)
	if err != nil {
		return "", err
	}
	receipts, err := client.Record(ctx, "test", items)
	if err != nil {
		return "", err
	}
	if receipts[0].Status != ingest.Recorded {
		return "", fmt.Errorf("order %s is %s", order, receipts[0].Status)
	}
	return receipts[0].EventID, nil
}

// load records orders until it is stopped, and keeps what was acknowledged.
type load struct {
	mu           sync.Mutex
	acknowledged []string
	enough       chan struct{}
}

func startLoad(t *testing.T, server *process) (l *load, stop func()) {
	t.Helper()
	client, err := remote.New(server.URL)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	l = &load{enough: make(chan struct{})}
	var running sync.WaitGroup
	for worker := range 2 {
		running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id, err := recordOrder(context.WithoutCancel(ctx), client, fmt.Sprintf("o-%d-%d", worker, i), nil)
				if err != nil {
					t.Error(err)
					return
				}
				l.mu.Lock()
				if l.acknowledged = append(l.acknowledged, id); len(l.acknowledged) == 200 {
					close(l.enough)
				}
				l.mu.Unlock()
			}
		})
	}
	return l, func() {
		cancel()
		running.Wait()
	}
}

func (l *load) ids() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.acknowledged...)
}

func chainJSON(t *testing.T, server *process, order string) string {
	t.Helper()
	code, stdout, stderr := tradetrail("", "chain", "--server", server.URL, "--format", "json", order)
	require.Zero(t, code, stderr)
	return stdout
}

func TestBackup_WhileServing(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, filepath.Join(dir, "a"), "")
	l, stop := startLoad(t, server)
	<-l.enough
	before := l.ids()
	file := filepath.Join(dir, "a.tar")
	code, stdout, stderr := tradetrail("", "backup", "--server", server.URL, "--output", file)
	require.Zero(t, code, stderr)
	stop()
	assert.Regexp(t, `^wrote .*/a\.tar: \d+ events, up to position C:\d+/P:\d+, recorded 20\d\d-.*Z; \d+ bytes in \d+ files; copied 20`, stdout)
	t.Log(stdout)
	assert.NoFileExists(t, file+".partial")
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	code, _, stderr = tradetrail("", "backup", "--server", server.URL, "--output", file)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "is there already")
	server.caughtUp()
	whole := accountEvents(server, "A")
	chain := chainJSON(t, server, "o-0-0")
	assert.Zero(t, server.stop(), server.output())

	code, stdout, stderr = tradetrail("", "restore", "--input", file, "--data-dir", filepath.Join(dir, "b"))
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, "restored to "+filepath.Join(dir, "b"))
	left, err := os.ReadDir(filepath.Join(dir, "b"))
	require.NoError(t, err)
	require.Len(t, left, 1)
	restored := startServer(t, filepath.Join(dir, "b"), "")
	restored.caughtUp()
	got := accountEvents(restored, "A")
	there := make(map[string]bool)
	for _, e := range got {
		there[e.EventID] = true
	}
	for _, id := range before {
		require.True(t, there[id], "event %s was acknowledged before the backup and is not in it", id)
	}
	require.Equal(t, whole[:len(got)], got, "a prefix of the log")
	assert.JSONEq(t, chain, chainJSON(t, restored, "o-0-0"))
	assert.Zero(t, restored.stop(), restored.output())

	// Without a server, straight from the directory, and from standard input.
	again := filepath.Join(dir, "b.tar")
	code, _, stderr = tradetrail("", "backup", "--data-dir", filepath.Join(dir, "b"), "--output", again)
	require.Zero(t, code, stderr)
	text, err := os.ReadFile(again)
	require.NoError(t, err)
	code, _, stderr = tradetrail(string(text), "restore", "--input", "-", "--data-dir", filepath.Join(dir, "c"))
	require.Zero(t, code, stderr)
	second := startServer(t, filepath.Join(dir, "c"), "")
	second.caughtUp()
	assert.Equal(t, got, accountEvents(second, "A"))
	code, _, stderr = tradetrail("", "backup", "--data-dir", filepath.Join(dir, "c"), "--output", filepath.Join(dir, "c.tar"))
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "in use by another process")
	assert.NoFileExists(t, filepath.Join(dir, "c.tar.partial"))
	assert.Zero(t, second.stop(), second.output())
}

func TestBackup_Refusals(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"no output":        {[]string{"backup"}, exitUsage, "--output FILE is missing"},
		"no store":         {[]string{"backup", "--output", filepath.Join(dir, "x"), "--data-dir", filepath.Join(dir, "none")}, exitError, "no such file or directory"},
		"no such folder":   {[]string{"backup", "--output", filepath.Join(dir, "none", "x"), "--data-dir", dir}, exitError, "writing the backup"},
		"no server":        {[]string{"backup", "--output", filepath.Join(dir, "x"), "--server", "http://127.0.0.1:1"}, exitError, "asking http://127.0.0.1:1"},
		"no input":         {[]string{"restore", "--data-dir", dir}, exitUsage, "must be given"},
		"no directory":     {[]string{"restore", "--input", "x"}, exitUsage, "must be given"},
		"no such backup":   {[]string{"restore", "--input", filepath.Join(dir, "x"), "--data-dir", dir}, exitError, "opening the backup"},
		"an empty backup":  {[]string{"restore", "--input", "-", "--data-dir", filepath.Join(dir, "new")}, exitIntegrity, "it is empty"},
		"a used directory": {[]string{"restore", "--input", "-", "--data-dir", "."}, exitError, "is not empty"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := tradetrail("", c.args...)
			assert.Equal(t, c.code, code, stderr)
			assert.Contains(t, stderr, c.stderr)
		})
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestRestore_OfADamagedCopy(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, filepath.Join(dir, "a"), "")
	l, stop := startLoad(t, server)
	<-l.enough
	stop()
	file := filepath.Join(dir, "a.tar")
	code, _, stderr := tradetrail("", "backup", "--server", server.URL, "--output", file)
	require.Zero(t, code, stderr)
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	flipped := bytes.Clone(whole)
	flipped[bytes.Index(flipped, []byte("store/"))+600] ^= 1
	for name, text := range map[string][]byte{"truncated": whole[:len(whole)*2/3], "without its end": whole[:len(whole)-1024], "flipped": flipped} {
		require.NoError(t, os.WriteFile(file, text, 0o600))
		code, _, stderr = tradetrail("", "restore", "--input", file, "--data-dir", filepath.Join(dir, "b"))
		assert.Equal(t, exitIntegrity, code, "%s: %s", name, stderr)
		assert.Contains(t, stderr, "damaged", name)
		assert.NoDirExists(t, filepath.Join(dir, "b"), name)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 2)
}

const largeEvents = 50

// fill records more than what fits between a server and a client that does not read.
func fill(t *testing.T, server *process) {
	t.Helper()
	client, err := remote.New(server.URL)
	require.NoError(t, err)
	random := rand.NewChaCha8([32]byte{})
	noise := make([]byte, 200_000)
	for i := range largeEvents {
		_, err := random.Read(noise)
		require.NoError(t, err)
		_, err = recordOrder(t.Context(), client, fmt.Sprint("large-", i), map[string]any{"noise": hex.EncodeToString(noise)})
		require.NoError(t, err)
	}
}

func TestBackup_WhenTheServerIsKilledInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, filepath.Join(dir, "a"), "")
	fill(t, server)
	// The proxy kills the server when a part has passed.
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := http.Post(server.URL+r.URL.Path, "", nil)
		if !assert.NoError(t, err) {
			return
		}
		defer response.Body.Close()
		_, err = io.CopyN(w, response.Body, 1<<20)
		assert.NoError(t, err)
		server.kill()
		_, err = io.Copy(w, response.Body)
		assert.Error(t, err)
		panic(http.ErrAbortHandler)
	}))
	defer proxy.Close()
	code, _, stderr := tradetrail("", "backup", "--server", proxy.URL, "--output", filepath.Join(dir, "a.tar"))
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "went away in the middle of its answer")
	assert.NoFileExists(t, filepath.Join(dir, "a.tar"))
	assert.NoFileExists(t, filepath.Join(dir, "a.tar.partial"))
	assert.DirExists(t, filepath.Join(dir, "a", "events", "backup"), "nobody could remove it")

	server = startServer(t, filepath.Join(dir, "a"), "")
	assert.NoDirExists(t, filepath.Join(dir, "a", "events", "backup"))
	server.caughtUp()
	var answer struct {
		Account struct{ Events struct{ TotalCount int } }
	}
	server.query(&answer, `{ account(id: "A") { events(first: 1) { totalCount } } }`, nil)
	assert.Equal(t, largeEvents, answer.Account.Events.TotalCount)
	code, _, stderr = tradetrail("", "backup", "--server", server.URL, "--output", filepath.Join(dir, "a.tar"))
	assert.Zero(t, code, stderr)
	assert.Zero(t, server.stop(), server.output())
}

func TestBackup_OneAtATimeAndOnlyForOurselves(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, filepath.Join(dir, "a"), "", "--eventstore-listen", "127.0.0.1:0")
	fill(t, server)
	ask := func(method string, change func(*http.Request)) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/admin/backup", nil)
		require.NoError(t, err)
		change(request)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	assert.Equal(t, http.StatusMethodNotAllowed, ask(http.MethodGet, func(*http.Request) {}))
	assert.Equal(t, http.StatusForbidden, ask(http.MethodPost, func(r *http.Request) { r.Header.Set("Origin", "https://example.com") }))
	assert.Equal(t, http.StatusMisdirectedRequest, ask(http.MethodPost, func(r *http.Request) { r.Host = "example.com" }))

	// Whoever asks and does not read holds up nobody but the next backup.
	response, err := http.Post(server.URL+"/admin/backup", "", nil)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	code, _, stderr := tradetrail("", "backup", "--server", server.URL, "--output", filepath.Join(dir, "a.tar"))
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "a backup is running already")
	client, err := remote.New(server.URL)
	require.NoError(t, err)
	_, err = recordOrder(t.Context(), client, "meanwhile", nil)
	require.NoError(t, err)

	// A server on an event store that is not its own, which the first one plays here.
	url := regexp.MustCompile(`esdb://127\.0\.0\.1:\d+\?tls=false`).FindString(server.output())
	other := startServer(t, filepath.Join(dir, "b"), "", "--eventstore", url)
	code, _, stderr = tradetrail("", "backup", "--server", other.URL, "--output", filepath.Join(dir, "b.tar"))
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "use the backup of the cluster that it runs on")
	other.kill()

	assert.Zero(t, server.stop(), "the backup that nobody reads ends with the server: %s", server.output())
	_, err = io.Copy(io.Discard, response.Body)
	require.Error(t, err)
	assert.NoDirExists(t, filepath.Join(dir, "a", "events", "backup"))
}

// The views in a redis-server have seen events that the restored log does not
// have: they are made anew.
func TestRestore_OfAnOlderStateWithTheSameRedis(t *testing.T) {
	redis, dir := redisURL(t), t.TempDir()
	server := startServer(t, filepath.Join(dir, "a"), redis)
	client, err := remote.New(server.URL)
	require.NoError(t, err)
	for i := range 10 {
		_, err := recordOrder(t.Context(), client, fmt.Sprint("early-", i), nil)
		require.NoError(t, err)
	}
	code, _, stderr := tradetrail("", "backup", "--server", server.URL, "--output", filepath.Join(dir, "a.tar"))
	require.Zero(t, code, stderr)
	for i := range 10 {
		_, err := recordOrder(t.Context(), client, fmt.Sprint("late-", i), nil)
		require.NoError(t, err)
	}
	server.caughtUp()
	whole := accountEvents(server, "A")
	require.Len(t, whole, 20)
	assert.Zero(t, server.stop(), server.output())

	code, _, stderr = tradetrail("", "restore", "--input", filepath.Join(dir, "a.tar"), "--data-dir", filepath.Join(dir, "b"))
	require.Zero(t, code, stderr)
	restored := startServer(t, filepath.Join(dir, "b"), redis)
	restored.caughtUp()
	assert.Contains(t, restored.output(), "the views are not of this log and are made anew")
	assert.Equal(t, whole[:10], accountEvents(restored, "A"))
	code, _, stderr = tradetrail("", "chain", "--server", restored.URL, "late-3")
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "no event names order late-3")
	client, err = remote.New(restored.URL)
	require.NoError(t, err)
	_, err = recordOrder(t.Context(), client, "after", nil)
	require.NoError(t, err)
	restored.caughtUp()
	assert.Len(t, accountEvents(restored, "A"), 11)
	assertEqualsRebuild(t, restored)
	assert.Zero(t, restored.stop(), restored.output())
}
