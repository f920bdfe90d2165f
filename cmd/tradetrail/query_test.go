package main

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestQuery_FindsEvents(t *testing.T) {
	server := startServer(t, t.TempDir(), "")
	day, err := simulatedDay()
	require.NoError(t, err)
	code, _, stderr := tradetrail(day[0], "record", "--server", server.URL)
	require.Zero(t, code, stderr)
	server.caughtUp()
	want := accountEvents(server, "acc-1001")
	query := func(args ...string) (code int, stdout, stderr string) {
		return tradetrail("", append([]string{"query", "--server", server.URL}, args...)...)
	}

	code, lines, stderr := query("--account", "acc-1001", "--format", "json")
	require.Zero(t, code, stderr)
	got := strings.Split(strings.TrimSuffix(lines, "\n"), "\n")
	require.Len(t, got, len(want))
	for i, event := range want {
		assert.Contains(t, got[i], `"event_id":"`+event.EventID+`"`)
	}
	code, table, stderr := query("--account", "acc-1001", "--type", "order.submitted", "--type", "order.filled", "--limit", "3")
	require.Zero(t, code, stderr)
	assert.Equal(t, 3, strings.Count(table, "\n"))
	assert.Equal(t, 3, strings.Count(table, " order.submitted ")+strings.Count(table, " order.filled "))

	path := filepath.Join(t.TempDir(), "events.csv")
	code, stdout, stderr := query("--account", "acc-1001", "--format", "csv", "--output", path)
	require.Zero(t, code, stderr)
	assert.Empty(t, stdout)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "whoever else is on the machine may read it")
	records, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	require.NoError(t, err)
	assert.Len(t, records, len(want)+1)

	missing := filepath.Join(t.TempDir(), "none.csv")
	code, _, stderr = query("--filter", "price >", "--output", missing)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "filter: ")
	left, err := filepath.Glob(missing + "*")
	require.NoError(t, err)
	assert.Empty(t, left, "half an answer was left behind")

	code, _, stderr = query("--type", "order.submitted", "--filter", "1 / (len(event_type) - "+strconv.Itoa(len("order.submitted"))+") > 0")
	require.Zero(t, code, stderr)
	assert.Contains(t, stderr, "the filter made no sense on")
	code, _, stderr = query("--account", "")
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "account: is empty")
	code, _, stderr = query("--format", "xml")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, stderr, `unknown format "xml": table, json or csv`)
}
