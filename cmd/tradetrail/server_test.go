package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/internal/remote"
)

// TestMain makes this test binary also the real one: with the variable set it is
// tradetrail, so that tests can start and kill whole processes.
func TestMain(m *testing.M) {
	if os.Getenv("TRADETRAIL_TEST_MAIN") == "1" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.LookupEnv))
	}
	os.Exit(m.Run())
}

// process is a tradetrail process.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	URL  string
	done chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// startServer runs `tradetrail serve` on a free port and waits until it is ready.
func startServer(t *testing.T, dataDir, redis string, args ...string) *process {
	t.Helper()
	return startBinary(t, os.Args[0], dataDir, redis, args...)
}

func startBinary(t *testing.T, binary, dataDir, redis string, args ...string) *process {
	t.Helper()
	p := serveBinary(t, binary, dataDir, redis, args...)
	p.waitReady()
	return p
}

// startUnready is startServer for one that will not be ready.
func startUnready(t *testing.T, dataDir, redis string) *process {
	t.Helper()
	return serveBinary(t, os.Args[0], dataDir, redis, "--tlog=true")
}

func serveBinary(t *testing.T, binary, dataDir, redis string, args ...string) *process {
	t.Helper()
	args = append([]string{
		"serve", "--listen", "127.0.0.1:0", "--data-dir", dataDir, "--redis", redis,
		"--detect=false", // most tests count what they have recorded themselves
		"--tlog=false",   // what is sealed has tests of its own
	}, args...)
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "TRADETRAIL_TEST_MAIN=1")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	serving := make(chan string, 1)
	go func() {
		defer close(p.done)
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			p.mu.Lock()
			p.log.Write(lines.Bytes())
			p.log.WriteByte('\n')
			p.mu.Unlock()
			var entry struct{ Msg, URL string }
			if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "serving" {
				serving <- entry.URL
			}
		}
		_ = cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(p.kill)
	select {
	case p.URL = <-serving:
	case <-p.done:
		t.Fatalf("the server ended: %s", p.output())
	}
	return p
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// waitReady asks until the server says that it is ready.
func (p *process) waitReady() {
	p.t.Helper()
	var said atomic.Value
	ready := assert.Eventually(p.t, func() bool {
		response, err := http.Get(p.URL + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body) // for the message alone
		said.Store(string(body))
		return response.StatusCode == http.StatusOK
	}, 2*time.Minute, 20*time.Millisecond, "the server does not get ready")
	require.True(p.t, ready, "it says: %v\n%s", said.Load(), p.output())
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may be gone already
	<-p.done
}

// stop asks the process to end and returns its exit code.
func (p *process) stop() int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// query runs a GraphQL query and decodes its data.
func (p *process) query(out any, query string, variables map[string]any) {
	p.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	require.NoError(p.t, err)
	response, err := http.Post(p.URL+"/graphql", "application/json", bytes.NewReader(body))
	require.NoError(p.t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	require.NoError(p.t, json.Unmarshal(raw, &answer), "%s", raw)
	require.Empty(p.t, answer.Errors, "%s", query)
	require.NoError(p.t, json.Unmarshal(answer.Data, out))
}

// caughtUp waits until every view has applied the whole log.
func (p *process) caughtUp() {
	p.t.Helper()
	client, err := remote.New(p.URL)
	require.NoError(p.t, err)
	require.Eventually(p.t, func() bool {
		var answer struct {
			Projections []struct {
				CaughtUp bool `json:"caughtUp"`
			} `json:"projections"`
		}
		if err := client.Query(p.t.Context(), `{ projections { caughtUp } }`, nil, &answer); err != nil || len(answer.Projections) == 0 {
			return false // they are not open yet
		}
		for _, projection := range answer.Projections {
			if !projection.CaughtUp {
				return false
			}
		}
		return true
	}, 2*time.Minute, 20*time.Millisecond, "the views do not catch up")
}

// tradetrail runs a command of ours inside the test.
func tradetrail(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = run(args, strings.NewReader(stdin), &out, &errOut, func(string) (string, bool) { return "", false })
	return code, out.String(), errOut.String()
}

// redisURL starts a redis-server of its own, or says why it can't.
func redisURL(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed: only the in-process Redis is tested")
	}
	dir := t.TempDir()
	socket := filepath.Join(shortDir(t), "redis.sock")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		_, err := os.Stat(socket)
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
	return "unix://" + socket
}

// shortDir is a directory whose path leaves room for the name of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tt") //nolint:usetesting // t.TempDir is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// lobsterFile finds the real order flow, or says why it can't.
func lobsterFile(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TRADETRAIL_LOBSTER"); path != "" {
		return path
	}
	found, err := filepath.Glob("../../../shared/data/lobster/*_message_*.csv")
	require.NoError(t, err)
	if len(found) == 0 {
		t.Skip("the LOBSTER sample is neither in ../shared/data/lobster nor named by TRADETRAIL_LOBSTER")
	}
	return found[0]
}

// head writes the first n lines of a file to a file of the same name.
func head(t *testing.T, path string, n int) string {
	t.Helper()
	in, err := os.Open(path)
	require.NoError(t, err)
	defer in.Close()
	out := filepath.Join(t.TempDir(), filepath.Base(path))
	var text strings.Builder
	lines := bufio.NewScanner(in)
	for range n {
		require.True(t, lines.Scan())
		fmt.Fprintln(&text, lines.Text())
	}
	require.NoError(t, os.WriteFile(out, []byte(text.String()), 0o600))
	return out
}
