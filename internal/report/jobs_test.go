package report_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/report"
	"github.com/tradetrail/tradetrail/projections/views"
)

// clock is moved by the test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// notebook is a recorder that remembers.
type notebook struct {
	mu     sync.Mutex
	events []*domain.Event
	err    error
}

func (n *notebook) Record(_ context.Context, _ string, items []ingest.Item) ([]ingest.Receipt, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	receipts := make([]ingest.Receipt, len(items))
	for i, item := range items {
		n.events = append(n.events, item.Event)
		receipts[i] = ingest.Receipt{Line: item.Line, EventID: item.Event.ID, Status: ingest.Recorded}
	}
	return receipts, n.err
}

// gated are views that answer when the test lets them.
type gated struct {
	*memory

	gate chan struct{}
}

func (g *gated) Search(ctx context.Context, q views.Query) (views.Found, error) {
	select {
	case <-g.gate:
		return g.memory.Search(ctx, q)
	case <-ctx.Done():
		return views.Found{}, ctx.Err()
	}
}

type office struct {
	*report.Jobs

	notes *notebook
	clock *clock
	dir   string
}

func openOffice(t *testing.T, v report.Views, limits report.Limits) *office {
	t.Helper()
	o := &office{notes: &notebook{}, clock: &clock{at: created()}, dir: filepath.Join(t.TempDir(), "reports")}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	o.Jobs, err = report.NewJobs(report.NewMaker(v, o.notes, o.clock.now), o.dir, quiet, o.clock.now, limits)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
		assert.NoDirExists(t, o.dir)
	})
	return o
}

func by(t *testing.T, name string) context.Context {
	return authz.With(t.Context(), authz.Principal{Name: name})
}

func code(err error) string {
	if e, ok := errors.AsType[*domain.Error](err); ok {
		return e.Code
	}
	return ""
}

func quick() report.Limits {
	l := report.DefaultLimits()
	l.Sweep = time.Millisecond
	return l
}

func TestJobs_MakeRecordAndForget(t *testing.T) {
	o := openOffice(t, newMemory(desk()...), quick())
	ctx := by(t, "ann")
	job, err := o.Start(ctx, report.Request{Kind: report.Account, ID: "ACC-1", Format: report.CSV})
	require.NoError(t, err)
	job, err = o.Await(ctx, job.ID, time.Minute)
	require.NoError(t, err)
	require.Equal(t, report.Done, job.State, "%v", job.Err)
	assert.Positive(t, job.Rows)
	assert.Positive(t, job.Events)
	file, _, err := o.Open(ctx, job.ID)
	require.NoError(t, err)
	data, err := io.ReadAll(file)
	require.NoError(t, errors.Join(err, file.Close()))
	sum := sha256.Sum256(data)
	assert.Equal(t, hex.EncodeToString(sum[:]), job.SHA256)
	assert.Equal(t, int64(len(data)), job.Bytes)

	require.Len(t, o.notes.events, 1)
	e := o.notes.events[0]
	assert.Equal(t, domain.ReportGenerated, e.Type)
	assert.Equal(t, "ann", e.UserID)
	assert.Equal(t, job.EventID, e.ID)
	var noted map[string]any
	require.NoError(t, json.Unmarshal(e.Data, &noted))
	assert.Equal(t, job.SHA256, noted["sha256"])
	assert.Equal(t, "account", noted["kind"])
	assert.Equal(t, "ACC-1", noted["id"])

	// Nobody else sees it.
	_, err = o.Job(by(t, "bob"), job.ID)
	assert.Equal(t, "unknown_report", code(err))
	_, _, err = o.Open(by(t, "bob"), job.ID)
	assert.Equal(t, "unknown_report", code(err))

	o.clock.set(created().Add(report.DefaultLimits().Keep))
	require.Eventually(t, func() bool {
		_, err := o.Job(ctx, job.ID)
		return code(err) == "unknown_report"
	}, 10*time.Second, time.Millisecond)
	left, err := os.ReadDir(o.dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestJobs_AreBounded(t *testing.T) {
	limits := quick()
	limits.Running, limits.Each, limits.Total = 1, 2, 3
	v := &gated{newMemory(desk()...), make(chan struct{})}
	o := openOffice(t, v, limits)
	ask := func(name string) error {
		_, err := o.Start(by(t, name), report.Request{Kind: report.Daily, Day: "2026-03-02", Format: report.Text})
		return err
	}
	require.NoError(t, ask("ann"))
	require.NoError(t, ask("ann"))
	assert.Equal(t, "too_many_reports", code(ask("ann")))
	require.NoError(t, ask("bob"))
	assert.Equal(t, "too_many_reports", code(ask("eve")))
	close(v.gate)
	// What is done makes room.
	require.Eventually(t, func() bool { return ask("eve") == nil }, 10*time.Second, time.Millisecond)
}

func TestJobs_TooLong(t *testing.T) {
	limits := quick()
	limits.Bytes = 1000
	o := openOffice(t, newMemory(desk()...), limits)
	ctx := by(t, "ann")
	job, err := o.Start(ctx, report.Request{Kind: report.Account, ID: "ACC-1", Format: report.Text})
	require.NoError(t, err)
	job, err = o.Await(ctx, job.ID, time.Minute)
	require.NoError(t, err)
	assert.Equal(t, report.Failed, job.State)
	assert.Equal(t, domain.CodeTooLarge, code(job.Err))
	assert.Empty(t, o.notes.events)
	left, err := os.ReadDir(o.dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// A report that is not recorded is not handed out.
func TestJobs_NotRecorded(t *testing.T) {
	o := openOffice(t, newMemory(desk()...), quick())
	o.notes.err = errors.New("the store is away")
	ctx := by(t, "ann")
	job, err := o.Start(ctx, report.Request{Kind: report.Order, ID: "O-1", Format: report.Text})
	require.NoError(t, err)
	job, err = o.Await(ctx, job.ID, time.Minute)
	require.NoError(t, err)
	assert.Equal(t, report.Failed, job.State)
	_, _, err = o.Open(ctx, job.ID)
	assert.Error(t, err)
}

func TestRequest_Refused(t *testing.T) {
	day := created()
	for name, c := range map[string]struct {
		request report.Request
		field   string
	}{
		"no kind":          {report.Request{Format: report.PDF}, "kind"},
		"no order":         {report.Request{Kind: report.Order, Format: report.PDF}, "id"},
		"no format":        {report.Request{Kind: report.Order, ID: "O"}, "format"},
		"no day":           {report.Request{Kind: report.Daily, Day: "2026-02-30", Format: report.PDF}, "day"},
		"a window of none": {report.Request{Kind: report.User, ID: "u", From: day, To: day, Format: report.PDF}, "from"},
		"a day of a user":  {report.Request{Kind: report.User, ID: "u", Day: "2026-03-02", Format: report.PDF}, "day"},
	} {
		err := c.request.Check()
		e, ok := errors.AsType[*domain.Error](err)
		require.True(t, ok, name)
		assert.Equal(t, domain.ClassRejected, e.Class, name)
		assert.Equal(t, c.field, e.Field, name)
	}
}
