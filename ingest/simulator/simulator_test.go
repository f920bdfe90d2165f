package simulator_test

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/simulator"
)

// day is all of a day's events.
func day(cfg simulator.Config) []domain.Event {
	var events []domain.Event
	s := simulator.New(cfg)
	for e, ok := s.Next(); ok; e, ok = s.Next() {
		events = append(events, e)
	}
	return events
}

// days differ in every way a Config can. They are made once: nobody changes them.
var days = sync.OnceValue(func() map[string][]domain.Event {
	made := map[string][]domain.Event{}
	for name, cfg := range map[string]simulator.Config{
		"default":     {},
		"seed 2^64-1": {Seed: 1<<64 - 1},
		"crowded":     {Seed: 6, Decisions: 800, Length: time.Minute}, // fills of one position within milliseconds
		"short":       {Seed: 8, Length: 10 * time.Minute},
		"a second":    {Seed: 9, Length: time.Second, Decisions: 50},
		"one":         {Seed: 10, Decisions: 1},
		"elsewhere":   {Seed: 11, Decisions: 60, Start: time.Date(2026, 6, 1, 9, 0, 0, 0, time.FixedZone("CEST", 2*60*60))},
	} {
		made[name] = day(cfg)
	}
	return made
})

// eachDay runs a test on each of them.
func eachDay(t *testing.T, test func(t *testing.T, events []domain.Event)) {
	t.Helper()
	for name, events := range days() {
		t.Run(name, func(t *testing.T) {
			require.NotEmpty(t, events)
			test(t, events)
		})
	}
}

// encode writes the events as NDJSON.
func encode(t *testing.T, events []domain.Event) []byte {
	t.Helper()
	var lines bytes.Buffer
	for i := range events {
		line, err := events[i].Encode()
		require.NoError(t, err)
		lines.Write(append(line, '\n'))
	}
	return lines.Bytes()
}

func decode[T any](t *testing.T, e *domain.Event) T {
	t.Helper()
	var data T
	require.NoError(t, json.Unmarshal(e.Data, &data), "%s", e.Data)
	return data
}

func TestSimulator_SameConfigSameBytes(t *testing.T) {
	first := encode(t, day(simulator.Config{Seed: 42}))
	for range 3 {
		require.True(t, bytes.Equal(first, encode(t, day(simulator.Config{Seed: 42}))))
	}
}

func TestSimulator_DaysShareNoIDs(t *testing.T) {
	start := time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)
	seen := map[string]int{}
	for i, cfg := range []simulator.Config{
		{},
		{Seed: 1},
		{Start: start.AddDate(0, 0, 1)},
		{Start: start.Add(time.Second)},
		{Length: time.Hour},
		{Decisions: 100},
	} {
		for _, e := range day(cfg) {
			for _, id := range []string{e.ID, e.OrderID, e.RecommendationID, e.ComputationID} {
				if id == "" {
					continue
				}
				other, ok := seen[id]
				require.False(t, ok && other != i, "%s is in day %d and day %d", id, other, i)
				seen[id] = i
			}
		}
	}
	assert.Equal(t, day(simulator.Config{}), day(simulator.Config{Start: start, Length: 390 * time.Minute, Decisions: 220}), "the zero value means this")
}

func TestSimulator_EveryDayHasTheSizeAndTypesOfADay(t *testing.T) {
	want := []domain.EventType{
		domain.SignalComputed, domain.RecommendationGenerated, domain.RecommendationSuppressed,
		domain.RiskEvaluated, domain.RiskRejected,
		domain.ApprovalRequested, domain.ApprovalApproved, domain.ApprovalRejected, domain.ApprovalExpired,
		domain.OrderSubmitted, domain.OrderAccepted, domain.OrderPartiallyFilled, domain.OrderFilled, domain.OrderRejected,
		domain.OrderCancelRequested, domain.OrderCancelled, domain.OrderCancelRejected,
		domain.OrderReplaceRequested, domain.OrderReplaced, domain.OrderReplaceRejected,
		domain.OrderExpired, domain.OrderDuplicatePrevented,
		domain.PositionOpened, domain.PositionUpdated, domain.PositionClosed,
		domain.UserLoggedIn, domain.UserAction, domain.ConfigChanged,
		domain.TradingModeChanged, domain.CircuitBreakerTriggered,
	}
	slices.Sort(want)
	for seed := range uint64(8) {
		types := map[domain.EventType]bool{}
		events := day(simulator.Config{Seed: seed})
		assert.True(t, 1500 <= len(events) && len(events) <= 3000, "%d events with seed %d", len(events), seed)
		for _, e := range events {
			types[e.Type] = true
		}
		var got []domain.EventType
		for kind := range types {
			got = append(got, kind)
		}
		slices.Sort(got)
		require.Equal(t, want, got, "seed %d", seed)
	}
}

func TestSimulator_Cast(t *testing.T) {
	accounts, strategies, users, tickers := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, e := range day(simulator.Config{}) {
		for ids, id := range map[*map[string]bool]string{
			&accounts: e.AccountID, &strategies: e.StrategyID, &users: e.UserID, &tickers: e.Ticker,
		} {
			if id != "" {
				(*ids)[id] = true
			}
		}
		if e.OrderID != "" {
			require.NotEmpty(t, e.AccountID)
			require.NotEmpty(t, e.StrategyID)
			require.NotEmpty(t, e.UserID)
			require.NotEmpty(t, e.Ticker)
		}
	}
	assert.Equal(t, []int{5, 4, 4, 12}, []int{len(accounts), len(strategies), len(users), len(tickers)})
}

func TestSimulator_TheDoorChangesNothing(t *testing.T) {
	eachDay(t, func(t *testing.T, events []domain.Event) {
		for i := range events {
			said, err := events[i].Encode()
			require.NoError(t, err)
			heard, err := domain.Normalise(said)
			require.NoError(t, err, "%s", said)
			again, err := heard.Encode()
			require.NoError(t, err)
			require.Equal(t, string(said), string(again))
			require.NotContains(t, events[i].Stream(), "unlinked")
			require.Empty(t, events[i].Source)
			require.True(t, events[i].RecordedAt.IsZero())
		}
	})
}

func TestSimulator_TimeAndCause(t *testing.T) {
	eachDay(t, func(t *testing.T, events []domain.Event) {
		told := map[string]time.Time{}
		last := events[0].OccurredAt
		for _, e := range events {
			require.Equal(t, time.UTC, e.OccurredAt.Location())
			require.False(t, e.OccurredAt.Before(last), "events come in the order of their times")
			last = e.OccurredAt
			if e.CausationID != "" {
				cause, ok := told[e.CausationID]
				require.True(t, ok, "a cause is told before its effect")
				require.True(t, cause.Before(e.OccurredAt), "and happens before it")
			}
			_, twice := told[e.ID]
			require.False(t, twice, "ids are unique")
			told[e.ID] = e.OccurredAt
			for i, hop := range e.Path {
				require.False(t, hop.Out.Before(hop.In))
				require.False(t, e.OccurredAt.Before(hop.Out))
				require.False(t, i > 0 && hop.In.Before(e.Path[i-1].Out))
			}
		}
	})
	var clocks, paths int
	for _, e := range day(simulator.Config{}) {
		if e.Clock != nil {
			clocks++
		}
		if e.Path != nil {
			paths++
		}
	}
	assert.Positive(t, clocks)
	assert.Positive(t, paths)
}

func TestSimulator_Latencies(t *testing.T) {
	var latencies []time.Duration
	submitted := map[string]time.Time{}
	for _, e := range day(simulator.Config{}) {
		switch e.Type {
		case domain.OrderSubmitted:
			submitted[e.OrderID] = e.OccurredAt
		case domain.OrderAccepted:
			latencies = append(latencies, e.OccurredAt.Sub(submitted[e.OrderID]))
		default:
		}
	}
	slices.Sort(latencies)
	median, longest := latencies[len(latencies)/2], latencies[len(latencies)-1]
	assert.Greater(t, latencies[0], time.Millisecond)
	assert.Less(t, median, 30*time.Millisecond)
	assert.Greater(t, longest, 3*median, "the tail is heavy")
	assert.Less(t, longest, 3*time.Second)
}

func TestSimulator_DeskHistory(t *testing.T) {
	stopped := 0
	for seed := range uint64(5) {
		var tripped string
		modes := map[string]string{}
		for _, e := range day(simulator.Config{Seed: seed}) {
			switch e.Type {
			case domain.CircuitBreakerTriggered:
				tripped = e.StrategyID
			case domain.TradingModeChanged:
				d := decode[struct {
					Old string `json:"old_mode"`
					New string `json:"new_mode"`
				}](t, &e)
				if old, ok := modes[e.StrategyID]; ok {
					assert.Equal(t, old, d.Old)
				}
				modes[e.StrategyID] = d.New
			case domain.RiskEvaluated:
				assert.NotEqual(t, "halted", modes[e.StrategyID], "nothing passes a tripped breaker")
			case domain.RiskRejected:
				if strings.Contains(string(e.Data), "circuit_breaker") {
					assert.Equal(t, tripped, e.StrategyID)
					stopped++
				}
			default:
			}
		}
		require.NotEmpty(t, tripped)
		assert.Equal(t, map[string]string{"": "live", tripped: "live"}, modes, "the day ends as it began")
	}
	assert.Positive(t, stopped, "the breakers stop something")
}
