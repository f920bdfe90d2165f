package rest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/report"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// accepting is a recorder that takes everything.
type accepting struct{}

func (accepting) Record(_ context.Context, _ string, items []ingest.Item) ([]ingest.Receipt, error) {
	receipts := make([]ingest.Receipt, len(items))
	for i, item := range items {
		receipts[i] = ingest.Receipt{EventID: item.Event.ID, Status: ingest.Recorded}
	}
	return receipts, nil
}

// late are reports over views that are made after them.
type late struct{ *report.Jobs }

func TestReport_IsMadeAndFetched(t *testing.T) {
	t.Parallel()
	var reports late
	d := openDesk(t, viewstest.Log(viewstest.History(7, 300)), deskOptions{
		reports: &reports,
		limits:  func(l *rest.AuditLimits) { l.Report = l.Answer },
	})
	d.apply(300)
	maker := report.NewMaker(authz.NewViews(d.set, authz.AllowAll{}), accepting{}, d.set.Now)
	var err error
	reports.Jobs, err = report.NewJobs(maker, t.TempDir()+"/reports", quiet, d.set.Now, report.DefaultLimits())
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- reports.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
	})

	for _, path := range []string{"/audit/report?kind=compliance&format=json", "/audit/report?kind=account&id=nobody&format=text", "/audit/report/ORDER-1?format=html"} {
		made := d.ask(http.MethodPost, path)
		require.Equal(t, http.StatusCreated, made.status, "%s", made.body)
		job := made.json(t)
		assert.Equal(t, "done", job["state"])
		again := d.get(made.header.Get("Location"))
		assert.Equal(t, http.StatusOK, again.status)
		assert.JSONEq(t, string(made.body), string(again.body))
		file := d.get(field(job, "content"))
		require.Equal(t, http.StatusOK, file.status)
		sum := sha256.Sum256(file.body)
		assert.Equal(t, field(job, "sha256"), hex.EncodeToString(sum[:]))
		assert.Contains(t, file.header.Get("Content-Disposition"), field(job, "file_name"))
		assert.Contains(t, file.header.Get("Content-Security-Policy"), "sandbox")
		assert.Equal(t, http.StatusNotModified, d.get(field(job, "content"), "If-None-Match", file.header.Get("ETag")).status)
	}
	assert.Contains(t, string(d.get(field(d.ask(http.MethodPost, "/audit/report?kind=account&id=nobody&format=text").json(t), "content")).body), "Nothing is recorded in this window.")
	for path, code := range map[string]string{
		"/audit/report":                                      "invalid",
		"/audit/report?kind=daily":                           "invalid",
		"/audit/report?kind=order":                           "missing",
		"/audit/report?kind=order&id=o&format=docx":          "invalid",
		"/audit/report/o?kind=user":                          "unknown_parameter",
		"/audit/report?kind=user&id=u&from=yesterday":        "invalid",
		"/audit/report?kind=user&id=u&from=2026-01-01&day=x": "invalid",
	} {
		refused := d.ask(http.MethodPost, path)
		assert.Equal(t, http.StatusUnprocessableEntity, refused.status, path)
		assert.Equal(t, code, refused.json(t)["code"], path)
	}
	gone := d.get("/audit/report/jobs/nope")
	assert.Equal(t, http.StatusNotFound, gone.status)
	assert.Equal(t, "unknown_report", gone.json(t)["code"])
	assert.Equal(t, http.StatusNotFound, d.get("/audit/report/jobs/nope/content").status)
}
