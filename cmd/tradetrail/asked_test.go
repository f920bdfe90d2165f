package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Without a server what is asked is read from the data directory, and is the same.
func TestAsked_WithoutAServer(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, dir, "")
	code, _, stderr := tradetrail(`{"event_id":"e1","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o1","account_id":"a1","data":{"quantity":"5"}}
{"event_id":"e2","event_type":"order.filled","occurred_at":"2026-03-02T14:30:01.000000001Z","order_id":"o1","account_id":"a1","data":{"fill_price":"1.5","fill_quantity":"5"}}`,
		"record", "--server", server.URL)
	require.Zero(t, code, stderr)
	server.caughtUp()
	code, asked, stderr := tradetrail("", "chain", "o1", "--format", "json", "--server", server.URL)
	require.Zero(t, code, stderr)

	code, _, stderr = tradetrail("", "chain", "o1", "--data-dir", dir)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "in use by another process")
	code, found, stderr := tradetrail("", "query", "--order", "o1", "--format", "json", "--server", server.URL)
	require.Zero(t, code, stderr)
	require.Zero(t, server.stop())

	code, read, stderr := tradetrail("", "chain", "o1", "--format", "json", "--data-dir", dir)
	require.Zero(t, code, stderr)
	assert.JSONEq(t, asked, read)

	code, read, stderr = tradetrail("", "query", "--order", "o1", "--format", "json", "--data-dir", dir)
	require.Zero(t, code, stderr)
	assert.Equal(t, found, read)
	code, read, stderr = tradetrail("", "tail", "--account", "a1", "--format", "json", "--data-dir", dir)
	require.Zero(t, code, stderr)
	assert.Equal(t, found, read)
	first := strings.SplitAfter(found, "\n")[0]
	var event struct{ Position string }
	require.NoError(t, json.Unmarshal([]byte(first), &event))
	code, read, stderr = tradetrail("", "tail", "--account", "a1", "--after", event.Position, "--format", "json", "--data-dir", dir)
	require.Zero(t, code, stderr)
	assert.Equal(t, strings.TrimPrefix(found, first), read)

	code, _, stderr = tradetrail("", "tail", "--order", "o1", "--data-dir", dir)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, stderr, "tradetrail chain")

	assert.NoDirExists(t, filepath.Join(dir, "tlog"), "who asks seals nothing")
	missing := filepath.Join(dir, "missing")
	code, _, stderr = tradetrail("", "chain", "o1", "--data-dir", missing)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "there is no event store in "+missing)
	assert.NoDirExists(t, missing)
}
