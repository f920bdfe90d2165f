package rules_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
)

var morning = time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)

type change func(*domain.Event)

func order(id string) change          { return func(e *domain.Event) { e.OrderID = id } }
func account(id string) change        { return func(e *domain.Event) { e.AccountID = id } }
func strategy(id string) change       { return func(e *domain.Event) { e.StrategyID = id } }
func recommendation(id string) change { return func(e *domain.Event) { e.RecommendationID = id } }
func computation(id string) change    { return func(e *domain.Event) { e.ComputationID = id } }
func approval(id string) change       { return func(e *domain.Event) { e.ApprovalID = id } }
func client(id string) change         { return func(e *domain.Event) { e.ClientOrderID = id } }
func id(id string) change             { return func(e *domain.Event) { e.ID = id } }
func causedBy(id string) change       { return func(e *domain.Event) { e.CausationID = id } }
func recorded(d time.Duration) change {
	return func(e *domain.Event) { e.RecordedAt = morning.Add(d) }
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// of makes an event of order o1, account a1, in MSFT; data is what stands between
// its braces.
func of(t domain.EventType, at time.Duration, data string, changes ...change) *domain.Event {
	e := &domain.Event{
		Type: t, OccurredAt: morning.Add(at), OrderID: "o1", AccountID: "a1", StrategyID: "s1", Ticker: "MSFT",
		SchemaVersion: domain.SchemaVersion, Data: jsontext.Value("{" + data + "}"),
	}
	for _, c := range changes {
		c(e)
	}
	return e
}

// before makes an event that names no order.
func before(t domain.EventType, at time.Duration, data string, changes ...change) *domain.Event {
	return of(t, at, data, append([]change{order("")}, changes...)...)
}

// later is when every grace has passed.
func later() *domain.Event {
	return &domain.Event{Type: domain.UserAction, OccurredAt: morning.Add(24 * time.Hour), UserID: "u1", SchemaVersion: 1}
}

// recordedAs locates events as the log does, and names those without a name.
func recordedAs(events []*domain.Event) []domain.Located {
	out := make([]domain.Located, len(events))
	for i, e := range events {
		if e.ID == "" {
			e.ID = fmt.Sprintf("e%d", i)
		}
		out[i] = domain.Located{Event: e, Stream: e.Stream(), Position: domain.Position{Commit: uint64(i + 1), Prepare: uint64(i + 1)}}
	}
	return out
}

func observe(engine *rules.Engine, log []domain.Located) []rules.Finding {
	var all []rules.Finding
	for _, l := range log {
		all = append(all, engine.Observe(l)...)
	}
	return all
}

func load(t testing.TB, text string) *rules.Set {
	t.Helper()
	set, err := rules.Load([]byte(text))
	require.NoError(t, err)
	return set
}

// ofRule are the findings of one rule.
func ofRule(rule string, all []rules.Finding) []rules.Finding {
	var out []rules.Finding
	for _, f := range all {
		if f.Rule == rule {
			out = append(out, f)
		}
	}
	return out
}
