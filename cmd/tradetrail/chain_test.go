package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Without a server a chain is read from the data directory, and is the same.
func TestChain_WithoutAServer(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, dir, "")
	code, _, stderr := tradetrail(`{"event_id":"e1","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o1","data":{"quantity":"5"}}
{"event_id":"e2","event_type":"order.filled","occurred_at":"2026-03-02T14:30:01.000000001Z","order_id":"o1","data":{"fill_price":"1.5","fill_quantity":"5"}}`,
		"record", "--server", server.URL)
	require.Zero(t, code, stderr)
	server.caughtUp()
	code, asked, stderr := tradetrail("", "chain", "o1", "--format", "json", "--server", server.URL)
	require.Zero(t, code, stderr)

	code, _, stderr = tradetrail("", "chain", "o1", "--data-dir", dir)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "in use by another process")
	require.Zero(t, server.stop())

	code, read, stderr := tradetrail("", "chain", "o1", "--format", "json", "--data-dir", dir)
	require.Zero(t, code, stderr)
	assert.JSONEq(t, asked, read)

	missing := filepath.Join(dir, "missing")
	code, _, stderr = tradetrail("", "chain", "o1", "--data-dir", missing)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "there is no event store in "+missing)
	assert.NoDirExists(t, missing)
}
