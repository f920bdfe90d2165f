package report

import (
	"context"
	"fmt"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
)

// history is the report of an account, a strategy or a user: every event in the
// window, in the order of the log.
func history(ctx context.Context, v Views, log Log, r Request, now time.Time, seen func(int)) (Document, error) {
	from, to := r.window()
	f := inWindow(filter.Filter{}, from, to)
	switch r.Kind {
	case Account:
		f.Accounts = []string{r.ID}
	case Strategy:
		f.Strategies = []string{r.ID}
	default:
		f.Users = []string{r.ID}
	}
	s, err := openSource(ctx, v, log, f, seen)
	if err != nil {
		return Document{}, err
	}
	d := Document{Title: fmt.Sprintf("History of %s %s", r.Kind, r.ID), Name: r.name(), Created: now, UpTo: s.upTo, About: append(r.about(now, s.upTo), s.proof.facts()...), proof: s.proof}
	d.Contents = func(yield func(Block, error) bool) {
		var marks findings
		anomalies := Table{
			Key: "anomalies", Columns: findingColumns(), Empty: "No anomalies are recorded in this window.",
			Rows: s.rows(s.events(typed(f, string(domain.AnomalyDetected))), func(e domain.Located) Row {
				marks.add(readFinding(e.Event))
				return findingRow(e)
			}),
		}
		var sums tally
		var trades executions
		events := Table{
			Key: "events", Columns: eventColumns(), Empty: "Nothing is recorded in this window.",
			Rows: s.rows(s.events(f), func(e domain.Located) Row {
				sums.add(e.Event)
				trades.add(e.Event, &sums)
				if e.Type == domain.AnomalyDetected {
					row := eventRow(e)
					row.Tone = readFinding(e.Event).tone()
					return row
				}
				return marks.mark(eventRow(e), e.ID)
			}),
		}
		for _, block := range []func() Block{
			func() Block { return Section{"Anomalies"} },
			func() Block { return anomalies },
			func() Block { return Section{"Events"} },
			marks.note,
			func() Block { return events },
			func() Block { return Section{"Sums"} },
			func() Block { return append(sums.facts(), trades.facts()...) },
		} {
			if !yield(block(), nil) {
				return
			}
		}
	}
	return d, nil
}
