package rest

import (
	"errors"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/projections/views"
)

const defaultPage = 50

// filterOf reads the parameters that choose events.
func (a *Audit) filterOf(q query) (filter.Filter, error) {
	f := filter.Filter{
		Types: q.list("type"), Tickers: q.list("ticker"), Strategies: q.list("strategy"), Accounts: q.list("account"),
		Users: q.list("user"), Orders: q.list("order"),
		EntityType: q.text("entity_type"), EntityID: q.text("entity_id"), Expression: q.text("filter"),
	}
	var err error
	if f.After, err = q.moment("after"); err != nil {
		return filter.Filter{}, err
	}
	if f.Before, err = q.moment("before"); err != nil {
		return filter.Filter{}, err
	}
	last, err := q.span("last")
	if err != nil {
		return filter.Filter{}, err
	}
	if last > 0 {
		if !f.After.IsZero() {
			return filter.Filter{}, domain.Rejectf(domain.CodeInvalid, "last", "and after both say where to begin: give one of them")
		}
		f.After = a.views.Now().UTC().Add(-last)
	}
	return f, nil
}

// searchOf reads the parameters of a list. Its limit is 0 if none is given.
func (a *Audit) searchOf(q query) (search views.Query, none bool, err error) {
	if search.Filter, err = a.filterOf(q); err != nil {
		return views.Query{}, false, err
	}
	if search.Limit, err = q.number("limit", views.MaxPage); err != nil {
		return views.Query{}, false, err
	}
	switch sort := q.text("sort"); sort {
	case "", "asc":
	case "desc":
		search.Backwards = true
	default:
		return views.Query{}, false, domain.Rejectf(domain.CodeInvalid, "sort", "%.64q is neither asc nor desc", sort)
	}
	cursor, given, err := q.position("cursor")
	if err != nil {
		return views.Query{}, false, err
	}
	if search.Backwards {
		search.Before = cursor
		return search, given && cursor.IsZero(), nil // to a Query zero means no bound
	}
	search.After = cursor
	return search, false, nil
}

// inParameter names the field at fault of a filter as the parameter that it came in.
func inParameter(err error) error {
	e, ok := errors.AsType[*domain.Error](err)
	if !ok || e.Class != domain.ClassRejected {
		return err
	}
	renamed := *e
	field, _, _ := strings.Cut(e.Field, ".")
	switch field {
	case "expression":
		renamed.Field = "filter"
	case "types":
		renamed.Field = "type"
	case "strategies":
		renamed.Field = "strategy"
	case "tickers", "accounts", "users", "orders":
		renamed.Field = strings.TrimSuffix(field, "s")
	default:
		renamed.Field = field
	}
	return &renamed
}

// timeText is a time as it stands in answers.
func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
