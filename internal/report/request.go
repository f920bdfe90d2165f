package report

import (
	"cmp"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// Kind is what a report is about. Its value is part of the interfaces.
type Kind string

// The kinds of reports.
const (
	Order      Kind = "order"      // the chain of one order
	Account    Kind = "account"    // the history of an account in a window
	Strategy   Kind = "strategy"   // of a strategy
	User       Kind = "user"       // of a user
	Daily      Kind = "daily"      // the summary of a UTC day
	Compliance Kind = "compliance" // what is recorded in a window, how long it is to be kept, what is missing
)

// Kinds lists every kind.
func Kinds() []Kind { return []Kind{Order, Account, Strategy, User, Daily, Compliance} }

// Request is what a report is asked to be.
type Request struct {
	Kind   Kind      `json:"kind"`
	ID     string    `json:"id,omitzero"`   // of the order, the account, the strategy or the user
	Day    string    `json:"day,omitzero"`  // for Daily: 2026-03-02
	From   time.Time `json:"from,omitzero"` // the window of occurred_at, [From, To); zero: without an end
	To     time.Time `json:"to,omitzero"`   // not for Order and Daily
	Format Format    `json:"format"`
}

// Check tells what is wrong with a request; errors are of class rejected.
func (r Request) Check() error {
	if err := r.Format.check(); err != nil {
		return err
	}
	window := !r.From.IsZero() || !r.To.IsZero()
	switch r.Kind {
	case Order, Account, Strategy, User:
		switch {
		case r.ID == "":
			return domain.Rejectf(domain.CodeMissing, "id", "the %s is missing", r.Kind)
		case len(r.ID) > domain.MaxIDBytes:
			return domain.Rejectf(domain.CodeTooLarge, "id", "longer than %d bytes", domain.MaxIDBytes)
		case r.Kind == Order && window:
			return domain.Rejectf(domain.CodeInvalid, "from", "a report of an order has its whole chain, not a window")
		}
	case Daily:
		if _, err := time.Parse(time.DateOnly, r.Day); err != nil {
			return domain.Rejectf(domain.CodeInvalid, "day", "%.32q is not a date such as 2026-03-02", r.Day)
		}
		if window {
			return domain.Rejectf(domain.CodeInvalid, "from", "a daily report is of one day")
		}
	case Compliance:
	default:
		return domain.Rejectf(domain.CodeInvalid, "kind", "%.32q is none of order, account, strategy, user, daily and compliance", string(r.Kind))
	}
	switch {
	case r.Day != "" && r.Kind != Daily:
		return domain.Rejectf(domain.CodeInvalid, "day", "only a daily report is of a day")
	case r.ID != "" && (r.Kind == Daily || r.Kind == Compliance):
		return domain.Rejectf(domain.CodeInvalid, "id", "a %s report is about everything", r.Kind)
	case !r.From.IsZero() && !r.To.IsZero() && !r.From.Before(r.To):
		return domain.Rejectf(domain.CodeInvalid, "from", "must be earlier than to")
	}
	return nil
}

// window says which events are in the report.
func (r Request) window() (from, to time.Time) {
	if r.Kind != Daily {
		return r.From, r.To
	}
	from, err := time.Parse(time.DateOnly, r.Day)
	if err != nil {
		return time.Time{}, time.Time{} // Check refuses it
	}
	return from, from.AddDate(0, 0, 1)
}

// about are the facts that every report begins with.
func (r Request) about(created time.Time, upTo domain.Position) Facts {
	facts := Facts{{"kind", "Report", string(r.Kind)}}
	if r.ID != "" {
		facts = append(facts, Fact{"id", "Of", r.ID})
	}
	if r.Kind != Order {
		from, to := r.window()
		facts = append(
			facts,
			Fact{"from", "From (occurred at)", cmp.Or(timeText(from), "the beginning of the log")},
			Fact{"to", "Until, without", cmp.Or(timeText(to), "the end of the log")},
		)
	}
	return append(
		facts,
		Fact{"time_zone", "Time zone", "UTC; all times are RFC 3339 with nanoseconds where the source gave them"},
		Fact{"created_at", "Created", timeText(created)},
		Fact{"position", "Log position", upTo.String()},
	)
}

// name is the file's name, without an extension.
func (r Request) name() string {
	parts := []string{"tradetrail", string(r.Kind)}
	if r.ID != "" {
		parts = append(parts, r.ID)
	}
	if r.Day != "" {
		parts = append(parts, r.Day)
	}
	for _, t := range []time.Time{r.From, r.To} {
		if !t.IsZero() {
			parts = append(parts, t.UTC().Format("20060102T150405Z"))
		}
	}
	return fileName(parts...)
}

// FileName is what to call the report.
func (r Request) FileName() string { return r.name() + r.Format.Extension() }
