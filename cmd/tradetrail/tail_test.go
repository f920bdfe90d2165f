package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTail_FollowsUntilItIsInterrupted(t *testing.T) {
	server := startServer(t, t.TempDir(), "")
	day, err := simulatedDay()
	require.NoError(t, err)
	code, _, stderr := tradetrail(day[0], "record", "--server", server.URL)
	require.Zero(t, code, stderr)
	cmd := exec.Command(os.Args[0], "tail", "--account", "acc-1001", "--after", "C:0/P:0", "--format", "json", "--server", server.URL)
	cmd.Env = append(os.Environ(), "TRADETRAIL_TEST_MAIN=1")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan(), "nothing came")
	first := lines.Text()
	code, _, stderr = tradetrail(day[1], "record", "--server", server.URL)
	require.Zero(t, code, stderr)
	server.caughtUp()
	want := accountEvents(server, "acc-1001")
	got := []string{first}
	for len(got) < len(want) && lines.Scan() {
		got = append(got, lines.Text())
	}
	require.Len(t, got, len(want))
	for i, event := range want {
		assert.Contains(t, got[i], `"event_id":"`+event.EventID+`"`)
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	assert.False(t, lines.Scan(), "something came twice")
	assert.NoError(t, cmd.Wait())
}

func TestTail_Usage(t *testing.T) {
	for args, want := range map[string]string{
		"tail":                          "give exactly one of --account",
		"tail --account A --user B":     "give exactly one of --account",
		"tail --user A --format xml":    `unknown format "xml": table or json`,
		"tail --user A --server ftp://": "is not a URL",
	} {
		code, _, stderr := tradetrail("", strings.Fields(args)...)
		assert.Equal(t, exitUsage, code, args)
		assert.Contains(t, stderr, want, args)
	}
	code, _, stderr := tradetrail("", "tail", "--user", "A", "--server", "http://127.0.0.1:1")
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "asking http://127.0.0.1:1")
}
