package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An agent takes events while there is no server, and is killed; the next one
// brings them to the server that came in the meantime.
func TestAgent_SpoolsForwardsAndSurvives(t *testing.T) {
	spool, socket := t.TempDir(), filepath.Join(t.TempDir(), "agent.sock")
	first := startAgent(t, "--server", "http://127.0.0.1:1", "--spool", spool, "--socket", socket, "--listen", "")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://agent/v1/events",
		strings.NewReader(`{"event_type":"order.accepted","occurred_at":"2026-03-02T14:30:05Z","order_id":"ord_agent"}`))
	require.NoError(t, err)
	response, err := (&http.Client{Transport: transport}).Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusAccepted, response.StatusCode)
	require.NoError(t, first.Process.Kill())
	_ = first.Wait() // it was killed

	server := startServer(t, t.TempDir(), "")
	second := startAgent(t, "--server", server.URL, "--spool", spool, "--listen", "127.0.0.1:0")
	require.Eventually(t, func() bool {
		code, stdout, _ := tradetrail("", "chain", "ord_agent", "--server", server.URL)
		return code == exitOK && strings.Contains(stdout, "order.accepted")
	}, time.Minute, 20*time.Millisecond)
	require.NoError(t, second.Process.Signal(syscall.SIGTERM))
	assert.NoError(t, second.Wait())
}

// startAgent runs an agent and waits until it takes events.
func startAgent(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"agent"}, args...)...)
	cmd.Env = append(os.Environ(), "TRADETRAIL_TEST_MAIN=1")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended
	taking := make(chan struct{})
	go func() {
		told := false
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var entry struct{ Msg string }
			if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "taking events" && !told {
				told = true
				close(taking)
			}
		}
	}()
	select {
	case <-taking:
	case <-time.After(time.Minute):
		t.Fatal("the agent does not start")
	}
	return cmd
}

func TestAgent_ReadsHeaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "headers")
	require.NoError(t, os.WriteFile(path, []byte("Authorization: Bearer a:b\r\nx-one: 1\n"), 0o600))
	header, err := readHeaders(path)
	require.NoError(t, err)
	assert.Equal(t, http.Header{"Authorization": {"Bearer a:b"}, "X-One": {"1"}}, header)
	require.NoError(t, os.WriteFile(path, []byte("secret"), 0o600))
	_, err = readHeaders(path)
	require.ErrorContains(t, err, "NAME: VALUE")
	assert.NotContains(t, err.Error(), "secret")
	header, err = readHeaders("")
	require.NoError(t, err)
	assert.Empty(t, header)
}

func TestAgent_SaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"listening for all": {[]string{"--listen", "0.0.0.0:0"}, exitUsage, "not a loopback address"},
		"nowhere":           {[]string{"--listen", ""}, exitUsage, "neither --listen nor --socket"},
		"bad policy":        {[]string{"--sync", "sometimes", "--listen", "127.0.0.1:0"}, exitUsage, "none of interval, never, each"},
		"dropping":          {[]string{"--full", "drop", "--listen", "127.0.0.1:0"}, exitUsage, "halt or block"},
		"no directory":      {[]string{"--spool", "/dev/null/spool", "--listen", "127.0.0.1:0"}, exitError, "opening the spool"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := tradetrail("", append([]string{"agent"}, c.args...)...)
			assert.Equal(t, c.code, code, stderr)
			assert.Contains(t, stderr, c.stderr)
		})
	}
}
