package views

import (
	"context"
	"strconv"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// latencyView keeps how long each stage of a decision takes: from the event
// before in the same chain, in the order of the log, by occurred_at. A chain is
// followed by its order, and before there is one by what it refers to. What was found
// about it is no step of it.
//
//	h  table  stage -> domain.Histogram as JSON
//	l  table  <kind>:<id> -> occurred_at of its latest event, nanoseconds since 1970 in base 36
type latencyView struct{}

func (latencyView) name() string { return Latency }
func (latencyView) version() int { return 2 }

func (latencyView) fold(ctx context.Context, r reader, events []feed.Event, b *batch) error {
	read := r.rows()
	names := make([][]string, len(events)) // of each event's links
	for i, e := range events {
		names[i] = make([]string, len(e.Links))
		for k, ref := range e.Links {
			names[i][k] = refTopic(ref)
			read.want("l", names[i][k])
		}
	}
	for _, stage := range domain.Stages() {
		read.want("h", string(stage))
	}
	if err := read.read(ctx, r.client); err != nil {
		return err
	}
	latest := make(map[string]time.Time) // as this slice leaves it
	last := func(name string) (at time.Time, known bool) {
		if at, known = latest[name]; known {
			return at, true
		}
		text, known := read.row("l", name)
		if !known {
			return time.Time{}, false
		}
		nanos, err := strconv.ParseInt(text, 36, 64)
		return time.Unix(0, nanos), err == nil
	}
	took := make(map[domain.Stage]*domain.Histogram)
	for i, e := range events {
		if len(names[i]) == 0 || e.Type.Judgement() {
			continue
		}
		before, known := time.Time{}, false
		for _, name := range names[i] {
			if at, ok := last(name); ok && (!known || at.After(before)) {
				before, known = at, true
			}
			if known && e.OrderID != "" {
				break // an order's own last event, where there is one
			}
		}
		if known {
			stage := e.Type.Stage()
			if took[stage] == nil {
				took[stage] = &domain.Histogram{}
			}
			took[stage].Add(e.OccurredAt.Sub(before))
		}
		if e.OrderID != "" {
			latest[names[i][0]] = e.OccurredAt
			continue
		}
		for _, name := range names[i] {
			latest[name] = e.OccurredAt
		}
	}
	for name, at := range latest {
		b.set("l", name, strconv.FormatInt(at.UnixNano(), 36))
	}
	for stage, histogram := range took {
		text, _ := read.row("h", string(stage))
		sum, err := parseHistogram(string(stage), text)
		if err != nil {
			return err
		}
		sum.Merge(*histogram)
		if err := b.setJSON("h", string(stage), "latencies of "+string(stage), sum); err != nil {
			return err
		}
	}
	return nil
}

func parseHistogram(stage, text string) (domain.Histogram, error) {
	return parseJSON[domain.Histogram]("latencies of "+stage, text)
}
