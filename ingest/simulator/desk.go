package simulator

import (
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// scheduleDesk plans what people do: they log in before the opening, look at
// things, change limits, and deal with a circuit breaker.
func (s *Simulator) scheduleDesk(start time.Time, length time.Duration) {
	for i, user := range users() {
		s.at(start.Add(-5*time.Minute-s.within(20*time.Minute)), func() {
			s.person(domain.UserLoggedIn, user, "method", "sso", "ip_address", address(i))
		})
	}
	s.at(start.Add(-time.Minute), func() { s.changeMode("", "paper", "live", "dora.novak", "") })

	for range 18 {
		s.at(start.Add(s.within(length)), func() {
			i := s.random.IntN(len(users()))
			a := pick(s, []struct{ action, target string }{
				{"viewed_blotter", "all-accounts"},
				{"acknowledged_alert", "slippage"},
				{"exported_report", "daily-audit"},
				{"changed_watchlist", "mega-caps"},
				{"viewed_chain", "recent-orders"},
			})
			s.person(domain.UserAction, users()[i], "action", a.action, "target", a.target, "ip_address", address(i))
		})
	}
	for i, c := range []struct{ path, before, after, reason string }{
		{"safety.max_position", "0.05", "0.03", "lower limit ahead of earnings"},
		{"execution.max_slippage_bps", "40", "35", "monthly review"},
		{"strategies.stat-arb.rebalance_minutes", "15", "20", "less turnover"},
	} {
		s.at(start.Add(length*time.Duration(i+1)/5+s.within(length/10)), func() {
			s.tell(
				domain.Event{
					Type: domain.ConfigChanged, EntityType: "config", EntityID: "risk-limits",
					UserID: "chen.li", Actor: "chen.li", Clock: s.deskClock(),
				},
				"ip_address", address(2),
				"changes", []any{object("path", c.path, "old_value", c.before, "new_value", c.after, "reason", c.reason)},
			)
		})
	}
	s.at(start.Add(length*2/5+s.within(length/5)), func() { s.trip(length) })
}

// trip is a circuit breaker: the strategy stands still until someone resets it.
func (s *Simulator) trip(length time.Duration) {
	by := pick(s, strategies())
	cause := s.tell(
		domain.Event{
			Type: domain.CircuitBreakerTriggered, EntityType: "strategy", EntityID: by.id, StrategyID: by.id,
			Actor: "risk_engine", Clock: s.gatewayClock(),
		},
		"breaker", "daily_loss", "threshold_bps", "75", "observed_bps", shares(s.between(76, 95)), "action", "halt_strategy",
	)
	s.halted[by.id] = true
	s.after(s.latency(40*time.Millisecond), func() {
		s.changeMode(by.id, "live", "halted", "risk_engine", cause)
	})
	s.after(length/16+s.within(length/16)+time.Second, func() {
		cause := s.person(domain.UserAction, "dora.novak", "action", "reset_circuit_breaker", "target", by.id, "ip_address", address(3))
		s.after(s.latency(40*time.Millisecond), func() {
			delete(s.halted, by.id)
			s.changeMode(by.id, "halted", "live", "dora.novak", cause)
		})
	})
}

// person tells what a user does.
func (s *Simulator) person(t domain.EventType, user string, pairs ...any) string {
	return s.tell(domain.Event{
		Type: t, EntityType: "user", EntityID: user, UserID: user, Actor: user,
		SessionID: "web-" + s.date + "-" + user, Clock: s.deskClock(),
	}, pairs...)
}

// changeMode is about one strategy, or all of them.
func (s *Simulator) changeMode(strategy, from, to, actor, cause string) {
	e := domain.Event{
		Type: domain.TradingModeChanged, EntityType: "risk_config", EntityID: "trading-mode", StrategyID: strategy,
		Actor: actor, CausationID: cause,
	}
	if actor != "risk_engine" {
		e.UserID = actor
	}
	s.tell(e, "old_mode", from, "new_mode", to)
}

func (s *Simulator) deskClock() *domain.Clock {
	return &domain.Clock{SourceID: "desk-ny1", Sync: "NTP_SYNCED", OffsetNs: s.between(-2_000_000, 2_000_000), MaxErrorNs: 10_000_000}
}

func address(user int) string {
	return []string{"10.1.2.11", "10.1.2.12", "10.1.2.31", "10.1.2.32"}[user]
}
