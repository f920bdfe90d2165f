package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/report"
	"github.com/tradetrail/tradetrail/projections/views"
)

var update = flag.Bool("update", false, "rewrite golden files")

// memory are views over events in memory. They find by scanning, page by page as the
// real ones do.
type memory struct {
	events   []domain.Located
	statuses []views.Status
	parked   map[string][]views.Parked
	err      error // of every question
	pages    int
}

func newMemory(events ...*domain.Event) *memory {
	m := &memory{}
	revisions := make(map[string]uint64)
	for i, e := range events {
		stream := e.Stream()
		at := uint64(i+1) * 100
		m.events = append(m.events, domain.Located{Event: e, Stream: stream, Revision: revisions[stream], Position: domain.Position{Commit: at, Prepare: at}})
		revisions[stream]++
	}
	return m
}

func (m *memory) Chain(_ context.Context, order string) (domain.Chain, int, bool, error) {
	var own []domain.Located
	for _, e := range m.events {
		if e.OrderID == order {
			own = append(own, e)
		}
	}
	all, err := domain.CollectChain(order, own, func(refs []domain.Ref) (found []domain.Located, _ error) {
		for _, e := range m.events {
			if slices.ContainsFunc(domain.Concerns(e.Event), func(r domain.Ref) bool { return slices.Contains(refs, r) }) {
				found = append(found, e)
			}
		}
		return found, nil
	})
	return domain.BuildChain(order, all), 0, len(own) > 0, cmpErr(m.err, err)
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Search(ctx context.Context, q views.Query) (views.Found, error) {
	if err := cmpErr(ctx.Err(), m.err); err != nil {
		return views.Found{}, err
	}
	matcher, err := q.Compile()
	if err != nil {
		return views.Found{}, err
	}
	m.pages++
	found := views.Found{}
	if len(m.events) > 0 {
		found.UpTo = m.events[len(m.events)-1].Position
	}
	first, _ := slices.BinarySearchFunc(m.events, q.After, func(e domain.Located, p domain.Position) int {
		if e.Position.Compare(p) <= 0 {
			return -1
		}
		return 1
	})
	for _, e := range m.events[first:] {
		if q.Before != (domain.Position{}) && e.Position.Compare(q.Before) >= 0 {
			break
		}
		if len(found.Events) == q.Limit {
			found.More = true
			break
		}
		found.Reached = e.Position
		if ok, err := matcher.Match(e); err != nil || !ok {
			continue
		}
		found.Events = append(found.Events, e)
	}
	return found, nil
}

func (m *memory) Status(context.Context) ([]views.Status, error) { return m.statuses, m.err }

func (m *memory) Parked(_ context.Context, name string) ([]views.Parked, error) {
	return m.parked[name], m.err
}

// created is when the reports of these tests are made.
func created() time.Time { return time.Date(2026, 3, 3, 6, 0, 0, 0, time.UTC) }

// written makes a report.
func written(t testing.TB, v report.Views, r report.Request) []byte {
	t.Helper()
	require.NoError(t, r.Check())
	d, err := report.Make(t.Context(), v, nil, r, created(), func(int) {})
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, r.Format.Write(&out, d))
	return out.Bytes()
}

// parts are what a report has, as programs read it.
type parts struct {
	About    map[string]string `json:"about"`
	Contents []struct {
		Part   string            `json:"part"`
		Values map[string]string `json:"values"`
		Table  string            `json:"table"`
		Rows   []tableRow        `json:"rows"`
	} `json:"contents"`
}

func partsOf(t *testing.T, v report.Views, r report.Request) (p parts) {
	t.Helper()
	require.NoError(t, json.Unmarshal(written(t, v, as(r, report.JSON)), &p))
	return p
}

// factsOf are all single values of a report.
func factsOf(t *testing.T, v report.Views, r report.Request) map[string]string {
	t.Helper()
	p := partsOf(t, v, r)
	facts := p.About
	for _, part := range p.Contents {
		maps.Copy(facts, part.Values)
	}
	return facts
}

type tableRow struct {
	Cells map[string]string `json:"cells"`
	Tone  string            `json:"tone"`
	Notes []string          `json:"notes"`
}

func tableOf(t *testing.T, v report.Views, r report.Request, name string) []tableRow {
	t.Helper()
	for _, part := range partsOf(t, v, r).Contents {
		if part.Table == name {
			return part.Rows
		}
	}
	require.Fail(t, "there is no table "+name)
	return nil
}

// as is a request in another format.
func as(r report.Request, f report.Format) report.Request {
	r.Format = f
	return r
}

// poppler finds a program that opens PDFs.
func poppler(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("TRADETRAIL_REQUIRE") == "1" {
			t.Fatalf("%s is not installed (apt-get install poppler-utils), and TRADETRAIL_REQUIRE=1", program)
		}
		t.Skipf("%s is not installed: apt-get install poppler-utils", program)
	}
	return path
}

// pdfText is the text of a PDF as a reader copies it, in the order in which it was
// written.
func pdfText(t testing.TB, file []byte) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), poppler(t, "pdftotext"), "-raw", "-enc", "UTF-8", "-", "-")
	cmd.Stdin = bytes.NewReader(file)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, problems.String())
	assert.Empty(t, problems.String(), "pdftotext complains")
	return string(out)
}

// squeezed is text without white space: an id that was wrapped is whole again.
func squeezed(text string) string { return strings.Join(strings.Fields(text), "") }

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "%s; -update rewrites it", path)
}

// desk are the events of a small day.
func desk() []*domain.Event {
	day := time.Date(2026, 3, 2, 14, 30, 0, 123456789, time.UTC)
	n := 0
	event := func(after time.Duration, kind domain.EventType, data string, change ...func(*domain.Event)) *domain.Event {
		n++
		e := &domain.Event{
			ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", n), Type: kind, OccurredAt: day.Add(after), RecordedAt: day.Add(after + time.Millisecond),
			Actor: "broker_service", Source: "http", SchemaVersion: 1, Data: []byte(data),
		}
		for _, c := range change {
			c(e)
		}
		return e
	}
	order := func(id string) func(*domain.Event) {
		return func(e *domain.Event) {
			e.OrderID, e.AccountID, e.StrategyID, e.Ticker = id, "ACC-1", "momentum", "MSFT"
		}
	}
	finding := func(id string) func(*domain.Event) {
		return func(e *domain.Event) {
			order(id)(e)
			e.EntityType, e.EntityID, e.Actor, e.Source = "anomaly", "F-1", "rules", "detection"
		}
	}
	return []*domain.Event{
		event(-3*time.Second, domain.SignalComputed, `{"output":{"positions_long":40}}`, func(e *domain.Event) { e.ComputationID, e.StrategyID = "comp-1", "momentum" }),
		event(-2*time.Second, domain.RecommendationGenerated, `{"ticker":"MSFT","action":"buy","confidence":"0.82"}`, func(e *domain.Event) { e.RecommendationID, e.StrategyID = "rec-1", "momentum" }),
		event(0, domain.OrderSubmitted, `{"side":"buy","quantity":"100","order_type":"limit","limit_price":"412.50"}`, order("O-1"), func(e *domain.Event) { e.RecommendationID = "rec-1" }),
		event(15*time.Millisecond, domain.OrderAccepted, `{"broker_order_id":"B-9"}`, order("O-1")),
		event(3*time.Second, domain.OrderPartiallyFilled, `{"fill_quantity":"30","fill_price":"412.440000","commission":"0.15","slippage_bps":"-1.45"}`, order("O-1")),
		event(4*time.Second, domain.OrderFilled, `{"fill_quantity":"70","fill_price":"415.00","commission":"0.35","slippage":"0.0061"}`, order("O-1")),
		event(4*time.Second, domain.AnomalyDetected, `{"kind":"slippage","rule":"slippage","rule_version":1,"severity":"high","explanation":"slippage of 61 bps is above the limit of 50 bps","evidence":["00000000-0000-4000-8000-000000000006"],"value":"61","limit":"50","unit":"bps"}`, finding("O-1")),
		event(4*time.Second+time.Millisecond, domain.PositionOpened, `{"quantity_before":"0","quantity_after":"100","side":"long"}`, order("O-1")),
		event(5*time.Second, domain.OrderSubmitted, `{"side":"sell","quantity":"10"}`, order("O-2")),
		event(6*time.Second, domain.OrderCancelled, `{}`, order("O-2")),
		event(7*time.Second, domain.OrderSubmitted, `{"side":"sell","quantity":"10"}`, order("O-3"), func(e *domain.Event) { e.StrategyID = "carry" }),
		event(8*time.Second, domain.OrderRejected, `{"reason":"limit"}`, order("O-3"), func(e *domain.Event) { e.StrategyID = "carry" }),
		event(9*time.Second, domain.PositionUpdated, `{"previous":{"shares":"50"},"current":{"shares":"-20"}}`, order("O-3")),
		event(10*time.Second, domain.ConfigChanged, `{"changes":[{"path":"safety.max_position","old_value":"0.05","new_value":"0.03"}]}`, func(e *domain.Event) { e.UserID, e.Actor = "ops1", "ops1" }),
		event(11*time.Second, domain.UserLoggedIn, `{}`, func(e *domain.Event) { e.UserID, e.Actor = "ops1", "ops1" }),
		event(12*time.Second, domain.UserAction, `{"action":"acknowledged_alert"}`, func(e *domain.Event) { e.UserID, e.Actor = "ops1", "ops1" }),
		event(24*time.Hour, domain.OrderSubmitted, `{"quantity":"1"}`, order("O-4")),
	}
}
