package graph_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
)

// However many items a page has, and however often a query asks for the like, the
// read models are asked so often and no more.
func TestReads(t *testing.T) {
	t.Parallel()
	const page = `{ edges { cursor node { eventId } } pageInfo { hasNextPage hasPreviousPage } totalCount }`
	for _, c := range []struct {
		name, query string
		want        []string
	}{
		{"fifty orders by aliases", "{" + repeat(50, `a%d: order(id: "o%d") { orderId } `) + "}", []string{"Orders of 50"}},
		{"orders by aliases, one twice", `{ a: order(id: "o1") { orderId } b: order(id: "o2") { orderId } c: order(id: "o1") { status } }`, []string{"Orders of 2"}},
		{"orders in a fragment", `{ ...f b: order(id: "o2") { orderId } } fragment f on Query { a: order(id: "o1") { orderId } }`, []string{"Orders of 2"}},
		{"an order that is left out", `{ a: order(id: "o1") { orderId } b: order(id: "o2") @skip(if: true) { orderId } }`, []string{"Orders of 1"}},
		{"one order", `{ order(id: "o1") { orderId } }`, []string{"Orders of 1"}},
		{"a chain", `{ chain(orderId: "o1") { events { event { eventId } } order { status } } }`, []string{"Chain"}},
		{"statistics", `{ account(id: "a") { stats { events } } }`, []string{"Owner"}},
		{"the first page", `{ account(id: "a") { events(first: 50) ` + page + ` } }`, []string{"Owner", "OwnerEvents"}},
		{"a page behind a cursor", `{ account(id: "a") { events(first: 50, after: "C:3/P:3") ` + page + ` } }`, []string{"Owner", "OwnerEvents", "OwnerIndexAfter"}},
		{"the last page", `{ account(id: "a") { events(last: 50) ` + page + ` } }`, []string{"Owner", "OwnerEvents", "OwnerEvents"}},
		{"all of an account", `{ account(id: "a") { stats { events } events ` + page + ` orders { edges { node { orderId } } } } }`, []string{"Owner", "OwnerEvents", "OwnerOrders"}},
		{"read models without their hashes", `{ projections { name parked } }`, []string{"Status"}},
		{"read models and their hashes", `{ projections { name hash } }`, []string{"Hash", "Hash", "Status"}},
		{"what is parked", `{ parked { reason } }`, []string{"Parked", "ParkedCounts"}},
	} {
		v := &fake{
			names: []string{"orders", "users"}, statuses: []views.Status{{Name: "orders"}, {Name: "users"}}, counts: map[string]int64{"users": 1},
			orders: map[string]domain.Order{"o1": {ID: "o1"}, "o2": {ID: "o2"}},
			events: func(from, to int64) views.Page[domain.Located] {
				out := views.Page[domain.Located]{First: from, Total: 200}
				for i := from; i < min(to, 200); i++ {
					out.Items = append(out.Items, located(uint64(i+1)))
				}
				return out
			},
			chain: func(string) (domain.Chain, int, bool, error) {
				return domain.BuildChain("o1", []domain.Located{located(1), located(2), located(3)}), 0, true, nil
			},
		}
		_, problems := ask(t, v, c.query)
		assert.Empty(t, problems, c.name)
		assert.Equal(t, c.want, v.reads(), c.name)
	}
}

// An order that may not be seen takes no other with it.
func TestOrders_Denied(t *testing.T) {
	t.Parallel()
	v := &fake{orders: map[string]domain.Order{"o1": {ID: "o1"}, "o2": {ID: "o2"}}, denied: "o2"}
	data, problems := ask(t, v, `{ a: order(id: "o1") { orderId } b: order(id: "o2") { orderId } c: order(id: "o3") { orderId } }`)
	assert.JSONEq(t, `{"a": {"orderId": "o1"}, "b": null, "c": null}`, data)
	require.Len(t, problems, 1)
	assert.Equal(t, "you may not read order o2", problems[0].Message)
	assert.Equal(t, [2]string{"forbidden", "denied"}, [2]string{problems[0].Extensions.Code, problems[0].Extensions.Class})
}

// Pages both ways are windows of the list, wherever the cursors are.
func TestPages(t *testing.T) {
	t.Parallel()
	v := &fake{}
	for _, c := range []struct {
		args           string
		want           []string
		previous, next bool
	}{
		{`first: 3`, []string{"o0", "o1", "o2"}, false, true},
		{`first: 0`, []string{}, false, true},
		{``, []string{"o0", "o1", "o2", "o3", "o4", "o5", "o6", "o7", "o8", "o9"}, false, false},
		{`first: 3, after: "2"`, []string{"o3", "o4", "o5"}, true, true},
		{`first: 30, after: "7"`, []string{"o8", "o9"}, true, false},
		{`first: 3, after: "9"`, []string{}, true, false},
		{`first: 3, after: "9223372036854775806"`, []string{}, true, false},
		{`last: 3`, []string{"o7", "o8", "o9"}, true, false},
		{`last: 3, before: "7"`, []string{"o4", "o5", "o6"}, true, true},
		{`last: 3, before: "9223372036854775806"`, []string{"o7", "o8", "o9"}, true, false},
		{`last: 3, after: "7"`, []string{"o8", "o9"}, true, false},
		{`first: 5, last: 2`, []string{"o3", "o4"}, true, true},
		{`after: "2", before: "5"`, []string{"o3", "o4"}, true, true},
		{`after: "5", before: "2"`, []string{}, true, true},
	} {
		args := "(" + c.args + ")"
		if c.args == "" {
			args = ""
		}
		data, problems := ask(t, v, `{ account(id: "a") { orders`+args+` { edges { node { orderId } } pageInfo { hasPreviousPage hasNextPage } totalCount } } }`)
		require.Empty(t, problems, c.args)
		var answer struct {
			Account struct {
				Orders struct {
					Edges      []struct{ Node struct{ OrderID string } }
					PageInfo   struct{ HasPreviousPage, HasNextPage bool }
					TotalCount int
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(data), &answer))
		got := answer.Account.Orders
		ids := []string{}
		for _, e := range got.Edges {
			ids = append(ids, e.Node.OrderID)
		}
		assert.Equal(t, c.want, ids, c.args)
		assert.Equal(t, [2]bool{c.previous, c.next}, [2]bool{got.PageInfo.HasPreviousPage, got.PageInfo.HasNextPage}, c.args)
		assert.Equal(t, 10, got.TotalCount)
	}
}

// What is wrong with an argument, and where.
func TestErrors_NameThePlace(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][3]string{
		`{ account(id: "a") { events(after: "x") { totalCount } } }`:                {"invalid", "after", "account.events"},
		`{ account(id: "a") { events(before: "C:1") { totalCount } } }`:             {"invalid", "before", "account.events"},
		`{ account(id: "a") { orders(after: "-1") { totalCount } } }`:               {"invalid", "after", "account.orders"},
		`{ a: strategy(id: "a") { b: orders(before: "x") { totalCount } } }`:        {"invalid", "before", "a.b"},
		`{ user(id: "a") { events(last: -1) { totalCount } } }`:                     {"invalid", "last", "user.events"},
		`{ events(filter: {before: "now"}) { totalCount } }`:                        {"invalid", "filter.before", "events"},
		`{ x: daily(date: "today") { date } }`:                                      {"invalid", "date", "x"},
		`query($a: EventFilter = {after: 5}) { events(filter: $a) { totalCount } }`: {"wrong_type", "filter.after", "events"},
	} {
		_, problems := ask(t, &fake{}, query)
		require.Len(t, problems, 1, query)
		assert.Equal(t, want, [3]string{problems[0].Extensions.Code, problems[0].Extensions.Field, problems[0].path()}, query)
	}
	for id, query := range map[string]string{"order": `{ order(id: "nobody") { orderId } }`, "account": `{ account(id: "nobody") { id } }`} {
		data, problems := ask(t, &fake{}, query)
		assert.Empty(t, problems)
		assert.JSONEq(t, `{"`+id+`": null}`, data)
	}
}

// What is given and empty is no bound for a filter, and must not find everything.
func TestFilters_RefuseWhatIsEmpty(t *testing.T) {
	t.Parallel()
	var searched []views.Query
	v := &fake{search: func(q views.Query) (views.Found, error) {
		searched = append(searched, q)
		return views.Found{}, nil
	}}
	both := []string{"accounts", "strategies", "users", "tickers", "orders"}
	for root, fields := range map[string][]string{"events": append([]string{"types"}, both...), "anomalies": append([]string{"kinds", "rules", "severities"}, both...)} {
		values := map[string]string{"expression": `""`, "after": `"0001-01-01T00:00:00Z"`, "before": `"0001-01-01T00:00:00Z"`}
		if root == "events" {
			values["entityType"], values["entityId"] = `""`, `""`
		}
		for _, field := range fields {
			values[field] = "[]"
		}
		for field, value := range values {
			_, problems := ask(t, v, `{ `+root+`(filter: {`+field+`: `+value+`}) { examined } }`)
			require.Len(t, problems, 1, "%s %s", root, field)
			assert.Equal(t, [2]string{"invalid", "filter." + field}, [2]string{problems[0].Extensions.Code, problems[0].Extensions.Field}, root)
			assert.Empty(t, searched, "%s %s", root, field)
		}
		for field := range values {
			_, problems := ask(t, v, `{ `+root+`(filter: {`+field+`: null}) { examined } }`)
			assert.Empty(t, problems, "%s %s", root, field)
		}
		searched = nil
	}
}

// A build that is switched to between two reads may have events before the cursor
// that the one before had not.
func TestPages_RepeatNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shift      uint64 // of the events' positions; 1 is what the indexes say
		args, want string
	}{
		{0, `first: 3, after: "C:3/P:3"`, `{"edges": [{"cursor": "C:4/P:4"}, {"cursor": "C:5/P:5"}], "pageInfo": {"startCursor": "C:4/P:4", "endCursor": "C:5/P:5"}}`},
		{0, `first: 1, after: "C:3/P:3"`, `{"edges": [], "pageInfo": {"startCursor": null, "endCursor": "C:3/P:3"}}`},
		{3, `last: 2, before: "C:6/P:6"`, `{"edges": [], "pageInfo": {"startCursor": "C:6/P:6", "endCursor": null}}`},
		{3, `last: 4, before: "C:6/P:6"`, `{"edges": [{"cursor": "C:5/P:5"}], "pageInfo": {"startCursor": "C:5/P:5", "endCursor": "C:5/P:5"}}`},
	} {
		v := &fake{events: func(from, to int64) views.Page[domain.Located] {
			page := views.Page[domain.Located]{First: from, Total: 10}
			for n := from; n < min(to, 10); n++ {
				page.Items = append(page.Items, located(uint64(n)+c.shift))
			}
			return page
		}}
		data, problems := ask(t, v, `{ account(id: "a") { events(`+c.args+`) { edges { cursor } pageInfo { startCursor endCursor } } } }`)
		require.Empty(t, problems, c.args)
		assert.JSONEq(t, `{"account": {"events": `+c.want+`}}`, data, c.args)
	}
}
