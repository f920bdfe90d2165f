package app

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/report"
)

// reportPlan is which reports are written by themselves.
func reportPlan(cfg config.Config) (report.Plan, error) {
	plan := report.Plan{Dir: cfg.ReportDir, Daily: cfg.ReportDaily, Monthly: cfg.ReportMonthly, Format: report.Format(cfg.ReportFormat)}
	if plan.Dir == "" {
		return plan, nil
	}
	var err error
	if plan.Zone, err = time.LoadLocation(cfg.ReportZone); err != nil {
		return plan, domain.Rejectf(domain.CodeInvalid, "report-zone", "%.64q is no time zone: %v", cfg.ReportZone, err)
	}
	return plan, plan.Check()
}

// openReports makes what makes reports, and what must run for it.
func (a *App) openReports(views *authz.Views, door *authz.Recorder) (*report.Jobs, []component, error) {
	dir, err := a.reportFiles()
	if err != nil {
		return nil, nil, err
	}
	maker := report.NewMaker(views, door, time.Now)
	jobs, err := report.NewJobs(maker, dir, a.log, time.Now, report.DefaultLimits())
	if err != nil {
		return nil, nil, err
	}
	components := []component{{name: "reports", run: jobs.Run}}
	plan, err := reportPlan(a.cfg)
	if err != nil || plan.Dir == "" {
		return jobs, components, err
	}
	schedule, err := report.NewSchedule(plan, maker, a.log, time.Now)
	if err != nil {
		return nil, nil, err
	}
	return jobs, append(components, component{name: "scheduled reports", run: schedule.Run}), nil
}

// reportFiles is a folder of this process alone: below the data directory where the
// embedded event store is locked, else a temporary one.
func (a *App) reportFiles() (string, error) {
	if a.cfg.EventStore == "" {
		return filepath.Join(a.cfg.DataDir, "reports"), nil
	}
	dir, err := os.MkdirTemp("", "tradetrail-reports-")
	if err != nil {
		return "", fmt.Errorf("making the folder of reports: %w", err)
	}
	return dir, nil
}
