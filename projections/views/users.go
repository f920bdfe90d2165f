package views

import "github.com/tradetrail/tradetrail/domain"

// usersView keeps what belongs to a user: who logged in, approved or acted.
func usersView() ownersView {
	return ownersView{kind: Users, owner: func(e *domain.Event) string { return e.UserID }}
}
