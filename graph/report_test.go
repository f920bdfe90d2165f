package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph"
	"github.com/tradetrail/tradetrail/internal/report"
)

// printer makes one report: the id of what it is about.
type printer struct {
	asked report.Request
	state report.State
}

func (p *printer) Start(_ context.Context, r report.Request) (report.Job, error) {
	p.asked = r
	return report.Job{ID: "j1", Request: r, State: report.Queued}, r.Check()
}

func (p *printer) Await(ctx context.Context, id string, _ time.Duration) (report.Job, error) {
	return p.Job(ctx, id)
}

func (p *printer) Job(_ context.Context, id string) (report.Job, error) {
	if id != "j1" {
		return report.Job{}, &domain.Error{Class: domain.ClassNotFound, Code: "unknown_report", Message: "there is none"}
	}
	return report.Job{ID: "j1", Request: p.asked, State: p.state, Bytes: int64(len(p.asked.ID)), SHA256: "ab", EventID: "e1", Rows: 3}, nil
}

type page struct{ *bytes.Reader }

func (page) Close() error { return nil }

func (p *printer) Open(ctx context.Context, id string) (report.Content, report.Job, error) {
	job, err := p.Job(ctx, id)
	return page{bytes.NewReader([]byte(p.asked.ID))}, job, err
}

func TestReport(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ query, state, want string }{
		{
			`mutation { report(input: {orderId: "o-1", format: PDF}) { id state fileName contentType data url rowsWritten } }`, "done",
			`{"report":{"id":"j1","state":"DONE","fileName":"tradetrail-order-o-1.pdf","contentType":"application/pdf","data":"by0x","url":"/audit/report/jobs/j1/content","rowsWritten":3}}`,
		},
		{
			`mutation { report(input: {compliance: true, format: TEXT}) { state data url } }`, "running",
			`{"report":{"state":"RUNNING","data":"","url":null}}`,
		},
		{`{ report(id: "nope") { id } }`, "done", "unknown_report"},
		{`mutation { report(input: {orderId: "o", daily: "2026-03-02", format: PDF}) { id } }`, "done", "invalid"},
		{`mutation { report(input: {format: PDF}) { id } }`, "done", "invalid"},
		{`mutation { report(input: {daily: "yesterday", format: PDF}) { id } }`, "done", "invalid"},
	} {
		server := graph.NewServer(nil, &fake{}, &printer{state: report.State(c.state)}, nil, slog.New(slog.DiscardHandler))
		body, err := json.Marshal(map[string]string{"query": c.query})
		require.NoError(t, err)
		answer, problems := send(t, server, http.MethodPost, "/graphql", strings.NewReader(string(body)), "Content-Type", plain)
		if len(problems) > 0 {
			assert.Equal(t, c.want, problems[0].Extensions.Code, c.query)
			continue
		}
		assert.JSONEq(t, `{"data":`+c.want+`}`, answer.Body.String(), c.query)
	}
}
