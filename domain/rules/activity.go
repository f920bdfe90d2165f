package rules

import (
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// The bounds of what is remembered of one owner in one instrument.
const (
	maxDeeds  = 32
	deedsLast = 5 * time.Minute // by occurred_at, before the latest
)

// deed is an execution or a cancellation of an owner.
type deed struct {
	mark

	Order    string              `json:"order"`
	Buys     bool                `json:"buys,omitzero"`
	Price    decimal.NullDecimal `json:"price,omitzero"`
	Quantity decimal.NullDecimal `json:"quantity,omitzero"` // of a cancellation: what was open
	Since    time.Time           `json:"since,omitzero"`    // of a cancellation: when the order was submitted
	Used     []string            `json:"used,omitempty"`    // rules that have found on it
}

// activity is what an owner did lately in one instrument.
type activity struct {
	Fills   []deed   `json:"fills,omitempty"`
	Cancels []deed   `json:"cancels,omitempty"` // of orders without a fill, whose submission is known
	Quotes  [2]tally `json:"quotes"`            // the two latest seconds
	Sides   [2]tally `json:"sides"`             // the running hour: sells, buys
	Closing closeRun `json:"closing,omitzero"`
}

// tally counts what happened in a span of time.
type tally struct {
	Start   time.Time `json:"start,omitzero"`
	New     int       `json:"new,omitzero"`
	Cancels int       `json:"cancels,omitzero"`
	Changes int       `json:"changes,omitzero"`
	Fills   int       `json:"fills,omitzero"`
	Quick   int       `json:"quick,omitzero"` // cancellations soon after the submission
	First   []string  `json:"first,omitempty"`
	Last    []string  `json:"last,omitempty"`
	Found   bool      `json:"found,omitzero"`
}

func (t *tally) show(id string) {
	if len(t.First) < maxEvidence/2 {
		t.First = append(t.First, id)
		return
	}
	if t.Last = append(t.Last, id); len(t.Last) > maxEvidence/2 {
		t.Last = slices.Delete(t.Last, 0, 1)
	}
}

func (t *tally) evidence() []string { return slices.Concat(t.First, t.Last) }

// closeRun is an owner's trading at the close of one day.
type closeRun struct {
	Day    string            `json:"day"`
	Volume [2]domain.Decimal `json:"volume"` // sold, bought
	Shown  [2][]string       `json:"shown"`
	Found  bool              `json:"found,omitzero"`
}

// instrument is what all did in one instrument at the close of one day.
type instrument struct {
	Day             string         `json:"day"`
	Trades          int            `json:"trades"`
	Volume          domain.Decimal `json:"volume"`
	First           domain.Decimal `json:"first"`
	Last            domain.Decimal `json:"last"`
	FirstAt, LastAt time.Time
}

// remember adds a deed. What occurred long before the latest is forgotten.
func remember(deeds []deed, d deed) []deed {
	latest := d.At
	for i := range deeds {
		if deeds[i].At.After(latest) {
			latest = deeds[i].At
		}
	}
	deeds = slices.DeleteFunc(deeds, func(old deed) bool { return latest.Sub(old.At) > deedsLast })
	if len(deeds) == maxDeeds {
		deeds = slices.Delete(deeds, 0, 1)
	}
	return append(deeds, d)
}

// span returns the tally of the span that at is in: nil for a span that is over and
// forgotten. Spans begin at multiples of their width, in UTC.
func span(tallies []tally, at time.Time, width time.Duration) *tally {
	start := at.Truncate(width)
	oldest := 0
	for i := range tallies {
		if tallies[i].Start.Equal(start) {
			return &tallies[i]
		}
		if tallies[i].Start.Before(tallies[oldest].Start) {
			oldest = i
		}
	}
	if start.Before(tallies[oldest].Start) {
		return nil
	}
	tallies[oldest] = tally{Start: start}
	return &tallies[oldest]
}

// side is an index of what is kept for sells and buys.
func side(buys bool) int {
	if buys {
		return 1
	}
	return 0
}

func sideName(buys bool) string {
	if buys {
		return "buy"
	}
	return "sell"
}
