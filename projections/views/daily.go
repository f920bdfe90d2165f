package views

import (
	"context"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// dailyView keeps the counts and sums of each UTC day, by occurred_at.
//
//	d  table  day -> domain.Day as JSON
type dailyView struct{}

func (dailyView) name() string { return Daily }
func (dailyView) version() int { return 1 }

func (dailyView) fold(ctx context.Context, r reader, events []feed.Event, b *batch) error {
	byDay := make(map[string][]feed.Event)
	read := r.rows()
	for _, e := range events {
		if e.Event == nil {
			continue
		}
		day := domain.DayOf(e.Event)
		byDay[day] = append(byDay[day], e)
		read.want("d", day)
	}
	if err := read.read(ctx, r.client); err != nil {
		return err
	}
	for day, events := range byDay {
		text, _ := read.row("d", day)
		sums, err := parseDay(day, text)
		if err != nil {
			return err
		}
		for _, e := range events {
			sums.AddTraded(e.Event, e.Traded)
		}
		encoded, err := json.Marshal(sums, json.Deterministic(true))
		if err != nil {
			return damaged("statistics of %s that can't be written", day)
		}
		b.set("d", day, string(encoded))
	}
	return nil
}

func parseDay(day, text string) (sums domain.Day, err error) {
	if text == "" {
		return domain.Day{}, nil
	}
	if err := json.Unmarshal([]byte(text), &sums); err != nil {
		return domain.Day{}, damaged("unreadable statistics of %s", day)
	}
	return sums, nil
}
