package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/tlog/audit"
)

// someEvents are the steps of so many orders.
func someEvents(from, orders int) string {
	var text strings.Builder
	for i := from; i < from+orders; i++ {
		for step, kind := range []string{"order.submitted", "order.accepted", "order.filled"} {
			fmt.Fprintf(&text, `{"event_id":"v%d-%d","event_type":%q,"occurred_at":"2026-03-02T14:30:0%d.000000001Z","order_id":"ord_%d","account_id":"ACC-%d","strategy_id":"S","ticker":"AAPL","data":{"side":"buy","quantity":"100","price":"10.5"}}`+"\n", i, step, kind, step, i, i%3)
		}
	}
	return text.String()
}

// sealedUpTo waits until the server has sealed so many events at least.
func (p *process) sealedUpTo(dataDir string, n uint64) (checkpoint string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		text, err := os.ReadFile(filepath.Join(dataDir, "tlog", "checkpoint"))
		var size uint64
		if err == nil {
			_, err = fmt.Sscan(strings.Split(string(text), "\n")[1], &size)
		}
		checkpoint = string(text)
		return err == nil && size >= n
	}, time.Minute, 20*time.Millisecond, "the server does not seal")
	return checkpoint
}

func TestVerify_SaysYesAndNo(t *testing.T) {
	dir, url := filepath.Join(t.TempDir(), "data"), redisURL(t)
	server := startServer(t, dir, url, "--tlog=true")
	code, _, stderr := tradetrail(someEvents(0, 120), "import", "--server", server.URL, "--format", "ndjson", "-")
	require.Zero(t, code, stderr)
	kept := filepath.Join(t.TempDir(), "kept")
	require.NoError(t, os.WriteFile(kept, []byte(server.sealedUpTo(dir, 360)), 0o600))
	server.caughtUp()

	code, stdout, stderr := tradetrail("", "verify", "--server", server.URL, "--full", "--checkpoint", kept)
	require.Zero(t, code, "%s%s", stdout, stderr)
	assert.Contains(t, stdout, "INTACT: nothing was changed")
	assert.Contains(t, stdout, "12 views")
	assert.Contains(t, stdout, "the log begins with it")

	client := redis.NewClient(&redis.Options{Network: "unix", Addr: strings.TrimPrefix(url, "unix://")})
	defer func() { assert.NoError(t, client.Close()) }()
	key := viewKeys(t, client)[0]
	require.NoError(t, client.Del(t.Context(), key).Err())
	code, stdout, stderr = tradetrail("", "verify", "--server", server.URL)
	require.Equal(t, exitIntegrity, code, "%s%s", stdout, stderr)
	assert.Contains(t, stdout, "FOUND               view")
	code, _, stderr = tradetrail("", "rebuild", "--server", server.URL)
	require.Equal(t, exitIntegrity, code, "a rebuild mends it: %s", stderr)
	code, stdout, stderr = tradetrail("", "verify", "--server", server.URL)
	require.Zero(t, code, "%s%s", stdout, stderr)
	require.Zero(t, server.stop())

	code, stdout, stderr = tradetrail("", "verify", "--data-dir", dir, "--full", "--checkpoint", kept)
	require.Zero(t, code, "%s%s", stdout, stderr)
	deleteOne(t, filepath.Join(dir, "events"))
	code, stdout, stderr = tradetrail("", "verify", "--data-dir", dir, "--full")
	assert.Equal(t, exitIntegrity, code, "%s%s", stdout, stderr)
	assert.Contains(t, stdout, "FOUND               missing at index 7")
	assert.Contains(t, stdout, "NOT INTACT")
	code, _, _ = tradetrail("", "verify", "--data-dir", t.TempDir())
	assert.Equal(t, exitError, code, "there is nothing to verify")

	// The auditor of a server finds it without being asked, and says so once.
	server = startUnready(t, dir, url)
	require.Eventually(t, func() bool { return strings.Contains(server.output(), "integrity is in doubt") }, time.Minute, 20*time.Millisecond)
	code, _, stderr = tradetrail("", "health", "--server", server.URL)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "integrity")
	require.Eventually(t, func() bool {
		_, stdout, _ := tradetrail("", "query", "--server", server.URL, "--type", "integrity.doubted", "--format", "json")
		return strings.Count(stdout, "integrity.doubted") == 1
	}, time.Minute, 50*time.Millisecond)
}

// The bluntest removals are findings, and not trouble with a disk.
func TestVerify_WhatWasRemovedBesideALog(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tlog"), 0o700))
	code, _, stderr := tradetrail("", "verify", "--data-dir", dir)
	assert.Equal(t, exitIntegrity, code, stderr)
	assert.Contains(t, stderr, "event store is gone")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "events"), 0o700))
	code, _, stderr = tradetrail("", "verify", "--data-dir", dir)
	assert.Equal(t, exitIntegrity, code, stderr)
	assert.Contains(t, stderr, "key of its salts is gone")
}

func TestPrintReport_HostileTextDoesNotReachTheTerminal(t *testing.T) {
	var out bytes.Buffer
	hostile := "x\n\x1b[2Jverdict INTACT"
	require.NoError(t, printReport(&out, audit.Report{Notes: []string{hostile}, Findings: []audit.Finding{{Kind: audit.View, Where: hostile, Text: hostile}}}))
	assert.NotContains(t, out.String(), "\x1b")
	assert.NotContains(t, out.String(), "\nverdict INTACT")
}

// deleteOne deletes the eighth event of a store.
func deleteOne(t *testing.T, dir string) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatTableFormatV6})
	require.NoError(t, err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("e"), UpperBound: []byte("f")})
	require.NoError(t, err)
	require.True(t, it.First())
	for range 7 {
		require.True(t, it.Next())
	}
	position := binary.BigEndian.Uint64(it.Key()[1:])
	require.NoError(t, it.Close())
	require.NoError(t, db.Delete(binary.BigEndian.AppendUint64([]byte("e"), position), pebble.Sync))
	require.NoError(t, db.Close())
}
