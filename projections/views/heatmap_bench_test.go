package views_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// BenchmarkHeatmap counts anomalies of 30 days, by default 100,000 of them, which name
// 1,000 accounts, on a Redis in the process; TRADETRAIL_BENCH_ANOMALIES says how many.
func BenchmarkHeatmap(b *testing.B) {
	n := 100_000
	if text := os.Getenv("TRADETRAIL_BENCH_ANOMALIES"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	set := openSet(b, viewstest.InProcess(b).Client, nil)
	after := domain.Position{}
	for from := 0; from < n; from += feed.MaxSlice {
		var events []*domain.Event
		for i := from; i < min(from+feed.MaxSlice, n); i++ {
			at := begin.Add(time.Duration(i) * (30 * 24 * time.Hour / time.Duration(n)))
			events = append(events, &domain.Event{
				ID: fmt.Sprint("e", i), Type: domain.AnomalyDetected, OccurredAt: at, RecordedAt: at, SchemaVersion: 1, EntityType: domain.KindAnomaly, EntityID: fmt.Sprint("F", i),
				AccountID: fmt.Sprint("A", i%1000), StrategyID: fmt.Sprint("S", i%20), Data: fmt.Appendf(nil, `{"kind":"k%d","severity":"high","explanation":"something that a person can read"}`, i%29),
			})
		}
		log := viewstest.Log(events)
		for i := range log { // behind what is there already
			log[i].Position.Commit += after.Commit
			log[i].Position.Prepare += after.Commit
		}
		slice := viewstest.SliceOf(log, 0, len(log))
		slice.After = after
		require.NoError(b, set.Apply(b.Context(), slice))
		after = log[len(log)-1].Position
	}
	for _, c := range []struct {
		name  string
		query views.HeatmapQuery
	}{
		{"kinds, hours, 30 days", views.HeatmapQuery{From: begin, To: begin.AddDate(0, 0, 30)}},
		{"accounts, days, 30 days", views.HeatmapQuery{From: begin, To: begin.AddDate(0, 0, 30), Bucket: 24 * time.Hour, By: views.ByAccount}},
		{"kinds, hours, a day", views.HeatmapQuery{From: begin, To: begin.AddDate(0, 0, 1)}},
		{"kinds, hours, till within a quarter", views.HeatmapQuery{From: begin, To: begin.Add(24*time.Hour + 7*time.Minute)}},
		{"each of a strategy, a day", views.HeatmapQuery{From: begin, To: begin.AddDate(0, 0, 1), Of: views.AnomalyQuery{Query: views.Query{Filter: filter.Filter{Strategies: []string{"S1"}}}}}},
		{"each, a day", views.HeatmapQuery{From: begin.Add(time.Minute), To: begin.AddDate(0, 0, 1)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var total int64
			for b.Loop() {
				found, err := set.Heatmap(b.Context(), c.query)
				require.NoError(b, err)
				total = found.Total
			}
			b.ReportMetric(float64(total), "anomalies")
		})
	}
}
