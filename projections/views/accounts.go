package views

import "github.com/tradetrail/tradetrail/domain"

// accountsView keeps what belongs to an account: FIX Account (tag 1).
func accountsView() ownersView {
	return ownersView{kind: Accounts, owner: func(e *domain.Event) string { return e.AccountID }}
}
