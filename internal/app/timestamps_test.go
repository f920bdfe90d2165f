package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/audit"
	"github.com/tradetrail/tradetrail/tlog/stamp"
	"github.com/tradetrail/tradetrail/tlog/stamp/stamptest"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// From the authority to whoever verifies: served, in a bundle, and looked at by verify.
func TestTimestamps_AreServedAndInBundles(t *testing.T) {
	authority, dir := stamptest.Start(t, nil), t.TempDir()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	require.NoError(t, os.WriteFile(roots, authority.Roots, 0o600))
	authority.Away.Store(true)
	r := start(t, func(c *config.Config) { c.DataDir, c.TSAURL, c.TSARoots = dir, authority.URL, roots })
	r.record(300)
	r.sealed(300)
	authority.Away.Store(false)

	var path string
	require.Eventually(t, func() bool {
		files, err := filepath.Glob(filepath.Join(dir, "tlog", "timestamps", "*.jsonl"))
		require.NoError(t, err)
		if len(files) == 1 {
			path = "/log/timestamps/" + filepath.Base(files[0])
		}
		return path != "" && strings.HasSuffix(string(r.get(path).body), "\n")
	}, time.Minute, 20*time.Millisecond)
	answer := r.get(path)
	assert.Equal(t, http.StatusOK, answer.status)
	var line struct{ Note string }
	require.NoError(t, json.Unmarshal(bytes.TrimSpace(answer.body), &line))
	assert.Contains(t, line.Note, "\n300\n")
	assert.Equal(t, http.StatusNotFound, r.get("/log/certificates/2026-03-02.txt").status)

	listed, err := tlog.ReadKeys(filepath.Join(dir, "tlog"))
	require.NoError(t, err)
	keys, err := listed.Verifying()
	require.NoError(t, err)
	trust := verify.Trust{Keys: keys}
	trust.Authorities, err = stamp.ParseRoots(authority.Roots)
	require.NoError(t, err)
	verdict, err := verify.Bundle(bytes.NewReader(r.get("/audit/proof/order/o140").body), trust, nil)
	require.NoError(t, err)
	require.True(t, verdict.Verified, "%v", verdict.Failures)
	require.NotNil(t, verdict.Timestamp)
	assert.EqualValues(t, 300, verdict.Timestamp.Size)

	cfg := config.Default()
	cfg.DataDir = dir
	require.NoError(t, r.stop())
	for want, pem := range map[bool][]byte{true: authority.Roots, false: stamptest.Start(t, nil).Roots} {
		var report audit.Report
		report, err = verifyOffline(t, cfg, string(pem))
		require.NoError(t, err)
		assert.Equal(t, want, report.Intact, "%v", report.Findings)
		require.NotNil(t, report.Timestamps)
		assert.True(t, report.Timestamps.Checked)
	}
}

func verifyOffline(t *testing.T, cfg config.Config, roots string) (audit.Report, error) {
	t.Helper()
	return app.VerifyOffline(t.Context(), cfg, rest.VerifyRequest{Full: true, TSARoots: roots}, nil)
}
