package rules_test

import (
	"bytes"
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
	"github.com/tradetrail/tradetrail/ingest/file"      //nolint:depguard // real input for a test
	"github.com/tradetrail/tradetrail/ingest/simulator" //nolint:depguard // typical input for a test
)

// strict finds something in nearly any flow.
const strict = `
thresholds:
  slippage: {limit: 2bps}
  latency-accept: {limit: 5ms}
  latency-submit: {limit: 1ms}
  cancel-to-fill: {ratio: 1, cancels: 2}
  wash-trade: {within: 5m, price: 1%, quantity: 100%}
  layering: {orders: 1, within: 5m, life: 1h, weight: 0}
  quote-stuffing: {messages: 1, cancelled: 0, quick: 0}
  momentum-ignition: {executions: 1, burst: 5m, within: 5m, move: 0}
  marking-the-close: {close: "16:00", last: 7h, share: 1%, trades: 1, move: 0}
rules:
  - id: big-fill
    when: event_type in ["order.filled", "order.partially_filled"] && order.cum_notional > threshold.notional
    threshold: {notional: 50000}
    explanation: Executed {order.cum_notional} in all, {fill_quantity} of it now.
    value: order.cum_notional
    limit: threshold.notional
    once: order
  - id: never-right
    when: 1 / (len(event_type) - 12) > 5
    explanation: never
`

// day is a simulated day, with some disorder: here and there an event comes late or
// not at all.
func day(seed uint64, decisions int) []domain.Located {
	s := simulator.New(simulator.Config{Seed: seed, Decisions: decisions})
	var events []*domain.Event
	for n := 0; ; n++ {
		event, ok := s.Next()
		if !ok {
			return recordedAs(events)
		}
		event.RecordedAt = event.OccurredAt.Add(time.Millisecond)
		switch {
		case n%53 == 7:
		case n%31 == 30:
			events = slices.Insert(events, len(events)-4, &event)
		default:
			events = append(events, &event)
		}
	}
}

func TestSnapshot_GoesOnAnywhere(t *testing.T) {
	set := load(t, strict)
	log := day(7, 25)
	stories := trials()
	for _, rule := range slices.Sorted(maps.Keys(stories)) { // of which a day has too few
		story := without(stories[rule].fires, func(e *domain.Event) { e.OrderID = cmp.Or(e.OrderID, rule) + rule })
		for i, l := range recordedAs(story) {
			l.ID = rule + l.ID
			l.Position.Commit = uint64(len(log) + i)
			log = append(log, l)
		}
	}
	want := observe(set.Engine(), log)
	kinds := map[string]bool{}
	for _, f := range want {
		kinds[f.Rule] = true
	}
	require.Greater(t, len(kinds), 22, "the day has too little to find: %v", kinds)
	require.Contains(t, kinds, "big-fill")

	rapid.Check(t, func(t *rapid.T) {
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(log)), 1, 2).Draw(t, "cuts")
		slices.Sort(cuts)
		engine := set.Engine()
		var got []rules.Finding
		from := 0
		for _, cut := range append(cuts, len(log)) {
			got = append(got, observe(engine, log[from:cut])...)
			from = cut
			saved, err := engine.Snapshot()
			require.NoError(t, err)
			stats := engine.Stats()
			engine, err = set.Resume(saved)
			require.NoError(t, err)
			assert.Equal(t, stats, engine.Stats())
			again, err := engine.Snapshot()
			require.NoError(t, err)
			assert.True(t, bytes.Equal(saved, again), "a snapshot of what was resumed is another")
		}
		assert.Equal(t, want, got)
	})
}

func TestResume_RefusesWhatIsNotItsOwn(t *testing.T) {
	saved, err := rules.Default().Engine().Snapshot()
	require.NoError(t, err)
	_, err = load(t, strict).Resume(saved)
	assert.Equal(t, domain.ClassConflict, domain.ClassOf(err))
	_, err = rules.Default().Resume([]byte(`{"version":`))
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err))
}

// Rules about chains don't care what other orders do in between.
func TestObserve_UnrelatedOrdersDontMatter(t *testing.T) {
	set := load(t, strict)
	log := day(11, 25)
	chainKinds := []string{"risk_block", "rejection", "duplicate", "approval_expired", "slippage", "latency", "lifecycle"}
	of := func(log []domain.Located) []string {
		end := later()
		end.OccurredAt, end.RecordedAt = morning.Add(240*time.Hour), morning.Add(240*time.Hour)
		var out []string
		for _, f := range observe(set.Engine(), append(slices.Clone(log), domain.Located{Event: end})) {
			if slices.Contains(chainKinds, f.Kind) {
				out = append(out, f.Rule+" "+f.ID+" "+f.Explanation+" "+strings.Join(f.Evidence, ","))
			}
		}
		slices.Sort(out)
		return out
	}
	// One decision's events keep their order; decisions are told one after the other.
	decision := func(l domain.Located) string {
		return l.RecommendationID
	}
	want := of(log)
	require.NotEmpty(t, want)
	rapid.Check(t, func(t *rapid.T) {
		shuffled := slices.Clone(log)
		for range rapid.IntRange(1, 2000).Draw(t, "swaps") {
			i := rapid.IntRange(0, len(shuffled)-2).Draw(t, "at")
			a, b := shuffled[i], shuffled[i+1]
			// A scope of risk checks begins with its first check: that is a relation.
			if decision(a) != decision(b) && decision(a) != "" && decision(b) != "" && a.Type.Family() != "risk" && b.Type.Family() != "risk" {
				shuffled[i], shuffled[i+1] = b, a
			}
		}
		assert.Equal(t, want, of(shuffled))
	})
}

// sample is the public LOBSTER sample: the file or folder that TRADETRAIL_LOBSTER
// names, else the folder beside the repository.
func sample(t testing.TB) []domain.Located {
	t.Helper()
	path := os.Getenv("TRADETRAIL_LOBSTER")
	if path == "" {
		path = filepath.FromSlash("../../../shared/data/lobster")
	}
	absent := t.Skipf
	if os.Getenv("TRADETRAIL_REQUIRE") == "1" {
		absent = t.Fatalf
	}
	if info, err := os.Stat(path); err != nil {
		absent("no LOBSTER sample here, and TRADETRAIL_LOBSTER does not name one: %v", err)
	} else if info.IsDir() {
		found, err := filepath.Glob(filepath.Join(path, "AAPL_2012-06-21_*_message_*.csv"))
		require.NoError(t, err)
		if len(found) == 0 {
			absent("no AAPL_2012-06-21 message file in %s", path)
		}
		path = found[0]
	}
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	items, err := file.Lobster(bytes.NewReader(content), file.Options{Name: filepath.Base(path)})
	require.NoError(t, err)
	var events []*domain.Event
	for item, err := range items {
		require.NoError(t, err)
		events = append(events, item.Event)
	}
	return recordedAs(events)
}

// The sample is a venue's own book: each row follows from those before it. Orders that
// rested when it begins have executions and deletions, and no submission.
func TestObserve_RealDay(t *testing.T) {
	log := sample(t)
	require.Len(t, log, 91_997)
	submitted, resting := map[string]bool{}, map[string]bool{}
	for _, l := range log {
		switch {
		case l.OrderID == "":
		case l.Type == domain.OrderSubmitted:
			submitted[l.OrderID] = true
		case !submitted[l.OrderID]:
			resting[l.OrderID] = true
		}
	}
	require.NotEmpty(t, resting, "the sample has orders that rested before it")

	end := later()
	end.OccurredAt = log[len(log)-1].OccurredAt.Add(time.Hour)
	engine := rules.Default().Engine()
	findings := observe(engine, append(log, domain.Located{Event: end}))
	counts := map[string]int{}
	for _, f := range findings {
		counts[f.Rule]++
		assert.False(t, resting[f.Order], "an order that rested before the sample is accused: %s", f.Explanation)
	}
	t.Logf("%d orders submitted, %d resting before, findings: %v, %+v", len(submitted), len(resting), counts, engine.Stats())
	assert.Zero(t, engine.Stats().Forgotten)
	for _, f := range findings {
		assert.NotEqual(t, "lifecycle", f.Kind, f.Explanation)
	}
}

func BenchmarkObserve(b *testing.B) {
	for name, text := range map[string]string{"default": "", "strict": strict} {
		set := load(b, text)
		b.Run(name, func(b *testing.B) {
			// A copy of the day each time: other orders, other accounts.
			days := make([][]domain.Located, 8)
			for i := range days {
				days[i] = day(uint64(i), 2000)
			}
			engine := set.Engine()
			b.ReportAllocs()
			found := 0
			i := 0
			for b.Loop() {
				d := days[i/len(days[0])%len(days)]
				found += len(engine.Observe(d[i%len(days[0])%len(d)]))
				i++
			}
			b.ReportMetric(float64(found)/float64(b.N), "findings/event")
		})
	}
	b.Run("lobster", func(b *testing.B) {
		log := sample(b)
		engine := rules.Default().Engine()
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if i == len(log) {
				b.StopTimer()
				engine, i = rules.Default().Engine(), 0
				b.StartTimer()
			}
			engine.Observe(log[i])
			i++
		}
	})
	b.Run("snapshot", func(b *testing.B) {
		engine := rules.Default().Engine()
		for i := range 10 {
			observe(engine, day(uint64(i), 2000))
		}
		size := 0
		b.ResetTimer()
		for b.Loop() {
			saved, err := engine.Snapshot()
			require.NoError(b, err)
			size = len(saved)
		}
		b.ReportMetric(float64(size), "bytes")
	})
}
