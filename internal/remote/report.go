package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// ReportJob is a report that a server has made.
type ReportJob struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	SHA256  string `json:"sha256"`
	Rows    int64  `json:"rows_written"`
	EventID string `json:"event_id"`
	Content string `json:"content"`
	Error   *struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"error"`
}

// Report asks for a report, with the parameters of POST /audit/report, and waits as
// long as ctx does until it is done.
func (c *Client) Report(ctx context.Context, query url.Values) (ReportJob, error) {
	job, err := c.reportJob(ctx, http.MethodPost, "/audit/report?"+query.Encode())
	for attempt := 0; err == nil; attempt++ {
		switch job.State {
		case "done":
			return job, nil
		case "failed":
			out := &domain.Error{Class: domain.ClassUnknown, Code: "report_failed", Message: "the report was not made"}
			if job.Error != nil {
				out.Code, out.Message = job.Error.Code, job.Error.Detail
			}
			return job, out
		}
		if err := backoff.Wait(ctx, attempt, 100*time.Millisecond, 2*time.Second); err != nil {
			return job, err
		}
		job, err = c.reportJob(ctx, http.MethodGet, "/audit/report/jobs/"+url.PathEscape(job.ID))
	}
	return job, err
}

func (c *Client) reportJob(ctx context.Context, method, path string) (ReportJob, error) {
	response, err := c.send(ctx, method, path)
	if err != nil {
		return ReportJob{}, err
	}
	defer func() { _ = response.Body.Close() }() // read to its end or given up: nothing left to fail
	var job ReportJob
	if err := json.UnmarshalRead(io.LimitReader(response.Body, maxProblemBytes), &job); err != nil {
		return ReportJob{}, fmt.Errorf("reading the answer of %s: %w", c.base, err)
	}
	return job, nil
}

func (c *Client) send(ctx context.Context, method, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.base, err)
	}
	response, err := new(http.Client).Do(request)
	if err != nil {
		return nil, &domain.Error{Class: domain.ClassTransient, Code: "server_unreachable", Message: "asking " + c.base, Err: err}
	}
	if response.StatusCode < http.StatusMultipleChoices {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }() // the answer is an error already
	return nil, c.refusal(response)
}

// ReportContent copies what a job has made. Without an error it is whole: its digest is
// the one that the job names.
func (c *Client) ReportContent(ctx context.Context, job ReportJob, w io.Writer) error {
	response, err := c.send(ctx, http.MethodGet, job.Content)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // read to its end or given up: nothing left to fail
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), response.Body); err != nil {
		return fmt.Errorf("reading report %s: %w", job.ID, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != job.SHA256 {
		return &domain.Error{Class: domain.ClassIntegrity, Code: "report_differs", Message: fmt.Sprintf("report %s has digest %s, not %s", job.ID, got, job.SHA256)}
	}
	return nil
}
