package report

import (
	"context"
	"iter"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/projections/views"
)

// Views are the read models, as whoever asks for a report may see them.
type Views interface {
	Chain(ctx context.Context, order string) (chain domain.Chain, archived int, ok bool, err error)
	Search(ctx context.Context, q views.Query) (views.Found, error)
	Status(ctx context.Context) ([]views.Status, error)
	Parked(ctx context.Context, name string) ([]views.Parked, error)
}

// pageEvents is how many events a report holds at a time.
const pageEvents = 512

// source reads events for one report. All that it reads is of the log up to one
// position, so that the parts of a report agree with each other.
type source struct {
	ctx   context.Context //nolint:containedctx // of the one report, whose rows are read while they are written
	views Views
	upTo  domain.Position
	proof *proof
	seen  func(events int)
}

// openSource finds out where the read models stand. f is what the report reads: who
// may not read it is told so before anything is written.
func openSource(ctx context.Context, v Views, log Log, f filter.Filter, seen func(int)) (*source, error) {
	found, err := v.Search(ctx, views.Query{Filter: f, Limit: 1})
	if err != nil {
		return nil, err
	}
	proof, err := openProof(ctx, log, found.UpTo)
	if err != nil {
		return nil, err
	}
	return &source{ctx: ctx, views: v, upTo: found.UpTo, proof: proof, seen: seen}, nil
}

// events are what a filter finds, in the order of the log.
func (s *source) events(f filter.Filter) iter.Seq2[domain.Located, error] {
	return func(yield func(domain.Located, error) bool) {
		q := views.Query{Filter: f, Limit: pageEvents, Before: domain.Position{Commit: s.upTo.Commit, Prepare: s.upTo.Prepare + 1}}
		for {
			found, err := s.views.Search(s.ctx, q)
			if err == nil && found.UpTo.Compare(s.upTo) < 0 {
				err = &domain.Error{Class: domain.ClassTransient, Code: "views_went_back", Message: "the read models lost events while the report was written"}
			}
			if err != nil {
				yield(domain.Located{}, err)
				return
			}
			s.seen(len(found.Events))
			for _, e := range found.Events {
				if !yield(e, nil) {
					return
				}
			}
			if !found.More {
				return
			}
			q.After = found.Reached
		}
	}
}

// rows turns events into rows of a table.
func (s *source) rows(events iter.Seq2[domain.Located, error], row func(domain.Located) Row) iter.Seq2[Row, error] {
	return rows(s.proof, events, eventAt, row)
}

func inWindow(f filter.Filter, from, to time.Time) filter.Filter {
	f.After, f.Before = from, to
	return f
}

func typed(f filter.Filter, types ...string) filter.Filter {
	f.Types = types
	return f
}
