package graph

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/internal/report"
)

// Reports make reports in the background.
type Reports interface {
	Start(ctx context.Context, r report.Request) (report.Job, error)
	Await(ctx context.Context, id string, most time.Duration) (report.Job, error)
	Job(ctx context.Context, id string) (report.Job, error)
	Open(ctx context.Context, id string) (report.Content, report.Job, error)
}

const (
	reportPatience = time.Second // how long a mutation waits for its report
	maxReportData  = 1 << 20     // longer files are taken from their URL
	reportsPath    = "/audit/report/jobs/"
)

// startReport answers the mutation report.
func (r *Resolver) startReport(ctx context.Context, input model.ReportInput) (*model.Report, error) {
	request, err := reportRequest(input)
	if err != nil {
		return nil, err
	}
	if r.reports == nil {
		return nil, notAvailable("this server makes no reports")
	}
	job, err := r.reports.Start(ctx, request)
	if err == nil {
		job, err = r.reports.Await(ctx, job.ID, reportPatience)
	}
	if err != nil {
		return nil, err
	}
	if job.State == report.Failed {
		return nil, job.Err
	}
	return r.toReport(ctx, job)
}

// reportOf answers the query report.
func (r *Resolver) reportOf(ctx context.Context, id string) (*model.Report, error) {
	if r.reports == nil {
		return nil, notAvailable("this server makes no reports")
	}
	job, err := r.reports.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	return r.toReport(ctx, job)
}

// reportRequest reads what a report is about: exactly one thing.
func reportRequest(input model.ReportInput) (report.Request, error) {
	var request report.Request
	about := 0
	for kind, id := range map[report.Kind]*string{
		report.Order: input.OrderID, report.Account: input.AccountID, report.Strategy: input.StrategyID, report.User: input.UserID,
	} {
		if id != nil {
			request.Kind, request.ID = kind, *id
			about++
		}
	}
	if input.Daily != nil {
		request.Kind, request.Day = report.Daily, *input.Daily
		about++
	}
	if input.Compliance != nil && *input.Compliance {
		request.Kind = report.Compliance
		about++
	}
	if about != 1 {
		return request, domain.Rejectf(domain.CodeInvalid, "input", "names %d of orderId, accountId, strategyId, userId, daily and compliance, and must name one", about)
	}
	if input.After != nil {
		request.From = *input.After
	}
	if input.Before != nil {
		request.To = *input.Before
	}
	var err error
	request.Format, err = report.ParseFormat(string(input.Format))
	return request, err
}

func (r *Resolver) toReport(ctx context.Context, job report.Job) (*model.Report, error) {
	out := &model.Report{
		ID: job.ID, State: reportState(job.State), ContentType: job.Request.Format.Media(), FileName: job.Request.FileName(),
		EventsRead: int(job.Events), RowsWritten: int(job.Rows), CreatedAt: job.Created, ExpiresAt: optionalTime(job.Expires),
	}
	switch job.State {
	case report.Done:
		url, size := reportsPath+job.ID+"/content", int(job.Bytes)
		out.URL, out.Size, out.Sha256, out.EventID = &url, &size, &job.SHA256, &job.EventID
		if job.Bytes <= maxReportData {
			var err error
			out.Data, err = r.reportData(ctx, job.ID)
			return out, err
		}
	case report.Failed:
		message := "the report was not made"
		if e, ok := errors.AsType[*domain.Error](job.Err); ok {
			message = e.Message
		}
		out.Error = &message
	default:
	}
	return out, nil
}

func reportState(s report.State) model.ReportState {
	switch s {
	case report.Done:
		return model.ReportStateDone
	case report.Failed:
		return model.ReportStateFailed
	case report.Running:
		return model.ReportStateRunning
	default:
		return model.ReportStateQueued
	}
}

func (r *Resolver) reportData(ctx context.Context, id string) (text string, err error) {
	file, _, err := r.reports.Open(ctx, id)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	data, err := io.ReadAll(file)
	return base64.StdEncoding.EncodeToString(data), err
}
