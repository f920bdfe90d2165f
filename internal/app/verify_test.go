package app_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/audit"
)

// Whoever can write to the log's folder and has no key makes a log with a new one. The first
// key is known from beside the salt key, without being asked for.
func TestVerifyOffline_KnowsTheFirstKey(t *testing.T) {
	dir := t.TempDir()
	r := start(t, func(c *config.Config) { c.DataDir, c.LogOrigin = dir, "log.example/app" })
	r.record(10)
	r.sealed(10)
	require.NoError(t, r.stop())
	cfg := config.Default()
	cfg.DataDir = dir
	verify := func() (audit.Report, error) {
		return app.VerifyOffline(t.Context(), cfg, rest.VerifyRequest{Full: true}, nil)
	}
	report, err := verify()
	require.NoError(t, err)
	require.True(t, report.Intact, "%v", report.Findings)
	assert.Empty(t, report.Notes)

	key, err := tlog.NewKey("log.example/app")
	require.NoError(t, err)
	forged := tlog.Place{Dir: filepath.Join(t.TempDir(), "tlog"), SaltKey: filepath.Join(t.TempDir(), "salt.key")}
	require.NoError(t, tlog.Create(t.Context(), forged, key, time.Now))
	require.NoError(t, os.RemoveAll(cfg.LogDir()))
	require.NoError(t, os.CopyFS(cfg.LogDir(), os.DirFS(forged.Dir)))
	report, err = verify()
	require.NoError(t, err)
	require.False(t, report.Intact)
	assert.Equal(t, audit.Signature, report.Findings[0].Kind)

	require.NoError(t, os.RemoveAll(cfg.LogDir()))
	_, err = verify()
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "%v: a log that is gone", err)
}
