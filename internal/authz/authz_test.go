package authz_test

import (
	"context"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/projections/views"
)

// nobody denies everything and remembers what was asked.
type nobody struct{ asked []authz.Resource }

func (n *nobody) Decide(_ context.Context, _ authz.Principal, do authz.Action, on authz.Resource) error {
	n.asked = append(n.asked, on)
	return authz.Denied(do, on)
}

// Every method that touches what is recorded asks first: behind the guard here is
// nothing that could answer.
func TestGuards_AskBeforeAnything(t *testing.T) {
	harmless := map[string]bool{"Names": true, "Now": true, "Await": true, "Available": true}
	policy := &nobody{}
	for _, guard := range []any{authz.NewViews(nil, policy), authz.NewRecorder(nil, policy), authz.NewProofs(nil, policy)} {
		value := reflect.ValueOf(guard)
		for method := range value.Type().Methods() {
			if harmless[method.Name] {
				continue
			}
			t.Run(method.Name, func(t *testing.T) {
				policy.asked = nil
				args := []reflect.Value{reflect.ValueOf(authz.With(t.Context(), authz.Developer))}
				for i := 2; i < method.Type.NumIn(); i++ { // the receiver and the context come before
					arg := reflect.New(method.Type.In(i)).Elem()
					switch arg.Interface().(type) {
					case []string:
						arg = reflect.ValueOf([]string{"a"})
					case string:
						arg.SetString("a")
					}
					args = append(args, arg)
				}
				out := value.MethodByName(method.Name).Call(args)
				err, _ := out[len(out)-1].Interface().(error)
				assert.Equal(t, domain.ClassDenied, domain.ClassOf(err))
				assert.Len(t, policy.asked, 1)
			})
		}
	}
}

func TestCheck_NoPrincipal(t *testing.T) {
	err := authz.Check(t.Context(), authz.AllowAll{}, authz.Read, authz.Resource{Kind: "events"})
	var denied *domain.Error
	require.ErrorAs(t, err, &denied)
	assert.Equal(t, domain.ClassDenied, denied.Class)
	assert.Equal(t, authz.CodeUnauthenticated, denied.Code)
}

// What a policy is asked about is named as users name it, not as views do.
func TestViews_ResourceOfAnOwner(t *testing.T) {
	for _, c := range []struct {
		entity string
		want   authz.Resource
	}{
		{"account", authz.Resource{Kind: "account", ID: "A"}},
		{"strategy", authz.Resource{Kind: "strategy", ID: "A"}},
		{"user", authz.Resource{Kind: "user", ID: "A"}},
		{"instrument", authz.Resource{Kind: "instrument", ID: "A"}},
		{"order", authz.Resource{Kind: "order", ID: "A"}},
		{"venue", authz.Resource{Kind: "entity", ID: "venue:A"}},
	} {
		policy := &nobody{}
		kind, key := views.Entity(c.entity, "A")
		_, err := authz.NewViews(nil, policy).OwnerEvents(authz.With(t.Context(), authz.Developer), kind, key, 0, 1)
		require.Error(t, err)
		assert.Equal(t, []authz.Resource{c.want}, policy.asked)
	}
}

// owner lets everybody read what belongs to one resource, and nothing else.
type owner struct{ resource authz.Resource }

func (o owner) Decide(_ context.Context, _ authz.Principal, do authz.Action, on authz.Resource) error {
	if on == o.resource {
		return nil
	}
	return authz.Denied(do, on)
}

// A search is allowed to whoever may read all that one of its dimensions names. One
// that is allowed panics here, since nothing is behind the guard.
func TestViews_SearchNeedsOneDimension(t *testing.T) {
	account := authz.Resource{Kind: "account", ID: "A"}
	search := func(resource authz.Resource, f filter.Filter) (allowed bool) {
		defer func() { allowed = allowed || recover() != nil }()
		_, err := authz.NewViews(nil, owner{resource}).Search(authz.With(t.Context(), authz.Developer), views.Query{Filter: f})
		assert.Equal(t, domain.ClassDenied, domain.ClassOf(err))
		return false
	}
	for name, c := range map[string]struct {
		resource authz.Resource
		filter   filter.Filter
		allowed  bool
	}{
		"its account":             {account, filter.Filter{Accounts: []string{"A"}}, true},
		"another account too":     {account, filter.Filter{Accounts: []string{"A", "B"}}, false},
		"its account as entity":   {account, filter.Filter{EntityType: "account", EntityID: "A"}, true},
		"half an entity":          {account, filter.Filter{EntityType: "account"}, false},
		"its account, a strategy": {account, filter.Filter{Accounts: []string{"A"}, Strategies: []string{"S"}}, true},
		"an order":                {authz.Resource{Kind: "order", ID: "o:1"}, filter.Filter{Orders: []string{"o:1"}}, true},
		"everything":              {account, filter.Filter{Types: []string{"order.*"}}, false},
		"all events":              {authz.Resource{Kind: "events"}, filter.Filter{Types: []string{"order.*"}}, true},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.allowed, search(c.resource, c.filter)) })
	}
}
