package simulator

import (
	"cmp"
	"slices"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// scheduleSignals spreads the computations over the day, more of them near the
// opening and the close, each with one to three recommendations.
func (s *Simulator) scheduleSignals(start time.Time, length time.Duration, decisions int) {
	busy := length * 95 / 100 // what is decided later would hardly be traded
	type run struct {
		at    time.Duration
		count int
	}
	var runs []run
	for decisions > 0 {
		r := run{count: min(int(s.between(1, 3)), decisions)}
		switch s.between(1, 4) {
		case 1:
			r.at = s.within(busy / 6)
		case 2:
			r.at = busy - 1 - s.within(busy/6)
		default:
			r.at = s.within(busy)
		}
		decisions -= r.count
		runs = append(runs, r)
	}
	slices.SortStableFunc(runs, func(a, b run) int { return cmp.Compare(a.at, b.at) })
	var next func(i int)
	next = func(i int) {
		if i < len(runs) {
			s.at(start.Add(max(runs[i].at, 0)), func() {
				s.compute(runs[i].count)
				next(i + 1)
			})
		}
	}
	next(0)
}

// compute tells a signal and schedules the recommendations that follow from it.
func (s *Simulator) compute(recommendations int) {
	by := pick(s, strategies())
	s.signals++
	e := domain.Event{
		Type: domain.SignalComputed, StrategyID: by.id, ComputationID: s.id("cmp", s.signals),
		SessionID: "s-" + s.date + "-" + by.code, Actor: "signal_engine",
	}
	e.EntityType, e.EntityID = domain.KindComputation, e.ComputationID
	took := s.latency(800 * time.Millisecond)
	cause := s.tell(
		e,
		"duration_ms", took.Milliseconds(),
		"input", object("data_timestamp", moment(s.now.Add(-took).Truncate(time.Second)), "symbols_count", by.symbols),
		"output", object(
			"positions_long", s.between(20, 60), "positions_short", s.between(10, 40),
			"gross_exposure", hundredths(s.between(120, 210)), "net_exposure", hundredths(s.between(-20, 40)),
			"turnover_pct", hundredths(s.between(1, 30)),
		),
		"weights_hash", "sha256:"+domain.DeriveID("weights", s.tag, e.ComputationID)[:8],
	)
	for range recommendations {
		d := &decision{shared: e, cause: cause}
		s.after(s.latency(20*time.Millisecond), func() { s.recommend(d, by) })
	}
}

// decision is one recommendation on its way to an order, and the order.
type decision struct {
	shared domain.Event // ids that every further event has
	cause  string       // id of the event before
	number int          // in its ids
	fate   fate

	account, stock  int // indices
	trader, code    string
	side            string
	sign            int64 // 1 buys, -1 sells
	quantity, limit int64 // limit in cents; 0 is a market order
	arrival         int64 // price at the decision
	cum             int64
	over            bool // filled, cancelled, rejected or expired
}

// step tells the decision's next event.
func (s *Simulator) step(d *decision, t domain.EventType, entityType, entityID, actor string, pairs ...any) {
	e := d.shared
	e.Type, e.EntityType, e.EntityID, e.Actor = t, entityType, entityID, actor
	s.tellStep(d, e, pairs...)
}

func (s *Simulator) tellStep(d *decision, e domain.Event, pairs ...any) {
	e.CausationID = d.cause
	d.cause = s.tell(e, pairs...)
}

func (s *Simulator) recommend(d *decision, by strategy) {
	d.fate = s.deal()
	d.trader, d.code = by.trader, by.code
	s.choose(d)
	s.decisions++
	d.number = s.decisions
	d.shared.RecommendationID = s.id("rec", d.number)
	d.shared.CorrelationID = d.shared.RecommendationID
	d.shared.AccountID, d.shared.UserID = accounts()[d.account], d.trader
	d.shared.Ticker = s.market.stocks[d.stock].ticker

	t, suppressed := domain.RecommendationGenerated, d.fate == fateSuppressed
	pairs := []any{
		"ticker", d.shared.Ticker, "action", d.side, "mode", "live",
		"confidence", hundredths(s.between(55, 97)), "evidence_count", s.between(2, 9), "suppressed", suppressed,
	}
	if suppressed {
		t = domain.RecommendationSuppressed
		pairs = append(pairs, "reason", pick(s, suppressions()))
	}
	s.step(d, t, domain.KindRecommendation, d.shared.RecommendationID, "recommendation_worker", pairs...)
	if !suppressed {
		s.after(s.latency(4*time.Millisecond), func() { s.evaluate(d) })
	}
}

// choose decides what to trade: nearly half of the time an open position is
// closed, else something new is bought or, less often, sold short.
func (s *Simulator) choose(d *decision) {
	if open := s.positions.open(); len(open) > 0 && !d.fate.big() && s.between(1, 20) <= 9 {
		p := pick(s, open)
		d.account, d.stock = p.account, p.stock
		held := s.positions.at(p).quantity
		d.side, d.sign, d.quantity = "sell", -1, held
		if held < 0 {
			d.side, d.sign, d.quantity = "buy", 1, -held
		}
	} else {
		d.account, d.stock = s.random.IntN(len(accounts())), s.random.IntN(len(s.market.stocks))
		d.side, d.sign = "buy", 1
		if s.oneIn(4) {
			d.side, d.sign = "sell", -1
		}
	}
	d.arrival = s.quote(d.stock)
	if d.quantity == 0 {
		value := s.between(8_000_00, 160_000_00)
		if d.fate.big() {
			value = s.between(approvalLimit+20_000_00, 4*approvalLimit)
		}
		d.quantity = max(value/d.arrival/10*10, 10)
	}
	switch {
	case d.fate == fateUnfilled: // too far from the market
		d.limit = d.arrival - d.sign*s.between(150, 400)*d.arrival/10_000
	case !s.oneIn(5):
		d.limit = d.arrival + d.sign*s.between(2, 12)*d.arrival/10_000
	}
}

func (d *decision) value() int64 { return d.quantity * d.arrival }

func (s *Simulator) evaluate(d *decision) {
	d.shared.EvaluationID = s.id("eval", d.number)
	t, mode, reasons := domain.RiskEvaluated, "live", []string{}
	switch {
	case s.halted[d.shared.StrategyID]:
		if d.fate != fateRiskRejected {
			s.putBack(d.fate)
		}
		t, mode, reasons = domain.RiskRejected, "halted", []string{"circuit_breaker"}
	case d.fate == fateRiskRejected:
		t, mode, reasons = domain.RiskRejected, "paper", []string{pick(s, riskReasons())}
	}
	s.step(
		d, t, "risk_evaluation", d.shared.EvaluationID, "risk_engine",
		"recommendation_id", d.shared.RecommendationID, "ticker", d.shared.Ticker, "eligible", t == domain.RiskEvaluated,
		"allowed_mode", mode, "rejection_reasons", reasons, "check_count", s.between(7, 12),
	)
	switch {
	case t == domain.RiskRejected:
	case d.value() >= approvalLimit:
		s.after(s.latency(30*time.Millisecond), func() { s.requestApproval(d) })
	default:
		s.after(s.latency(2*time.Millisecond), func() { s.submit(d) })
	}
}

func (s *Simulator) requestApproval(d *decision) {
	d.shared.ApprovalID = s.id("apr", d.number)
	expires := s.now.Add(15 * time.Minute)
	if expires.After(s.closing) {
		expires = s.now.Add(max(s.closing.Sub(s.now), time.Second))
	}
	s.step(
		d, domain.ApprovalRequested, domain.KindApproval, d.shared.ApprovalID, "system",
		"ticker", d.shared.Ticker, "side", d.side, "quantity", shares(d.quantity), "estimated_value", cents(d.value()),
		"recommendation_id", d.shared.RecommendationID, "expires_at", moment(expires),
	)
	answered := s.now.Add(20*time.Second + s.latency(40*time.Second))
	if d.fate == fateApprovalExpired || !answered.Before(expires) {
		s.at(expires, func() {
			s.step(d, domain.ApprovalExpired, domain.KindApproval, d.shared.ApprovalID, "system", "ticker", d.shared.Ticker)
		})
		return
	}
	s.at(answered, func() { s.review(d) })
}

func (s *Simulator) review(d *decision) {
	e := d.shared
	e.Type = domain.ApprovalApproved
	by := pick(s, approvers())
	if d.fate == fateApprovalRejected {
		e.Type, by = domain.ApprovalRejected, pick(s, deniers())
	}
	e.EntityType, e.EntityID = domain.KindApproval, e.ApprovalID
	e.UserID, e.Actor = by.user, by.user
	s.tellStep(d, e, "ticker", e.Ticker, "reviewed_by", by.user, "review_note", by.note)
	if e.Type == domain.ApprovalApproved {
		s.after(s.latency(5*time.Millisecond), func() { s.submit(d) })
	}
}
