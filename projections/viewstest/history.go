package viewstest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// History makes up n events: decisions that lead to orders, one or two each,
// fills that name only their order, approvals before and after the order, and
// what an audit log holds besides: logins, unknown types, odd data. Many orders
// are under way at a time. The same seed gives the same events.
func History(seed uint64, n int) []*domain.Event {
	flow := NewFlow(seed)
	events := make([]*domain.Event, n)
	for i := range events {
		events[i] = flow.Next()
	}
	return events
}

// Flow is a History without an end.
type Flow struct {
	random    *rand.Rand
	now       time.Time
	told      []*domain.Event // and not handed out
	count     int
	tales     [][]*domain.Event
	decisions int
}

// NewFlow begins a history.
func NewFlow(seed uint64) *Flow {
	return &Flow{
		random: rand.New(rand.NewPCG(seed, 0x6869)), //nolint:gosec // must be repeatable
		now:    time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC),
	}
}

// Next is the next event.
func (h *Flow) Next() *domain.Event {
	for len(h.told) == 0 {
		for len(h.tales) < 6 {
			h.tales = append(h.tales, h.decision())
		}
		i := h.random.IntN(len(h.tales))
		h.tell(h.tales[i][0])
		if h.tales[i] = h.tales[i][1:]; len(h.tales[i]) == 0 {
			h.tales = append(h.tales[:i], h.tales[i+1:]...)
		}
		if h.random.IntN(12) == 0 {
			h.tell(h.aside())
		}
	}
	e := h.told[0]
	h.told = h.told[1:]
	return e
}

// tell gives the event what all have. Clocks of different systems disagree, so
// times are not quite in order.
func (h *Flow) tell(e *domain.Event) {
	h.now = h.now.Add(time.Duration(1+h.random.IntN(900)) * time.Millisecond)
	e.ID = domain.DeriveID("history", "", fmt.Sprint(h.count, h.random.Uint64()))
	h.count++
	e.OccurredAt = h.now.Add(-time.Duration(h.random.IntN(2_000_000)) * time.Microsecond)
	e.RecordedAt = h.now
	e.SchemaVersion = domain.SchemaVersion
	h.told = append(h.told, e)
}

func (h *Flow) pick(kind string, n int) string {
	return fmt.Sprintf("%s-%d", kind, 1+h.random.IntN(n))
}

// decision is a recommendation and what came of it.
func (h *Flow) decision() []*domain.Event {
	h.decisions++
	id := func(kind string) string { return fmt.Sprintf("%s-%d", kind, h.decisions) }
	// A computation feeds several recommendations.
	computation := fmt.Sprintf("COMP-%d", (h.decisions+2)/3)
	about := domain.Event{
		StrategyID: h.pick("ALPHA", 3), Ticker: h.pick("TICK", 5), RecommendationID: id("REC"), ComputationID: computation,
	}
	event := func(t domain.EventType, change func(*domain.Event)) *domain.Event {
		e := about
		e.Type = t
		if change != nil {
			change(&e)
		}
		return &e
	}
	tale := []*domain.Event{}
	if h.decisions%3 == 1 {
		tale = append(tale, &domain.Event{Type: domain.SignalComputed, ComputationID: computation, StrategyID: about.StrategyID})
	}
	account := h.pick("ACC", 4)
	approval := func(t domain.EventType) *domain.Event {
		return event(t, func(e *domain.Event) { e.ApprovalID, e.UserID = id("APPR"), h.pick("USER", 3) })
	}
	tale = append(tale, event(domain.RecommendationGenerated, nil),
		event(domain.RiskEvaluated, func(e *domain.Event) { e.EvaluationID, e.AccountID = id("EVAL"), account }),
		approval(domain.ApprovalRequested))
	late := h.random.IntN(4) == 0 // orders are sent before the approval arrives
	if !late {
		tale = append(tale, approval(domain.ApprovalApproved))
	}
	orders := [][]*domain.Event{h.order(event, id("ORD"), account, id("EVAL"))}
	if h.random.IntN(3) == 0 {
		orders = append(orders, h.order(event, id("SIB"), h.pick("ACC", 4), id("EVAL")))
	}
	for len(orders) > 0 {
		i := h.random.IntN(len(orders))
		tale = append(tale, orders[i][0])
		if orders[i] = orders[i][1:]; len(orders[i]) == 0 {
			orders = append(orders[:i], orders[i+1:]...)
		}
		if late {
			late = false
			tale = append(tale, approval(domain.ApprovalApproved))
		}
	}
	return append(tale, &domain.Event{
		Type: domain.PositionUpdated, AccountID: account, Ticker: about.Ticker, Data: []byte(`{"shares_after":"100"}`),
	})
}

func (h *Flow) order(
	event func(domain.EventType, func(*domain.Event)) *domain.Event, id, account, evaluation string,
) []*domain.Event {
	quantity := 100 * (1 + h.random.IntN(9))
	tale := []*domain.Event{event(domain.OrderSubmitted, func(e *domain.Event) {
		e.OrderID, e.AccountID, e.EvaluationID = id, account, evaluation
		e.Data = fmt.Appendf(nil, `{"side":"BUY","quantity":"%d","limit_price":"%d.50"}`, quantity, 90+h.random.IntN(20))
	})}
	// What follows names the order only, as brokers do.
	say := func(t domain.EventType, data string) {
		e := &domain.Event{Type: t, OrderID: id}
		if data != "" {
			e.Data = []byte(data)
		}
		tale = append(tale, e)
	}
	say(domain.OrderAccepted, "")
	for filled := 0; filled < quantity; {
		switch h.random.IntN(14) {
		case 0:
			say(domain.OrderCancelRequested, "")
			say(domain.OrderCancelled, "")
			return tale
		case 1: // a step nobody knows, and data of a wrong type
			say("order.blessed", `{"quantity":["many"],"note":"ünïcode"}`)
		default:
			part := min(quantity-filled, 10+h.random.IntN(300))
			filled += part
			kind := domain.OrderPartiallyFilled
			if filled == quantity {
				kind = domain.OrderFilled
			}
			say(kind, fmt.Sprintf(`{"fill_quantity":"%d","fill_price":"%d.%02d0","commission":"0.%d"}`,
				part, 90+h.random.IntN(20), h.random.IntN(100), h.random.IntN(1000)))
		}
	}
	return tale
}

// aside is an event of no order.
func (h *Flow) aside() *domain.Event {
	switch h.random.IntN(3) {
	case 0:
		return &domain.Event{Type: domain.UserLoggedIn, UserID: h.pick("USER", 3)}
	case 1:
		return &domain.Event{Type: "weather.changed", EntityType: "city", EntityID: "London"}
	default:
		return &domain.Event{Type: domain.ConfigChanged, EntityID: "limits", UserID: h.pick("USER", 3)}
	}
}

// Log gives events places, as a store would: positions with gaps, some with a
// prepare position of their own. A nil event is one that somebody else wrote into
// the store and that can't be read.
func Log(events []*domain.Event) []feed.Event {
	random := rand.New(rand.NewPCG(1, uint64(len(events)))) //nolint:gosec // must be repeatable
	revisions := make(map[string]uint64)
	var commit uint64
	log := make([]feed.Event, len(events))
	for i, e := range events {
		commit += 10 + random.Uint64N(500)
		position := domain.Position{Commit: commit, Prepare: commit}
		if random.IntN(10) == 0 {
			position.Prepare -= 1 + random.Uint64N(9)
		}
		stream, payload := "foreign", []byte("\x00 no JSON")
		if e != nil {
			stream = e.Stream()
			var err error
			if payload, err = e.Encode(); err != nil {
				panic("viewstest: an event of the history can't be encoded: " + err.Error())
			}
		}
		log[i] = feed.NewEvent(domain.Located{Event: e, Stream: stream, Revision: revisions[stream], Position: position}, payload)
		revisions[stream]++
	}
	return log
}

// SliceOf is the slice log[from:to].
func SliceOf(log []feed.Event, from, to int) feed.Slice {
	slice := feed.Slice{Events: log[from:to]}
	if from > 0 {
		slice.After = log[from-1].Position
	}
	return slice
}
