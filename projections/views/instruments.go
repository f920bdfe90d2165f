package views

import "github.com/tradetrail/tradetrail/domain"

// instrumentsView keeps what belongs to an instrument: FIX Symbol (tag 55).
func instrumentsView() ownersView {
	return ownersView{kind: Instruments, owner: func(e *domain.Event) string { return e.Ticker }}
}
