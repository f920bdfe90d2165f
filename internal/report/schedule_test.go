package report_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/internal/report"
	"github.com/tradetrail/tradetrail/projections/views"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// One file for each period, at its time, also when the server was down meanwhile; what
// is there is never written again.
func TestSchedule_OneFileForEachPeriod(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "out")
	notes, at := &notebook{}, &clock{}
	plan := report.Plan{Dir: dir, Daily: "0 18 * * *", Monthly: "30 0 1 * *", Zone: newYork, Format: report.Text}
	require.NoError(t, plan.Check())
	s, err := report.NewSchedule(plan, report.NewMaker(newMemory(desk()...), notes, at.now), slog.New(slog.DiscardHandler), at.now)
	require.NoError(t, err)

	// The log begins on 2026-03-02. Its day ends at 19:00 in New York, so the next 18:00
	// there is 23:00 UTC of the day after.
	at.set(time.Date(2026, 3, 3, 22, 59, 59, 0, time.UTC))
	require.NoError(t, s.Write(t.Context()))
	assert.Empty(t, names(t, dir))
	at.set(time.Date(2026, 3, 3, 23, 0, 0, 0, time.UTC))
	require.NoError(t, s.Write(t.Context()))
	assert.Equal(t, []string{"daily-2026-03-02.txt"}, names(t, dir))
	first, err := os.ReadFile(filepath.Join(dir, "daily-2026-03-02.txt"))
	require.NoError(t, err)
	require.Len(t, notes.events, 1)

	at.set(time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC))
	require.NoError(t, s.Write(t.Context()))
	require.NoError(t, s.Write(t.Context()))
	assert.Equal(t, []string{"daily-2026-03-02.txt", "daily-2026-03-03.txt", "daily-2026-03-04.txt"}, names(t, dir))
	assert.Len(t, notes.events, 3)
	again, err := os.ReadFile(filepath.Join(dir, "daily-2026-03-02.txt"))
	require.NoError(t, err)
	assert.Equal(t, string(first), string(again))

	at.set(time.Date(2026, 4, 1, 4, 30, 0, 0, time.UTC)) // 00:30 in New York, in summer
	require.NoError(t, s.Write(t.Context()))
	assert.Contains(t, names(t, dir), "monthly-2026-03.txt")
	assert.NotContains(t, names(t, dir), "monthly-2026-02.txt")
	assert.Len(t, names(t, dir), 30) // the days up to 2026-03-30, and the month
}

func TestSchedule_NothingIsWrittenUnlessItIsRecorded(t *testing.T) {
	dir := t.TempDir()
	notes := &notebook{err: assert.AnError}
	now := func() time.Time { return created() }
	s, err := report.NewSchedule(report.Plan{Dir: dir, Daily: "0 1 * * *", Format: report.PDF}, report.NewMaker(newMemory(desk()...), notes, now), slog.New(slog.DiscardHandler), now)
	require.NoError(t, err)
	require.ErrorIs(t, s.Write(t.Context()), assert.AnError)
	assert.Empty(t, names(t, dir))
}

// rotten are views in which a day can't be read.
type rotten struct {
	*memory

	day  time.Time
	fail func(ctx context.Context) error
}

func (r *rotten) Search(ctx context.Context, q views.Query) (views.Found, error) {
	if q.Filter.After.Equal(r.day) {
		if err := r.fail(ctx); err != nil {
			return views.Found{}, err
		}
	}
	return r.memory.Search(ctx, q)
}

// A day whose report fails, however it does, holds up none of the later ones.
func TestSchedule_OneThatFailsHoldsUpNoOther(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(context.Context) error
		want string
	}{
		"error": {func(context.Context) error { return assert.AnError }, assert.AnError.Error()},
		"panic": {func(context.Context) error { panic("a fault of ours") }, "a fault of ours"},
		"no end": {func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, "took too long"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				now := func() time.Time { return time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC) }
				v := &rotten{newMemory(desk()...), time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC), c.fail}
				s, err := report.NewSchedule(report.Plan{Dir: dir, Daily: "0 1 * * *", Format: report.Text}, report.NewMaker(v, &notebook{}, now), slog.New(slog.DiscardHandler), now)
				require.NoError(t, err)
				require.ErrorContains(t, s.Write(t.Context()), c.want)
				assert.Equal(t, []string{"daily-2026-03-02.txt", "daily-2026-03-04.txt"}, names(t, dir))
			})
		})
	}
}

func TestSchedule_NothingIsRecordedThatCanNotAppear(t *testing.T) {
	for name, limit := range map[string]func(*report.Schedule){
		"a file too long":        func(s *report.Schedule) { s.Limit(1000) },
		"a folder without links": func(s *report.Schedule) { s.LinkBy(func(string, string) error { return errors.ErrUnsupported }) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, notes := t.TempDir(), &notebook{}
			s, err := report.NewSchedule(report.Plan{Dir: dir, Daily: "0 1 * * *", Format: report.Text}, report.NewMaker(newMemory(desk()...), notes, created), slog.New(slog.DiscardHandler), created)
			require.NoError(t, err)
			limit(s)
			require.Error(t, s.Write(t.Context()))
			assert.Empty(t, names(t, dir))
			assert.Empty(t, notes.events)
		})
	}
}

func TestPlan_Refused(t *testing.T) {
	for _, text := range []string{"* * * *", "61 * * * *", "@every 1s", "TZ=UTC", "CRON_TZ=UTC 0 1 * *", "TZ= 0 1 * *", "daily"} {
		err := report.Plan{Dir: "x", Daily: text, Format: report.PDF}.Check()
		require.Error(t, err, text)
	}
	require.Error(t, report.Plan{Dir: "x", Format: "PDF"}.Check()) // not as ParseFormat gives it
	require.NoError(t, report.Plan{Dir: "x", Daily: "*/5 9-17 * * mon-fri", Format: report.PDF}.Check())
}
