package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/report"
)

// anomaly is one of an order's account.
func anomaly(n int, explanation string, evidence ...string) *domain.Event {
	data, err := json.Marshal(map[string]any{"kind": "slippage", "severity": "low", "explanation": explanation, "evidence": evidence})
	if err != nil {
		panic(err)
	}
	return &domain.Event{
		ID: fmt.Sprintf("anomaly-%d", n), Type: domain.AnomalyDetected, OccurredAt: created().Add(time.Hour), OrderID: "O", AccountID: "ACC",
		EntityType: "anomaly", EntityID: fmt.Sprintf("A-%d", n), Data: data,
	}
}

func fill(id, data string, change ...func(*domain.Event)) *domain.Event {
	e := &domain.Event{ID: id, Type: domain.OrderPartiallyFilled, OccurredAt: created(), OrderID: "O", AccountID: "ACC", Data: []byte(data)}
	for _, c := range change {
		c(e)
	}
	return e
}

// One event that names another ten thousand times, with a text of 150 KB: it is told
// once in full, and once in short where the event stands.
func TestFindings_OneEventIsNoBomb(t *testing.T) {
	evidence := make([]string, 10_000)
	for i := range evidence {
		evidence[i] = "fill-1"
	}
	v := newMemory(fill("fill-1", `{}`), anomaly(1, strings.Repeat("because ", 19_000), evidence...))
	for _, r := range []report.Request{{Kind: report.Order, ID: "O", Format: report.JSON}, {Kind: report.Account, ID: "ACC", Format: report.JSON}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out := string(written(t, v, r))
		runtime.ReadMemStats(&after)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(50<<20), r.Kind)
		assert.Equal(t, 1, strings.Count(out, "Anomaly slippage (low): because"), r.Kind)
	}
}

func TestFindings_FewNotesAtARow(t *testing.T) {
	events := []*domain.Event{fill("fill-1", `{}`)}
	for i := range 30 {
		events = append(events, anomaly(i, "reason", "fill-1"))
	}
	events[20].Data = []byte(strings.Replace(string(events[20].Data), "low", "high", 1))
	rows := tableOf(t, newMemory(events...), report.Request{Kind: report.Account, ID: "ACC"}, "events")
	require.Len(t, rows[0].Notes, 9)
	assert.Equal(t, "22 more", rows[0].Notes[8])
	assert.Equal(t, "alarm", rows[0].Tone) // also by those that are not told
}

// Marking ends where it would take too much memory, and the report says so.
func TestFindings_TooManyAreSaid(t *testing.T) {
	evidence := make([]string, 20_001)
	for i := range evidence {
		evidence[i] = fmt.Sprintf("fill-%d", i)
	}
	v := newMemory(fill("fill-1", `{}`), anomaly(1, "reason", evidence...))
	for _, r := range []report.Request{{Kind: report.Order, ID: "O", Format: report.Text}, {Kind: report.Account, ID: "ACC", Format: report.Text}} {
		assert.Contains(t, string(written(t, v, r)), "There are more findings than are marked below: 20000 places are.", r.Kind)
	}
}

// What other detectors say of an order are steps of it; what was found is not.
func TestChain_OtherAnomaliesAreSteps(t *testing.T) {
	other := anomaly(1, "seen by somebody else")
	other.Type, other.OccurredAt = "anomaly.resolved", created().Add(time.Second)
	v := newMemory(fill("fill-1", `{}`), other, anomaly(2, "reason", "fill-1"))
	r := report.Request{Kind: report.Order, ID: "O"}
	assert.Len(t, tableOf(t, v, r, "steps"), 2)
	assert.Equal(t, "0s", factsOf(t, v, r)["latency_total"], "what is said about a chain takes none of its time")
}

// ahead are views that go on while a report is made.
type ahead struct {
	*memory

	later *memory
}

func (a *ahead) Chain(ctx context.Context, order string) (domain.Chain, int, bool, error) {
	return a.later.Chain(ctx, order)
}

// An order's report is of the log up to the position that it names.
func TestChain_UpToItsPosition(t *testing.T) {
	first := fill("fill-1", `{"fill_quantity":"1"}`)
	second := fill("fill-2", `{"fill_quantity":"2"}`)
	v := &ahead{newMemory(first), newMemory(first, second)}
	r := report.Request{Kind: report.Order, ID: "O"}
	facts := factsOf(t, v, r)
	assert.Equal(t, "C:100/P:100", facts["position"])
	assert.Equal(t, "1", facts["cum_quantity"])
	assert.Len(t, tableOf(t, v, r, "steps"), 1)
	// Also that of an order that nobody knows.
	assert.Equal(t, "C:100/P:100", factsOf(t, v, report.Request{Kind: report.Order, ID: "none"})["position"])
}

func TestHistory_CountsEveryRow(t *testing.T) {
	v := newMemory(fill("fill-1", `{}`), anomaly(1, "reason", "fill-1"))
	r := report.Request{Kind: report.Account, ID: "ACC"}
	assert.Len(t, tableOf(t, v, r, "events"), 2)
	assert.Equal(t, "2", factsOf(t, v, r)["events"])
}

func TestCompliance_SessionGaps(t *testing.T) {
	var events []*domain.Event
	for i, kind := range []domain.EventType{domain.SessionGapDetected, domain.SessionGapFilled, domain.SessionDisconnected, domain.SessionLogon} {
		events = append(events, &domain.Event{ID: fmt.Sprint(i), Type: kind, OccurredAt: created(), SessionID: "S"})
	}
	assert.Len(t, tableOf(t, newMemory(events...), report.Request{Kind: report.Compliance}, "session_gaps"), 3)
}
