package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/bucket"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/report"
	"github.com/tradetrail/tradetrail/tlog/prove"
)

// reportPlan is which reports are written by themselves, without their bucket if that is
// where they go.
func reportPlan(cfg config.Config) (report.Plan, error) {
	plan := report.Plan{Dir: cfg.ReportDir, Daily: cfg.ReportDaily, Monthly: cfg.ReportMonthly}
	var err error
	if cfg.ReportBucket != "" {
		plan.Dir = outbox(cfg)
		if _, err = bucket.ParsePlace(cfg.ReportBucket); err != nil {
			return plan, err
		}
	}
	if plan.Dir == "" {
		return plan, nil
	}
	if plan.Format, err = report.ParseFormat(cfg.ReportFormat); err != nil {
		return plan, err
	}
	if plan.Zone, err = time.LoadLocation(cfg.ReportZone); err != nil {
		return plan, domain.Rejectf(domain.CodeInvalid, "report-zone", "%.64q is no time zone: %v", cfg.ReportZone, err)
	}
	if err := apart(plan.Dir, cfg); err != nil {
		return plan, err
	}
	return plan, plan.Check()
}

// outbox holds reports that are on their way to a bucket, over restarts.
func outbox(cfg config.Config) string { return filepath.Join(cfg.DataDir, ".report-outbox") }

// openShelf opens the bucket of a configuration that names one.
func (a *App) openShelf(plan *report.Plan) error {
	if a.cfg.ReportBucket == "" {
		return nil
	}
	place, err := bucket.ParsePlace(a.cfg.ReportBucket)
	if err != nil {
		return err
	}
	shelf, err := bucket.Open(place)
	if err != nil {
		return err
	}
	a.atStop("bucket of reports", func(context.Context) error { return shelf.Close() })
	plan.Shelf = shelf
	return nil
}

// apart refuses a folder of scheduled reports that shares files with that of the jobs,
// which is emptied at each start and stop.
func apart(dir string, cfg config.Config) error {
	if cfg.EventStore != "" {
		return nil // the jobs' folder is a new one each time
	}
	scheduled, err := resolved(dir)
	if err != nil {
		return err
	}
	jobs, err := resolved(jobsDir(cfg))
	if err != nil {
		return err
	}
	if within(scheduled, jobs) || within(jobs, scheduled) {
		return domain.Rejectf(domain.CodeInvalid, "report-dir", "%.256q is, is in or is around %.256q, which is emptied at each start and stop: name another folder", dir, jobsDir(cfg))
	}
	return nil
}

// within reports whether a path is a folder or in it.
func within(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}

// resolved is a path without links, as far as it exists.
func resolved(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("resolving %s: %w", path, err)
	}
	var missing string
	for {
		there, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(there, missing), nil
		}
		if parent := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) && parent != path {
			missing, path = filepath.Join(filepath.Base(path), missing), parent
			continue
		}
		return "", fmt.Errorf("resolving %s: %w", path, err)
	}
}

// openReports makes what makes reports, and what must run for it.
func (a *App) openReports(views *authz.Views, log *prove.Reporter, door *authz.Recorder) (*report.Jobs, []component, error) {
	dir, err := a.reportFiles()
	if err != nil {
		return nil, nil, err
	}
	var options []report.MakerOption
	if log != nil {
		options = append(options, report.WithLog(log))
	}
	maker := report.NewMaker(views, door, time.Now, options...)
	jobs, err := report.NewJobs(maker, dir, a.log, time.Now, report.DefaultLimits())
	if err != nil {
		return nil, nil, err
	}
	components := []component{{name: "reports", run: jobs.Run}}
	plan, err := reportPlan(a.cfg)
	if err != nil || plan.Dir == "" {
		return jobs, components, err
	}
	if err := a.openShelf(&plan); err != nil {
		return nil, nil, err
	}
	schedule, err := report.NewSchedule(plan, maker, a.log, time.Now)
	if err != nil {
		return nil, nil, err
	}
	return jobs, append(components, component{name: "scheduled reports", run: schedule.Run}), nil
}

func jobsDir(cfg config.Config) string { return filepath.Join(cfg.DataDir, ".report-jobs") }

// reportFiles is a folder of this process alone: below the data directory where the
// embedded event store is locked, else a temporary one.
func (a *App) reportFiles() (string, error) {
	if a.cfg.EventStore == "" {
		return jobsDir(a.cfg), nil
	}
	dir, err := os.MkdirTemp("", "tradetrail-reports-")
	if err != nil {
		return "", fmt.Errorf("making the folder of reports: %w", err)
	}
	return dir, nil
}
