package simulator

// approvalLimit is the value in cents from which an order needs an approval.
const approvalLimit = 250_000_00

type strategy struct {
	id, code, trader string
	symbols          int // that a computation looks at
}

type reviewer struct{ user, note string }

func accounts() []string { return []string{"acc-1001", "acc-1002", "acc-1003", "acc-1004", "acc-1005"} }

func strategies() []strategy {
	return []strategy{
		{"momentum", "mom", "ana.ruiz", 480},
		{"mean-reversion", "mrv", "ana.ruiz", 220},
		{"stat-arb", "sta", "ben.okafor", 640},
		{"index-rebalance", "idx", "ben.okafor", 503},
	}
}

// users are the two traders and, behind them, the two who review them.
func users() []string { return []string{"ana.ruiz", "ben.okafor", "chen.li", "dora.novak"} }

func approvers() []reviewer {
	return []reviewer{
		{"chen.li", "within the desk's limits"},
		{"chen.li", "checked against the model portfolio"},
		{"dora.novak", "client informed"},
	}
}

func deniers() []reviewer {
	return []reviewer{
		{"chen.li", "too much for one name today"},
		{"dora.novak", "earnings after the close"},
	}
}

func riskReasons() []string {
	return []string{"max_position", "sector_exposure", "daily_turnover", "restricted_list"}
}

func brokerReasons() []string {
	return []string{"unknown_symbol_at_venue", "price_outside_collar", "insufficient_buying_power"}
}

func suppressions() []string {
	return []string{"confidence_below_threshold", "cooldown_after_trade", "stale_market_data"}
}

func venues() []string { return []string{"NASDAQ", "NASDAQ", "ARCA", "BATS", "IEX"} }
