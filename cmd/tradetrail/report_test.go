package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A report of a running server and, when it has stopped, of its data directory.
func TestReport_OfAServerAndOfADirectory(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, dir, "")
	day, err := simulatedDay()
	require.NoError(t, err)
	code, _, stderr := tradetrail(day[0], "record", "--server", server.URL)
	require.Zero(t, code, stderr)
	server.caughtUp()
	want := accountEvents(server, "acc-1001")
	require.NotEmpty(t, want)

	path := filepath.Join(t.TempDir(), "account.txt")
	code, stdout, stderr := tradetrail("", "report", "--server", server.URL, "--account", "acc-1001", "--format", "text", "--output", path)
	require.Zero(t, code, stderr)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "recorded as event ")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, event := range want {
		assert.Contains(t, string(text), " "+event.EventID+" ")
	}
	code, stdout, stderr = tradetrail("", "report", "--server", server.URL, "--daily", "2026-03-02")
	require.Zero(t, code, stderr)
	assert.True(t, strings.HasPrefix(stdout, "%PDF-1.7"))
	code, stdout, stderr = tradetrail("", "report", "--server", server.URL, "--order", "nobody", "--format", "text")
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, "Nothing is recorded about this order")

	for _, args := range [][]string{{}, {"--order", "o", "--daily", "2026-03-02"}, {"--order", "o", "--format", "docx"}} {
		code, _, _ = tradetrail("", append([]string{"report", "--server", server.URL}, args...)...)
		assert.Equal(t, exitUsage, code, "%v", args)
	}
	code, _, stderr = tradetrail("", "report", "--server", server.URL, "--daily", "yesterday")
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "day: ")

	server.stop()
	code, stdout, stderr = tradetrail("", "report", "--data-dir", dir, "--compliance", "--format", "text")
	require.Zero(t, code, stderr)
	assert.Equal(t, 3, strings.Count(stdout, `"sha256":`), "the reports before it are in it")
}
