package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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
	"github.com/tradetrail/tradetrail/internal/durable"
	"github.com/tradetrail/tradetrail/projections/views"
)

// Plan says which reports are written to a shelf by themselves.
type Plan struct {
	Dir     string         // a folder; empty: there are none
	Shelf   Shelf          // where they go; nil: into Dir, which else holds those under way
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
	return errors.Join(dailyErr, monthlyErr, p.Format.check())
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

// Schedule writes the reports of a plan: exactly one for each period, a daily audit
// report for each UTC day and a compliance report for each month, when the first moment
// of the cron expression behind the period's end has come. What a stopped server has
// missed is written when it runs again.
type Schedule struct {
	plan    Plan
	maker   *Maker
	log     *slog.Logger
	now     func() time.Time
	look    time.Duration // how often is looked whether something is due
	limits  Limits        // Bytes and Time of each report
	shelf   Shelf
	periods []periods
}

// NewSchedule makes the schedule of a plan that was checked.
func NewSchedule(plan Plan, maker *Maker, log *slog.Logger, now func() time.Time) (*Schedule, error) {
	if plan.Zone == nil {
		plan.Zone = time.UTC
	}
	if plan.Shelf == nil {
		plan.Shelf = &folder{dir: plan.Dir, link: os.Link}
	}
	s := &Schedule{plan: plan, maker: maker, log: log, now: now, look: 20 * time.Second, limits: DefaultLimits(), shelf: plan.Shelf}
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

// quietFailures is how often read models may be behind, as after a start, before that is
// told.
const quietFailures = 3

// Run writes what is due, now and whenever something is, until ctx ends. What fails is
// tried again, and holds up nothing else.
func (s *Schedule) Run(ctx context.Context) error {
	s.tidy(ctx)
	for failures := 0; ; {
		wait := func() error { return backoff.Pause(ctx, s.look) }
		if errs := s.write(authz.With(ctx, Service())); len(errs) > 0 {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			for _, err := range errs {
				if failures >= quietFailures || domain.ClassOf(err) != domain.ClassTransient {
					s.log.ErrorContext(ctx, "a scheduled report was not written; it is tried again", slog.Any("error", err))
				}
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

// write writes what is due and is not there. The errors are one for each file.
func (s *Schedule) write(ctx context.Context) (errs []error) {
	if err := os.MkdirAll(s.plan.Dir, 0o750); err != nil {
		return []error{fmt.Errorf("making the folder of scheduled reports: %w", err)}
	}
	if err := s.shelf.Ready(ctx); err != nil {
		return []error{err}
	}
	first, err := s.maker.views.Search(ctx, views.Query{Limit: 1})
	if err != nil {
		return []error{err}
	}
	if len(first.Events) == 0 {
		return nil // there is nothing to say
	}
	for _, p := range s.periods {
		for _, begin := range p.due(s.now(), first.Events[0].RecordedAt, s.plan.Zone) {
			if ctx.Err() != nil {
				return append(errs, ctx.Err())
			}
			if err := s.writeOne(ctx, p, begin); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}

// writeOne writes one report. It is made, recorded and kept as a file of our own before
// it is put onto the shelf: what can't be put there now has the same bytes the next time,
// also after a restart.
func (s *Schedule) writeOne(ctx context.Context, p periods, begin time.Time) error {
	period, r := p.request(begin)
	r.Format = s.plan.Format
	name := period + r.Format.Extension()
	kept := filepath.Join(s.plan.Dir, "."+name+".recorded")
	there, err := s.shelf.Has(ctx, name)
	if err != nil {
		return err
	}
	if there {
		return removed(kept) // a crash may have left it
	}
	if _, err := os.Stat(kept); err != nil {
		if err := s.keep(ctx, period, r, kept); err != nil {
			return fmt.Errorf("making %s: %w", name, err)
		}
	}
	err = s.put(ctx, name, r.Format.Media(), kept)
	if err != nil && !errors.Is(err, fs.ErrExist) { // another process was faster
		return err
	}
	if err == nil {
		s.log.InfoContext(ctx, "a scheduled report was written", slog.String("name", name))
	}
	return removed(kept)
}

// put is that of the shelf, within the limits.
func (s *Schedule) put(ctx context.Context, name, media, path string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.limits.Time, errSlow)
	defer cancel()
	return s.shelf.Put(ctx, name, media, path)
}

// keep makes a report and records it. The file appears when all of it is on the disk.
func (s *Schedule) keep(ctx context.Context, id string, r Request, path string) error {
	partial, err := os.CreateTemp(s.plan.Dir, "."+id+"-*.partial")
	if err != nil {
		return err
	}
	err = s.make(ctx, id, r, partial)
	if err = cmp.Or(err, partial.Sync(), partial.Close()); err == nil {
		err = os.Rename(partial.Name(), path)
	}
	if err != nil {
		return errors.Join(err, removed(partial.Name()))
	}
	return durable.SyncDir(s.plan.Dir)
}

// make is that of the maker, within the limits.
func (s *Schedule) make(ctx context.Context, name string, r Request, w io.Writer) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.limits.Time, errSlow)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil { // one report must not end the others
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	_, err = s.maker.make(ctx, name, r, &limited{w, s.limits.Bytes}, unheard{})
	if err != nil && errors.Is(context.Cause(ctx), errSlow) {
		return errSlow
	}
	return err
}

// limited is a file of the schedule that may not grow for ever.
type limited struct {
	w    io.Writer
	left int64
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, &domain.Error{Class: domain.ClassRejected, Code: domain.CodeTooLarge, Message: "the report is longer than a file may be"}
	}
	return l.w.Write(p)
}

// unheard is progress that nobody asks for.
type unheard struct{}

func (unheard) read(int) {}
func (unheard) row()     {}
