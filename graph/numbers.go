package graph

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph/model"
)

func (r *Resolver) day(ctx context.Context, date string) (*model.DailySummary, error) {
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "date", "%.64q is not a day such as 2026-03-02", date)
	}
	day, err := r.views.Day(ctx, date)
	if err != nil {
		return nil, err
	}
	out := &model.DailySummary{
		Date: date, Events: int(day.Events), Fills: int(day.Fills), Quantity: day.Quantity, Value: day.Value, Commission: day.Commission,
		SlippageFills: int(day.Slippage.Fills),
		ByType:        toTypeCounts(day.ByType), ByStage: []*model.StageCount{}, ByHour: []*model.HourCount{},
		FirstAt: optionalTime(day.FirstAt), LastAt: optionalTime(day.LastAt),
	}
	if average := day.Slippage.Average(); average.Valid {
		out.SlippageBps = &average.Decimal
	}
	stages := day.ByStage()
	for _, stage := range domain.Stages() {
		if n, ok := stages[stage]; ok {
			out.ByStage = append(out.ByStage, &model.StageCount{Stage: model.Stage(stage), Count: int(n)})
		}
	}
	for _, hour := range slices.Sorted(maps.Keys(day.ByHour)) {
		out.ByHour = append(out.ByHour, &model.HourCount{Hour: hour, Count: int(day.ByHour[hour])})
	}
	return out, nil
}

func toTypeCounts(byType map[string]int64) []*model.TypeCount {
	out := []*model.TypeCount{}
	for _, name := range slices.Sorted(maps.Keys(byType)) {
		out = append(out, &model.TypeCount{EventType: name, Count: int(byType[name])})
	}
	return out
}

func toLatencies(histograms map[domain.Stage]domain.Histogram) []*model.StageLatency {
	out := []*model.StageLatency{}
	for _, stage := range domain.Stages() {
		h, ok := histograms[stage]
		if !ok {
			continue
		}
		quantile := func(q float64) *time.Duration {
			d, ok := h.Quantile(q)
			return known(d, ok)
		}
		out = append(out, &model.StageLatency{
			Stage: model.Stage(stage), Count: int(h.Count), Negative: int(h.Negative),
			Min: quantile(0), Max: quantile(1), Mean: known(h.Mean()),
			P50: quantile(0.5), P90: quantile(0.9), P99: quantile(0.99), P999: quantile(0.999),
		})
	}
	return out
}

// known is a duration, zero too, or null if it is not known.
func known(d time.Duration, ok bool) *time.Duration {
	if !ok {
		return nil
	}
	return &d
}
