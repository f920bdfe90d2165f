package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/backoff"
	"github.com/tradetrail/tradetrail/projections/views"
)

// Plan says which reports are written to a folder by themselves.
type Plan struct {
	Dir     string         // empty: none are
	Daily   string         // cron expression of five fields; empty: no daily reports
	Monthly string         // empty: no monthly ones
	Zone    *time.Location // of the expressions; nil: UTC. The days and months themselves are UTC's
	Format  Format
}

// Check tells what is wrong with a plan.
func (p Plan) Check() error {
	if p.Dir == "" {
		return nil
	}
	_, dailyErr := parseCron("report-daily", p.Daily)
	_, monthlyErr := parseCron("report-monthly", p.Monthly)
	_, formatErr := ParseFormat(string(p.Format))
	return errors.Join(dailyErr, monthlyErr, formatErr)
}

// parseCron reads five fields and nothing else that cron tables may have; nil: empty.
func parseCron(field, text string) (cron.Schedule, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	const fields = 5
	bad := domain.Rejectf(domain.CodeInvalid, field, "%.64q is not a cron expression of five fields such as 10 0 * * *", text)
	if len(strings.Fields(text)) != fields || strings.Contains(text, "=") {
		return nil, bad
	}
	schedule, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(text)
	if err != nil {
		bad.Err = err
		return nil, bad
	}
	return schedule, nil
}

// How far back missing reports are made up for.
const (
	maxDays   = 62
	maxMonths = 24
)

// Schedule writes the reports of a plan: exactly one file for each period, a daily audit
// report for each UTC day and a compliance report for each month, when the first moment
// of the cron expression behind the period's end has come. What a stopped server has
// missed is written when it runs again.
type Schedule struct {
	plan    Plan
	maker   *Maker
	log     *slog.Logger
	now     func() time.Time
	look    time.Duration // how often is looked whether something is due
	periods []periods
}

// NewSchedule makes the schedule of a plan that was checked.
func NewSchedule(plan Plan, maker *Maker, log *slog.Logger, now func() time.Time) (*Schedule, error) {
	if plan.Zone == nil {
		plan.Zone = time.UTC
	}
	s := &Schedule{plan: plan, maker: maker, log: log, now: now, look: 20 * time.Second}
	for _, p := range []struct {
		text string
		periods
	}{
		{plan.Daily, periods{
			most: maxDays,
			last: func(t time.Time) time.Time { return t.Truncate(24*time.Hour).AddDate(0, 0, -1) },
			next: func(begin time.Time) time.Time { return begin.AddDate(0, 0, 1) },
			request: func(begin time.Time) (string, Request) {
				day := begin.Format(time.DateOnly)
				return "daily-" + day, Request{Kind: Daily, Day: day}
			},
		}},
		{plan.Monthly, periods{
			most: maxMonths,
			last: func(t time.Time) time.Time { return time.Date(t.Year(), t.Month()-1, 1, 0, 0, 0, 0, time.UTC) },
			next: func(begin time.Time) time.Time { return begin.AddDate(0, 1, 0) },
			request: func(begin time.Time) (string, Request) {
				return "monthly-" + begin.Format("2006-01"), Request{Kind: Compliance, From: begin, To: begin.AddDate(0, 1, 0)}
			},
		}},
	} {
		when, err := parseCron("report", p.text)
		if err != nil {
			return nil, err
		}
		if when != nil {
			p.when = when
			s.periods = append(s.periods, p.periods)
		}
	}
	return s, nil
}

// periods are the days, or the months, of UTC.
type periods struct {
	when    cron.Schedule
	most    int
	last    func(now time.Time) time.Time   // the beginning of the last one that is over
	next    func(begin time.Time) time.Time // its end
	request func(begin time.Time) (name string, r Request)
}

// due lists the beginnings of the periods whose reports should be there by now, the
// oldest first, none from before the log.
func (p periods) due(now, logBegan time.Time, zone *time.Location) []time.Time {
	begin := p.last(now.UTC())
	var due []time.Time
	for range p.most {
		end := p.next(begin)
		if !end.After(logBegan) {
			break
		}
		// The moment of the end itself counts as behind it.
		if first := p.when.Next(end.Add(-time.Nanosecond).In(zone)); !first.IsZero() && !first.After(now) {
			due = append([]time.Time{begin}, due...)
		}
		begin = p.last(begin)
	}
	return due
}

// Run writes what is due, now and whenever something is, until ctx ends. What fails is
// tried again.
func (s *Schedule) Run(ctx context.Context) error {
	s.tidy(ctx)
	for failures := 0; ; {
		wait := func() error { return pause(ctx, s.look) }
		if err := s.write(authz.With(ctx, Service())); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if domain.ClassOf(err) != domain.ClassTransient {
				s.log.ErrorContext(ctx, "a scheduled report was not written; it is tried again", slog.Any("error", err))
			}
			failures++
			wait = func() error { return backoff.Wait(ctx, failures, time.Second, 5*time.Minute) }
		} else {
			failures = 0
		}
		if err := wait(); err != nil {
			return err
		}
	}
}

// tidy removes what a crash has left. Whose file it was, if he is still there, begins anew.
func (s *Schedule) tidy(ctx context.Context) {
	left, _ := filepath.Glob(filepath.Join(s.plan.Dir, ".*.partial")) // the pattern is one
	for _, path := range left {
		if err := removed(path); err != nil {
			s.log.WarnContext(ctx, "a partial report was not removed", slog.Any("error", err))
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write writes what is due and is not there.
func (s *Schedule) write(ctx context.Context) error {
	if err := os.MkdirAll(s.plan.Dir, 0o750); err != nil {
		return fmt.Errorf("making the folder of scheduled reports: %w", err)
	}
	first, err := s.maker.views.Search(ctx, views.Query{Limit: 1})
	if err != nil || len(first.Events) == 0 {
		return err // of an empty log there is nothing to say
	}
	for _, p := range s.periods {
		for _, begin := range p.due(s.now(), first.Events[0].RecordedAt, s.plan.Zone) {
			if err := s.writeOne(ctx, p, begin); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeOne writes one file. It appears when all is in it, on the disk, and recorded; a
// file that is there is never written over, whoever wrote it.
func (s *Schedule) writeOne(ctx context.Context, p periods, begin time.Time) error {
	name, r := p.request(begin)
	r.Format = s.plan.Format
	path := filepath.Join(s.plan.Dir, name+r.Format.Extension())
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	partial, err := os.CreateTemp(s.plan.Dir, "."+name+"-*.partial")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = s.maker.make(ctx, name, r, partial, unheard{})
	if err = cmp.Or(err, partial.Sync(), partial.Close()); err == nil {
		err = os.Link(partial.Name(), path)
	}
	if removeErr := removed(partial.Name()); removeErr != nil {
		s.log.WarnContext(ctx, "a partial report was not removed", slog.Any("error", removeErr))
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	s.log.InfoContext(ctx, "a scheduled report was written", slog.String("path", path))
	return syncDir(s.plan.Dir)
}

// syncDir makes a new name in a folder durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("syncing %s: %w", path, err)
	}
	return cmp.Or(dir.Sync(), dir.Close())
}

// unheard is progress that nobody asks for.
type unheard struct{}

func (unheard) read(int) {}
func (unheard) row()     {}
