package views

import (
	"context"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// dailyView keeps the counts and sums of each UTC day, by occurred_at.
//
//	d  table  day -> domain.Day as JSON
type dailyView struct{}

func (dailyView) name() string { return Daily }
func (dailyView) version() int { return 2 }

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
		if err := b.setJSON("d", day, "statistics of "+day, sums); err != nil {
			return err
		}
	}
	return nil
}

func parseDay(day, text string) (domain.Day, error) {
	return parseJSON[domain.Day]("statistics of "+day, text)
}
