package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/report"
)

// The folder of the jobs is emptied at each start and stop: nothing else may be in it.
func TestReportPlan_FoldersAreApart(t *testing.T) {
	cfg := config.Default()
	base := t.TempDir()
	cfg.DataDir = filepath.Join(base, "data")
	require.NoError(t, os.MkdirAll(jobsDir(cfg), 0o700))
	link := filepath.Join(base, "link")
	require.NoError(t, os.Symlink(jobsDir(cfg), link))
	for _, dir := range []string{jobsDir(cfg), filepath.Join(jobsDir(cfg), "deep", "down"), cfg.DataDir, base, link, filepath.Join(link, "deep"), filepath.Join(cfg.DataDir, "x", "..", ".report-jobs")} {
		cfg.ReportDir = dir
		_, err := reportPlan(cfg)
		require.ErrorContains(t, err, "emptied", dir)
	}
	for _, dir := range []string{filepath.Join(cfg.DataDir, "reports"), filepath.Join(base, "out"), jobsDir(cfg) + "-not"} {
		cfg.ReportDir = dir
		_, err := reportPlan(cfg)
		assert.NoError(t, err, dir)
	}
}

func TestReportPlan_FormatInAnyCase(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir, cfg.ReportDir, cfg.ReportFormat = t.TempDir(), t.TempDir(), "PDF"
	plan, err := reportPlan(cfg)
	require.NoError(t, err)
	assert.Equal(t, report.PDF, plan.Format)
}

func TestReportPlan_Bucket(t *testing.T) {
	cfg := config.Default()
	cfg.DataDir, cfg.ReportBucket = t.TempDir(), "s3://reports/desk"
	plan, err := reportPlan(cfg)
	require.NoError(t, err)
	assert.Equal(t, outbox(cfg), plan.Dir)

	cfg.ReportBucket = "s3://AKID:s3cr3t@reports"
	_, err = reportPlan(cfg)
	require.ErrorContains(t, err, "AWS_ACCESS_KEY_ID")
	assert.NotContains(t, err.Error(), "s3cr3t")
}
