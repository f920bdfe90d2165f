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
	maxExecutions = 128 // ids of executions, of reported trades; the order's quantities are right with any number
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

// later takes the event if it occurred after what is marked.
func (m *mark) later(e *domain.Event) {
	if !m.known() || e.OccurredAt.After(m.At) {
		*m = mark{e.ID, e.OccurredAt}
	}
}

// order is what rules remember of an order.
type order struct {
	Fold domain.Order `json:"fold"`

	Submitted mark `json:"submitted,omitzero"` // earliest; unknown: it may have rested before the log began
	Accepted  mark `json:"accepted,omitzero"`  // earliest
	FirstFill mark `json:"first_fill,omitzero"`
	LastFill  mark `json:"last_fill,omitzero"`
	Dead      mark `json:"dead,omitzero"`     // earliest cancellation, expiry
	Rejected  mark `json:"rejected,omitzero"` // latest
	Sent      mark `json:"sent,omitzero"`     // latest submission, routing, acceptance

	Worked   time.Time `json:"worked,omitzero"`    // earliest occurred_at of what only befalls an order that was sent
	WorkedBy time.Time `json:"worked_by,omitzero"` // the log's time when it had the first of these

	Ordered     decimal.NullDecimal `json:"ordered,omitzero"`   // the most that was ever ordered
	Arrival     decimal.NullDecimal `json:"arrival,omitzero"`   // price when it was decided
	Executed    domain.Decimal      `json:"executed"`           // sum of the fills that name a quantity, each execution once
	Unsized     bool                `json:"unsized,omitzero"`   // a fill names no quantity
	Corrected   bool                `json:"corrected,omitzero"` // a trade was busted or corrected, or the order restated in other numbers: sums prove nothing
	Said        decimal.NullDecimal `json:"said,omitzero"`      // largest FIX 14 CumQty that an event names
	SaidBy      string              `json:"said_by,omitzero"`
	Executions  []string            `json:"executions,omitempty"` // ids, also of corrections, oldest first
	Reports     []string            `json:"reports,omitempty"`    // ids of trade.reported, oldest first
	Unnamed     bool                `json:"unnamed,omitzero"`     // a fill names no id
	Overflowed  bool                `json:"overflowed,omitzero"`  // there were more executions or client ids than fit
	ClientIDs   []string            `json:"client_ids,omitempty"`
	Refs        [4]string           `json:"refs"`               // recommendation, evaluation, approval, computation: the first named
	Checked     bool                `json:"checked,omitzero"`   // an event of the order says itself that it was
	Risk        answers             `json:"risk,omitempty"`     // about the order, by name
	Replacing   bool                `json:"replacing,omitzero"` // a replacement was asked for and not answered
	Asks        bool                `json:"asks,omitzero"`      // its replacements are asked for in the log
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
	if !o.name(x) {
		return false
	}
	executed, quantity := o.Fold.CumQuantity, o.Fold.Quantity
	o.Fold.Apply(f.bounded(e))
	for i, id := range []string{e.RecommendationID, e.EvaluationID, e.ApprovalID, e.ComputationID} {
		o.Refs[i] = cmp.Or(o.Refs[i], id)
	}
	o.Environment = cmp.Or(o.Environment, e.Environment)
	o.Child = o.Child || e.ParentOrderID != ""
	if e.Type == domain.RiskEvaluated || e.Type == domain.RiskRejected {
		o.Risk.take(e, x.blocked())
	} else {
		o.Checked = o.Checked || f.has(factChecks)
	}
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
	if e.Type == domain.OrderRestated && (!executed.Equal(o.Fold.CumQuantity) || quantity.Valid && !quantity.Decimal.Equal(o.Fold.Quantity.Decimal)) {
		o.Corrected = true
	}
	if q := o.Fold.Quantity; q.Valid && (!o.Ordered.Valid || q.Decimal.GreaterThan(o.Ordered.Decimal)) {
		o.Ordered = q
	}
	if o.Recent = append(o.Recent, mark{e.ID, e.OccurredAt}); len(o.Recent) > maxRecent {
		o.Recent = slices.Delete(o.Recent, 0, 1)
	}
	return true
}

// name keeps the id of an execution, or of a trade that is reported; false: it was
// told before.
func (o *order) name(x *moment) bool {
	id := x.facts.id(factExecID, factFillID, factExecutionID, factTradeID)
	var ids, others *[]string
	switch {
	case x.isFill, x.event.Type == domain.TradeCorrected:
		ids, others = &o.Executions, &o.Reports
	case x.event.Type == domain.TradeReported:
		ids, others = &o.Reports, &o.Executions
	default:
		return true
	}
	if id == "" {
		o.Unnamed = o.Unnamed || x.isFill
		return true
	}
	if slices.Contains(*ids, id) {
		return x.event.Type == domain.TradeCorrected
	}
	x.told = slices.Contains(*others, id)
	if *ids = append(*ids, id); len(*ids) > maxExecutions {
		*ids, o.Overflowed = slices.Delete(*ids, 0, 1), true
	}
	return true
}

// sent marks a submission or routing. One that is recorded, or occurred, more than a
// grace after the order was at work is no beginning: it may have rested before the
// log began.
func (o *order) sent(x *moment) {
	e := x.event
	o.Sent.later(e)
	if !o.known() && !o.WorkedBy.IsZero() && (x.engine.now.Sub(o.WorkedBy) > Grace || e.OccurredAt.Sub(o.Worked) > Grace) {
		return
	}
	o.Submitted.earlier(e)
}

// work notes that the order is at work, whether or not the log has its submission.
func (o *order) work(x *moment) {
	if o.WorkedBy.IsZero() {
		o.WorkedBy = x.engine.now
	}
	if o.Worked.IsZero() || x.event.OccurredAt.Before(o.Worked) {
		o.Worked = x.event.OccurredAt
	}
}

func (o *order) mark(x *moment) {
	e := x.event
	switch e.Type {
	case domain.OrderReceived, domain.OrderRouted, domain.OrderSubmitted, domain.OrderPendingNew:
		o.sent(x)
	case domain.OrderDuplicatePrevented, domain.OrderLinked, domain.OrderLocked: // may come before an order is sent
	default:
		if f := e.Type.Family(); f == "order" || f == "trade" {
			o.work(x)
		}
	}
	switch e.Type {
	case domain.OrderAccepted:
		o.Accepted.earlier(e)
		o.Sent.later(e)
	case domain.OrderCancelled, domain.OrderExpired:
		o.Dead.earlier(e)
	case domain.OrderRejected:
		o.Rejected.later(e)
	case domain.OrderReplaceRequested, domain.OrderReplacePending:
		o.Replacing = true
		o.Asks = o.Asks || e.Type == domain.OrderReplaceRequested
	case domain.OrderReplaced, domain.OrderReplaceRejected:
		o.Replacing = false
	case domain.TradeBusted, domain.TradeCorrected:
		o.Corrected = true
	case domain.OrderPartiallyFilled, domain.OrderFilled:
		o.FirstFill.earlier(e)
		o.LastFill.later(e)
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

// ended is what the order can't be executed after. A rejection is no end when the
// order was sent again.
func (o *order) ended() mark {
	if o.Sent.known() && o.Sent.At.After(o.Rejected.At) {
		return o.Dead
	}
	return earliest(o.Dead, o.Rejected)
}

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
