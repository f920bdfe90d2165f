package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// What a server proves stands up to the examiner's checks, and what was changed on
// the way does not.
func TestProve_AgainstTheKeyAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	server := startServer(t, dir, "", "--tlog=true")
	code, _, stderr := tradetrail(someEvents(0, 20), "import", "--server", server.URL, "--format", "ndjson", "-")
	require.Zero(t, code, stderr)
	server.sealedUpTo(dir, 60)
	server.caughtUp()
	keys, err := tlog.ReadKeys(filepath.Join(dir, "tlog"))
	require.NoError(t, err)
	key, err := verify.ParseKey(keys[0].Verifier)
	require.NoError(t, err)
	judge := func(bundle []byte) verify.Verdict {
		verdict, err := verify.Bundle(bytes.NewReader(bundle), verify.Trust{Keys: verify.Keys{key}}, nil)
		require.NoError(t, err)
		return verdict
	}

	for name, args := range map[string][]string{
		"an order":         {"--order", "ord_7"},
		"an event":         {"--event", "v7-1"},
		"of a stream":      {"--event", "v7-1", "--stream", "order-ord_7"},
		"a window":         {"--from", "2026-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"},
		"a redacted order": {"--order", "ord_7", "--redact"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "bundle.json")
			code, _, stderr := tradetrail("", append([]string{"prove", "--server", server.URL, "--output", file}, args...)...)
			require.Zero(t, code, stderr)
			bundle, err := os.ReadFile(file)
			require.NoError(t, err)
			verdict := judge(bundle)
			assert.True(t, verdict.Verified, "%v", verdict.Failures)

			changed := bytes.Replace(bundle, []byte("order-ord_7\\n1\\n"), []byte("order-ord_7\\n2\\n"), 1)
			require.NotEqual(t, bundle, changed, "the bundle says at which revision an event stands")
			assert.False(t, judge(changed).Verified)
		})
	}

	// A checkpoint that somebody kept is continued by what is proven later, and whoever
	// verifies that needs no log.
	kept := sealedIn(t, dir)
	folder := t.TempDir()
	file, bundle, changed := filepath.Join(folder, "kept"), filepath.Join(folder, "bundle"), filepath.Join(folder, "changed")
	require.NoError(t, os.WriteFile(file, []byte(kept), 0o600))
	require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(kept, "\n", "\n1", 1)), 0o600))
	code, _, stderr = tradetrail(someEvents(20, 30), "import", "--server", server.URL, "--format", "ndjson", "-")
	require.Zero(t, code, stderr)
	server.sealedUpTo(dir, 150)
	server.caughtUp()
	for _, args := range [][]string{{"--order", "ord_7"}, {"--order", "ord_7", "--checkpoint", file}} {
		code, _, stderr = tradetrail("", append([]string{"prove", "--server", server.URL, "--output", bundle}, args...)...)
		require.Zero(t, code, stderr)
		text, err := os.ReadFile(bundle)
		require.NoError(t, err)
		verdict, err := verify.Bundle(bytes.NewReader(text), verify.Trust{Keys: verify.Keys{key}, Older: kept}, nil)
		require.NoError(t, err)
		assert.Equal(t, len(args) > 2, verdict.Verified, "%v", verdict.Failures)
	}
	for wrong, says := range map[string]string{changed: "checkpoint", filepath.Join(folder, "none"): "no such file"} {
		code, _, stderr = tradetrail("", "prove", "--server", server.URL, "--order", "ord_7", "--checkpoint", wrong, "--output", filepath.Join(folder, "not"))
		assert.Equal(t, exitError, code)
		assert.Contains(t, stderr, says)
		assert.NoFileExists(t, filepath.Join(folder, "not"))
	}

	code, _, stderr = tradetrail("", "prove", "--server", server.URL, "--event", "v7-1", "--stream", "order-ord_8", "--output", filepath.Join(t.TempDir(), "none"))
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "has no event")
	code, _, stderr = tradetrail("", "prove", "--server", server.URL, "--order", "ord_7", "--stream", "order-ord_7")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, stderr, "--event")
	code, _, stderr = tradetrail("", "prove", "--server", server.URL, "--order", "ord_7", "--position", "C:1/P:1")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, stderr, "--position")
	code, _, stderr = tradetrail("", "prove", "--server", server.URL, "--event", "v7-1", "--position", "C:1/P:1", "--output", filepath.Join(t.TempDir(), "none"))
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "does not stand at")
	code, _, stderr = tradetrail("", "prove", "--server", server.URL, "--order", "nobody's", "--output", filepath.Join(t.TempDir(), "none"))
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "no event names order")

	require.Zero(t, server.stop())
	before := sealedIn(t, dir)
	code, read, stderr := tradetrail("", "query", "--order", "ord_7", "--format", "json", "--data-dir", dir)
	require.Zero(t, code, stderr)
	assert.Contains(t, read, `"seal":"SEALED"`)
	assert.NotContains(t, read, `"seal":"RECORDED"`)
	assert.Equal(t, before, sealedIn(t, dir), "who asks seals nothing")
}

func sealedIn(t *testing.T, dataDir string) string {
	t.Helper()
	checkpoint, err := os.ReadFile(filepath.Join(dataDir, "tlog", "checkpoint"))
	require.NoError(t, err)
	return string(checkpoint)
}
