package views

import "github.com/tradetrail/tradetrail/domain"

// strategiesView keeps what belongs to a strategy.
func strategiesView() ownersView {
	return ownersView{kind: Strategies, owner: func(e *domain.Event) string { return e.StrategyID }}
}
