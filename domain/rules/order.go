package rules

import (
	"cmp"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// The bounds of what is remembered of one order.
const (
	maxExecutions = 128 // ids of executions; the order's quantities are right with any number
	maxClientIDs  = 32
	maxRecent     = 8 // events that another may name as its cause
)

// mark is an event that rules come back to.
type mark struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

func (m mark) known() bool { return m.ID != "" }

// earlier takes the event if it occurred before what is marked.
func (m *mark) earlier(e *domain.Event) {
	if !m.known() || e.OccurredAt.Before(m.At) {
		*m = mark{e.ID, e.OccurredAt}
	}
}

// order is what rules remember of an order.
type order struct {
	Fold domain.Order `json:"fold"`

	Submitted mark `json:"submitted,omitzero"` // earliest; unknown: the order may have rested before the log began
	Accepted  mark `json:"accepted,omitzero"`  // earliest
	FirstFill mark `json:"first_fill,omitzero"`
	LastFill  mark `json:"last_fill,omitzero"`
	Dead      mark `json:"dead,omitzero"` // earliest cancellation, rejection, expiry

	Ordered     decimal.NullDecimal `json:"ordered,omitzero"`   // the most that was ever ordered
	Arrival     decimal.NullDecimal `json:"arrival,omitzero"`   // price when it was decided
	Executed    domain.Decimal      `json:"executed"`           // sum of the fills that name a quantity, each execution once
	Unsized     bool                `json:"unsized,omitzero"`   // a fill names no quantity
	Corrected   bool                `json:"corrected,omitzero"` // a trade was busted or corrected: sums prove nothing
	Said        decimal.NullDecimal `json:"said,omitzero"`      // largest FIX 14 CumQty that an event names
	SaidBy      string              `json:"said_by,omitzero"`
	Executions  []string            `json:"executions,omitempty"` // ids, oldest first
	Overflowed  bool                `json:"overflowed,omitzero"`  // there were more executions or client ids than fit
	ClientIDs   []string            `json:"client_ids,omitempty"`
	Refs        [4]string           `json:"refs"` // recommendation, evaluation, approval, computation: the first named
	Checked     bool                `json:"checked,omitzero"`
	Replacing   bool                `json:"replacing,omitzero"` // a replacement was asked for and not answered
	Child       bool                `json:"child,omitzero"`
	Environment string              `json:"environment,omitzero"`

	Recent []mark   `json:"recent,omitempty"`
	Found  []string `json:"found,omitempty"` // rules that find at most once, sorted
	Ending bool     `json:"ending,omitzero"` // the question for its end has been put
}

// take folds the next event of the order. It is false for an execution that another
// witness has told already: then nothing changes.
func (o *order) take(x *moment) bool {
	e, f := x.event, &x.facts
	if x.isFill || e.Type == domain.TradeReported {
		if id := f.text(factExecID, factFillID, factExecutionID, factTradeID); id != "" {
			if slices.Contains(o.Executions, id) {
				return false
			}
			if o.Executions = append(o.Executions, id); len(o.Executions) > maxExecutions {
				o.Executions, o.Overflowed = slices.Delete(o.Executions, 0, 1), true
			}
		}
	}
	o.Fold.Apply(e)
	for i, id := range []string{e.RecommendationID, e.EvaluationID, e.ApprovalID, e.ComputationID} {
		o.Refs[i] = cmp.Or(o.Refs[i], id)
	}
	o.Environment = cmp.Or(o.Environment, e.Environment)
	o.Child = o.Child || e.ParentOrderID != ""
	o.Checked = o.Checked || e.Type == domain.RiskEvaluated || f.has(factChecks)
	if id := e.ClientOrderID; id != "" && !slices.Contains(o.ClientIDs, id) {
		if len(o.ClientIDs) < maxClientIDs {
			o.ClientIDs = append(o.ClientIDs, id)
		} else {
			o.Overflowed = true
		}
	}
	if !o.Arrival.Valid {
		o.Arrival = f.number(factArrivalPrice, factExpectedPrice, factReferencePrice)
	}
	o.mark(x)
	if q := o.Fold.Quantity; q.Valid && (!o.Ordered.Valid || q.Decimal.GreaterThan(o.Ordered.Decimal)) {
		o.Ordered = q
	}
	if o.Recent = append(o.Recent, mark{e.ID, e.OccurredAt}); len(o.Recent) > maxRecent {
		o.Recent = slices.Delete(o.Recent, 0, 1)
	}
	return true
}

func (o *order) mark(x *moment) {
	e := x.event
	switch e.Type {
	case domain.OrderReceived, domain.OrderRouted, domain.OrderSubmitted, domain.OrderPendingNew:
		o.Submitted.earlier(e)
	case domain.OrderAccepted:
		o.Accepted.earlier(e)
	case domain.OrderCancelled, domain.OrderRejected, domain.OrderExpired:
		o.Dead.earlier(e)
	case domain.OrderReplaceRequested, domain.OrderReplacePending:
		o.Replacing = true
	case domain.OrderReplaced, domain.OrderReplaceRejected:
		o.Replacing = false
	case domain.TradeBusted, domain.TradeCorrected:
		o.Corrected = true
	case domain.OrderPartiallyFilled, domain.OrderFilled:
		o.FirstFill.earlier(e)
		if !o.LastFill.known() || e.OccurredAt.After(o.LastFill.At) {
			o.LastFill = mark{e.ID, e.OccurredAt}
		}
		if x.fill.Quantity.Valid {
			o.Executed = o.Executed.Add(x.fill.Quantity.Decimal)
		} else {
			o.Unsized = true
		}
		if said := x.facts.number(factCumQuantity); said.Valid && (!o.Said.Valid || said.Decimal.GreaterThan(o.Said.Decimal)) {
			o.Said, o.SaidBy = said, e.ID
		}
	default:
	}
	if e.Type == domain.OrderSubmitted && o.Fold.AcceptedAt.Equal(e.OccurredAt) {
		o.Accepted.earlier(e) // a venue's own record: submission and acceptance in one
	}
}

// known reports whether the log has the order from its beginning.
func (o *order) known() bool { return o.Submitted.known() }

// buys tells the order's side.
func (o *order) buys() (buys, known bool) { return domain.Buys(o.Fold.Side) }

// cause is the recent event of that id.
func (o *order) cause(id string) (mark, bool) {
	for _, m := range o.Recent {
		if m.ID == id && id != "" {
			return m, true
		}
	}
	return mark{}, false
}

// unfound reports whether the rule has not found anything on this order yet.
func (o *order) unfound(rule string) bool {
	_, found := slices.BinarySearch(o.Found, rule)
	return !found
}

func (o *order) setFound(rule string) {
	if at, found := slices.BinarySearch(o.Found, rule); !found {
		o.Found = slices.Insert(o.Found, at, rule)
	}
}
