package filter_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
)

// sample is an event with something of everything.
func sample(t testing.TB) domain.Located {
	t.Helper()
	return located(t, `{
		"event_id": "e-1", "event_type": "order.filled",
		"occurred_at": "2026-03-02T14:30:05.000000001Z", "order_id": "007", "parent_order_id": "7",
		"account_id": "ACC-1", "strategy_id": "momentum", "ticker": "AAPL", "user_id": "42", "entity_type": "order",
		"clock": {"sync": "NTP_SYNCED", "max_error_ns": 1500},
		"path": [{"hop": "gateway", "in": "2026-03-02T14:30:05Z"}],
		"data": {
			"venue": "NASDAQ", "price": "412.50", "quantity": "100.0", "limit_price": "412.5", "slippage_bps": "7.25",
			"tenth": "0.1", "fifth": "0.2", "big": "9007199254740993", "score": 1.2345678901234567e-05, "count": 3, "huge": 1e300,
			"hidden": true, "code": "007", "short": "7", "none": null, "position": "long", "expiry": "2026-03-20T00:00:00Z",
			"leg": {"price": "1.50", "side": "BUY"}, "weird name": "x", "é\n": "y", "tags": ["a", "B", "100"],
			"legs": [{"price": "1.10", "quantity": "2"}, {"price": "2.20", "quantity": "3"}], "nested": [[1, 2], [3]],
			"data": {"venue": "inner"}, "zero": "0", "note": "Grüße aus Köln"
		}}`)
}

func located(t testing.TB, text string) domain.Located {
	t.Helper()
	e, err := domain.Normalise([]byte(text))
	require.NoError(t, err)
	e.RecordedAt = e.OccurredAt.Add(1500 * time.Millisecond)
	e.Source = "http"
	e.Raw = []byte("8=FIX.4.4\x0135=8\x01")
	return domain.Located{Event: e, Stream: e.Stream(), Revision: 3, Position: domain.Position{Commit: 120, Prepare: 120}}
}

func compile(t testing.TB, f filter.Filter) *filter.Matcher {
	t.Helper()
	m, err := f.Compile()
	require.NoError(t, err)
	return m
}

// What an expression says about the sample: yes, no, or that it can't tell.
const (
	yes = "yes"
	no  = "no"
)

var expressions = []struct{ expression, want string }{
	{`true`, yes},
	{`false`, no},
	{`slippage_bps > 5 && venue == "NASDAQ"`, yes},
	{`slippage_bps > 7.25 || venue == "NYSE"`, no},

	// Texts and numbers.
	{`price > 412.5`, no},
	{`price >= 412.5 and price <= 412.500`, yes},
	{`price == 412.5`, yes},
	{`412.5 == price`, yes},
	{`price == "412.5"`, no},
	{`price == "412.50"`, yes},
	{`quantity == 100`, yes},
	{`quantity != 100`, no},
	{`"100" == 100`, yes},
	{`order_id == "007"`, yes},
	{`order_id == "7"`, no},
	{`order_id == 7`, yes},
	{`order_id == parent_order_id`, no},
	{`code == short`, no},
	{`code == order_id`, yes},
	{`price == limit_price`, yes},
	{`price < big`, yes},
	{`leg.price < price`, yes},
	{`venue == 5`, no},
	{`venue != 5`, yes},
	{`venue > 5`, "a text can't be ordered with a number (1:7)"},
	{`true || venue > 5`, yes},
	{`venue > 5 || true`, "a text can't be ordered with a number (1:7)"},
	{`venue > "MASDAQ" && venue < "OASDAQ"`, yes},
	{`hidden`, yes},
	{`not hidden`, no},
	{`hidden == true && hidden != false`, yes},
	{`hidden > 1`, "true or false can't be ordered with a number (1:8)"},
	{`venue && true`, "a text is not true or false (1:1)"},
	{`venue`, "a text is not true or false (1:1)"},

	// At the edge of what floats hold.
	{`tenth + fifth == 0.3`, yes},
	{`"0.1" + "0.2" == 0.3`, yes},
	{`0.1 + 0.2 == 0.3`, yes},
	{`big == 9007199254740993`, yes},
	{`big == 9007199254740992`, no},
	{`big == 9_007_199_254_740_993`, yes},
	{`big > 9007199254740992.0`, yes},
	{`big < 9007199254740993.000000000000000001`, yes},
	{`score == 1.2345678901234567e-05`, "compile"}, // 21 digits after the point
	{`score > 0.00001 && score < 0.00002`, yes},
	{`huge > 1e30`, yes},
	{`count == 0x3`, yes},
	{`price * quantity > 41249.99 && price * quantity == 41250`, yes},
	{`(price - 412) * 2 == 1`, yes},
	{`1 / 3 == 0.333333333333333333`, yes},
	{`2 / 3 == 0.666666666666666667`, yes},
	{`count % 2 == 1`, yes},
	{`-price == -412.5`, yes},
	{`+price == 412.5`, yes},
	{`price / zero > 1`, "division by zero (1:7)"},
	{`venue * 2 > 1`, "a text is not a number (1:7)"},
	{`huge * huge > 1`, "the result has too many digits (1:6)"},
	{`abs(-3) == 3 && floor(price) == 412 && ceil(price) == 413 && round(0.5) == 1`, yes},
	{`min(price, 5, nil) == 5 && max(3, 4) == 4`, yes},
	{`number(" 5") == 5`, "a text is not a number (1:1)"},
	{`number(code) == 7`, yes},

	// What is missing.
	{`nothing == nil`, yes},
	{`none == nil`, yes},
	{`venue == nil`, no},
	{`venue != nil`, yes},
	{`nil == nil`, yes},
	{`nothing > 5`, no},
	{`nothing <= 5`, no},
	{`5 > nothing`, no},
	{`nothing > nil`, no},
	{`nothing == 5`, no},
	{`nothing != 5`, yes},
	{`not (nothing > 5)`, yes},
	{`nothing * price > 0`, no},
	{`nothing`, no},
	{`!nothing`, yes},
	{`nothing.deep.down == nil`, yes},
	{`nothing?.deep == nil`, yes},
	{`(nothing ?? "x") == "x"`, yes},
	{`(nothing ?? price) > 400`, yes},
	{`nothing contains "x"`, no},
	{`nothing not contains "x"`, yes},
	{`nothing in ["x"]`, no},
	{`"x" in nothing`, no},
	{`any(nothing, true)`, no},
	{`len(nothing) > 0`, no},
	{`lower(nothing) == nil`, yes},
	{`correlation_id == nil and session_id == nil`, yes},
	{`sum(nothing) == nil`, yes},

	// Fields of the event itself.
	{`event_type == "order.filled" && event_type startsWith "order."`, yes},
	{`event_id == "e-1" && account_id == "ACC-1" && strategy_id == "momentum" && ticker == "AAPL" && user_id == "42"`, yes},
	{`actor == "42" && source == "http" && stream == "order-007" && revision == 3 && schema_version == 1`, yes},
	{`clock.sync == "NTP_SYNCED" && clock.max_error_ns > 1000 && clock.source_id == nil`, yes},
	{`path[0].hop == "gateway" && path[-1].in < occurred_at && path[0].out == nil && path[9].hop == nil`, yes},
	{`raw contains "35=8"`, yes},
	{`position == "C:120/P:120" && position >= "C:7/P:7" && position > 119`, yes},
	{`position == "long"`, "compile"},
	{`data.position == "long" && data.data.venue == "inner"`, yes},
	{`data["weird name"] == "x" && data["é\n"] == "y"`, yes},
	{`data.nothing.at.all == nil`, yes},
	{`"venue" in data && "venues" not in data`, yes},
	{`data == nil`, no},

	// Nested data.
	{`leg.price == 1.5 && data.leg.price > 1.49 && leg?.side == "BUY"`, yes},
	{`leg["side"] == "BUY"`, yes},
	{`legs[1].price == 2.2 && legs[-1].price == 2.2 && legs[2].price == nil && legs[1e30] == nil`, yes},
	{`price.amount > 5`, "a text has no fields (1:7)"},
	{`legs.price > 5`, "a list is indexed by numbers (1:6)"},
	{`any(legs, .price > 2) && all(legs, .price > 1) && none(legs, .price > 3) && one(legs, .price > 2)`, yes},
	{`count(legs, .price > 1) == 2 && count == 3`, yes},
	{`len(legs) == 2 && len(filter(legs, .price > 2)) == 1`, yes},
	{`sum(map(legs, .price * .quantity)) == 8.8`, yes},
	{`max(map(legs, .price)) == 2.2`, yes},
	{`find(legs, .price > 2).quantity == 3`, yes},
	{`first(legs).quantity == 2 && last(legs).quantity == 3`, yes},
	{`any(nested, any(#, # == 3))`, yes},
	{`map(legs, #index)[1] == 1`, yes},
	{`any(legs, .nothing)`, no},
	{`any(venue, true)`, "a text is not a list (1:1)"},
	{`any(leg, true)`, "an object is not a list (1:1)"},
	{`legs == legs`, "lists and objects can't be compared as a whole (1:6)"},
	{`legs | any(.price > 2)`, yes},

	// Texts.
	{`venue contains "SDA" && venue startsWith "NAS" && venue endsWith "DAQ"`, yes},
	{`venue not startsWith "NAS"`, no},
	{`venue matches "^N.*Q$" and not (venue matches "x")`, yes},
	{`lower(venue) == "nasdaq" && upper("x") == "X" && trim(" x ") == "x"`, yes},
	{`trimPrefix(account_id, "ACC-") == 1 && trimSuffix(venue, "DAQ") == "NAS"`, yes},
	{`hasPrefix(venue, "N") && hasSuffix(venue, "Q")`, yes},
	{`split(account_id, "-")[1] == "1"`, yes},
	{`len(venue) == 6 && len(note) == 14 && upper(note) contains "GRÜSSE"`, no}, // no special casing of ß
	{`note contains "Köln"`, yes},
	{`string(price) == "412.50" && string(count) == "3" && string(1.50) == "1.5"`, yes},
	{`price startsWith "412."`, yes},
	{`tags contains "a"`, "a list is not a text (1:6)"},

	// Membership.
	{`venue in ["NYSE", "NASDAQ"]`, yes},
	{`venue not in ["NYSE", "NASDAQ"]`, no},
	{`price in [1, 412.5]`, yes},
	{`"B" in tags && 100 in tags && "C" not in tags`, yes},
	{`quantity in [tenth, 50 + 50]`, yes},
	{`nil in [nil]`, yes},

	// Times.
	{`occurred_at < recorded_at`, yes},
	{`recorded_at - occurred_at > duration("1s")`, yes},
	{`recorded_at - occurred_at > "2s"`, no},
	{`recorded_at - occurred_at == duration("1500ms")`, yes},
	{`recorded_at - occurred_at > 5`, "a duration can't be ordered with a number (1:27)"},
	{`occurred_at + duration("1.5s") == recorded_at && recorded_at - duration("1s") > occurred_at`, yes},
	{`duration("1s") + duration("1s") == duration("2s") && -duration("1s") < duration("0s")`, yes},
	{`occurred_at > "2026-03-02T14:30:05Z"`, yes},
	{`occurred_at > "2026-03-02T09:30:05.000000001-05:00"`, no},
	{`occurred_at >= "2026-03-02" && occurred_at < date("2026-03-03")`, yes},
	{`occurred_at > date("2026-03-02T14:30:05Z")`, yes},
	{`expiry > occurred_at && date(expiry) - occurred_at > duration("300h")`, yes},
	{`venue > occurred_at`, "a text can't be ordered with a time (1:7)"},
	{`date(venue) > occurred_at`, "a text is not an RFC 3339 time or date (1:1)"},

	// Choice.
	{`(hidden ? price : 0) > 400`, yes},
	{`nothing ? true : false`, no},
	{`1 < count < 5`, yes},
}

func TestMatch_Expressions(t *testing.T) {
	e := sample(t)
	for _, tt := range expressions {
		t.Run(tt.expression, func(t *testing.T) {
			m, err := filter.Filter{Expression: tt.expression}.Compile()
			if tt.want == "compile" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			for range 2 { // the second time on what the first has left
				ok, err := m.Match(e)
				require.NoError(t, err)
				n, first := m.Errors()
				if tt.want == yes || tt.want == no {
					require.NoError(t, first)
					require.Zero(t, n)
					require.Equal(t, tt.want == yes, ok)
					continue
				}
				require.False(t, ok)
				require.EqualError(t, first, "expression: "+tt.want)
				require.Equal(t, domain.ClassRejected, domain.ClassOf(first))
			}
			if n, _ := m.Errors(); tt.want != yes && tt.want != no {
				require.Equal(t, 2, n)
			}
		})
	}
}

func TestMatch_AnEventWithNothing(t *testing.T) {
	for _, expression := range []string{
		`recorded_at == nil && clock == nil && path == nil && data == nil && raw == nil && stream == nil && revision == nil && position == nil && venue == nil`,
		`occurred_at == nil && event_id == nil && data.x == nil`,
	} {
		m := compile(t, filter.Filter{Expression: expression})
		for _, data := range []string{``, `null`, `[1]`, `7`} {
			ok, err := m.Match(domain.Located{Event: &domain.Event{Type: "x", Data: []byte(data)}})
			require.NoError(t, err)
			assert.True(t, ok, "%s on %s", expression, data)
		}
	}
	m := compile(t, filter.Filter{Expression: "venue == 1"})
	_, err := m.Match(domain.Located{})
	require.Error(t, err)
}

func TestMatch_DataThatIsNoJSON(t *testing.T) {
	m := compile(t, filter.Filter{Expression: `venue == "x" || data.leg.price == 1 || any(legs, .x)`})
	for _, data := range []string{`{`, `{"venue"`, `{"venue":`, `{"venue":"x`, `{"a":1,}`, `{"legs":[1,}`, `{"leg":{"price":tru}}`, `{1:2}`, "{\"\xff\\q\":1}"} {
		ok, err := m.Match(domain.Located{Event: &domain.Event{Type: "x", Data: []byte(data)}})
		require.NoError(t, err, data)
		assert.False(t, ok, data)
	}
	n, first := m.Errors()
	assert.Equal(t, 9, n)
	assert.ErrorContains(t, first, "not well-formed")
}

func TestMatch_Dimensions(t *testing.T) {
	e := sample(t)
	at := e.OccurredAt
	for _, tt := range []struct {
		name   string
		filter filter.Filter
		want   bool
	}{
		{"everything", filter.Filter{}, true},
		{"type", filter.Filter{Types: []string{"order.accepted", "order.filled"}}, true},
		{"another type", filter.Filter{Types: []string{"order.accepted"}}, false},
		{"alias", filter.Filter{Types: []string{"execution"}}, true},
		{"family", filter.Filter{Types: []string{"order.*"}}, true},
		{"another family", filter.Filter{Types: []string{"ord.*", "risk.*"}}, false},
		{"one of three", filter.Filter{Types: []string{"position_changed"}}, false},
		{"ticker", filter.Filter{Tickers: []string{"MSFT", "AAPL"}}, true},
		{"another ticker", filter.Filter{Tickers: []string{"MSFT"}}, false},
		{"strategy", filter.Filter{Strategies: []string{"momentum"}}, true},
		{"another strategy", filter.Filter{Strategies: []string{"x"}}, false},
		{"account", filter.Filter{Accounts: []string{"ACC-1"}}, true},
		{"another account", filter.Filter{Accounts: []string{"ACC-2"}}, false},
		{"user", filter.Filter{Users: []string{"42"}}, true},
		{"another user", filter.Filter{Users: []string{"43"}}, false},
		{"order", filter.Filter{Orders: []string{"007"}}, true},
		{"another order", filter.Filter{Orders: []string{"7"}}, false},
		{"entity", filter.Filter{EntityType: "order", EntityID: "007"}, true},
		{"another entity", filter.Filter{EntityID: "008"}, false},
		{"another kind of entity", filter.Filter{EntityType: "account"}, false},
		{"after includes", filter.Filter{After: at}, true},
		{"after excludes", filter.Filter{After: at.Add(1)}, false},
		{"before excludes", filter.Filter{Before: at}, false},
		{"before includes", filter.Filter{Before: at.Add(1)}, true},
		{"all agree", filter.Filter{Types: []string{"order.*"}, Users: []string{"42"}, After: at, Expression: "price > 1"}, true},
		{"one does not", filter.Filter{Types: []string{"order.*"}, Users: []string{"42"}, After: at, Expression: "price < 1"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ok, err := compile(t, tt.filter).Match(e)
			require.NoError(t, err)
			assert.Equal(t, tt.want, ok)
		})
	}
}

func TestWithout_TakesADimensionForGranted(t *testing.T) {
	e := sample(t)
	f := filter.Filter{
		Types: []string{"x"}, Tickers: []string{"x"}, Strategies: []string{"x"}, Accounts: []string{"x"}, Users: []string{"x"},
		Orders: []string{"x"}, EntityID: "x", After: e.OccurredAt.Add(1), Expression: "venue > 5",
	}
	m := compile(t, f)
	all := []filter.Dimension{
		filter.Types, filter.Tickers, filter.Strategies, filter.Accounts, filter.Users,
		filter.Orders, filter.Entity, filter.Window, filter.Expression,
	}
	ok, err := m.Without(all...).Match(e)
	require.NoError(t, err)
	assert.True(t, ok)
	for i := range all {
		rest := append(append([]filter.Dimension{}, all[:i]...), all[i+1:]...)
		ok, err := m.Without(rest...).Match(e)
		require.NoError(t, err)
		assert.False(t, ok, "%b decides alone", all[i])
	}
	ok, err = m.Match(e)
	require.NoError(t, err)
	assert.False(t, ok, "the matcher itself is as it was")
	n, _ := m.Errors()
	assert.Equal(t, 1, n, "errors are counted together")
}

func TestMatchOwned_FillsWhatTheEventDoesNotName(t *testing.T) {
	e := located(t, `{"event_type": "order.filled", "timestamp": 1, "order_id": "1", "account_id": "A"}`)
	m := compile(t, filter.Filter{Accounts: []string{"A"}, Strategies: []string{"S"}, Expression: "strategy_id == nil"})
	ok, err := m.Match(e)
	require.NoError(t, err)
	assert.False(t, ok)
	ok, err = m.MatchOwned(e, filter.Owner{Account: "B", Strategy: "S"})
	require.NoError(t, err)
	assert.True(t, ok, "the event's own account counts, and the expression sees the event as recorded")
}

func TestCompile_RejectsWithField(t *testing.T) {
	at := time.Unix(1, 0)
	many := make([]string, filter.MaxValues+1)
	for i := range many {
		many[i] = "x"
	}
	for _, tt := range []struct {
		filter      filter.Filter
		field, text string
	}{
		{filter.Filter{Types: []string{"order.filled", ""}}, "types.1", "empty"},
		{filter.Filter{Types: []string{"*"}}, "types.0", "wildcard"},
		{filter.Filter{Types: []string{".*"}}, "types.0", "wildcard"},
		{filter.Filter{Types: []string{"order.*_rejected"}}, "types.0", "wildcard"},
		{filter.Filter{Accounts: []string{strings.Repeat("x", 257)}}, "accounts.0", "256 bytes"},
		{filter.Filter{Orders: many}, "orders", "more than 1000"},
		{filter.Filter{EntityType: strings.Repeat("x", 129)}, "entity_type", "128 bytes"},
		{filter.Filter{EntityID: strings.Repeat("x", 257)}, "entity_id", "256 bytes"},
		{filter.Filter{After: at, Before: at}, "after", "earlier than before"},
		{filter.Filter{Expression: "price >"}, "expression", "(1:7)"},
		{filter.Filter{Expression: "true ||\n  )"}, "expression", "(2:3)"},
		{filter.Filter{Expression: " "}, "expression", "unexpected token EOF"},
		{filter.Filter{Expression: "price + 1"}, "expression", "must be true or false (1:7)"},
		{filter.Filter{Expression: `"x"`}, "expression", "must be true or false (1:1)"},
		{filter.Filter{Expression: `hidden && 5`}, "expression", "must be true or false (1:11)"},
		{filter.Filter{Expression: `!(1 + 1)`}, "expression", "must be true or false"},
		{filter.Filter{Expression: `occurred_at > "yesterday"`}, "expression", `"yesterday" is not an RFC 3339 time or date (1:15)`},
		{filter.Filter{Expression: `occurred_at > date("yesterday")`}, "expression", "(1:20)"},
		{filter.Filter{Expression: `x > duration("1 day")`}, "expression", "(1:14)"},
		{filter.Filter{Expression: `position > "x"`}, "expression", "(1:12)"},
		{filter.Filter{Expression: `x > 1e99`}, "expression", "more than 38 digits (1:5)"},
		{filter.Filter{Expression: `x > 9223372036854775808`}, "expression", "out of range"},
		{filter.Filter{Expression: `x > 1.0000000000000000001`}, "expression", "more than 18 digits after the point"},
		{filter.Filter{Expression: `venue matches "("`}, "expression", "missing closing ): `(` (1:15)"},
		{filter.Filter{Expression: `venue matches ticker`}, "expression", "in quotes (1:15)"},
		{filter.Filter{Expression: `venue matches "(?=x)"`}, "expression", "invalid"},
		{filter.Filter{Expression: "\xff"}, "expression", "UTF-8"},
		{filter.Filter{Expression: `lower() == 1`}, "expression", "1 argument"},
		{filter.Filter{Expression: `lower(1, 2) == 1`}, "expression", "1 argument"},
		{filter.Filter{Expression: `any(legs)`}, "expression", "(1:9)"},
		{filter.Filter{Expression: `count(legs) > 1`}, "expression", "a list and a condition"},
		{filter.Filter{Expression: `equal(1, 1)`}, "expression", "unknown function equal"},
		{filter.Filter{Expression: `ticker.lower() == "x"`}, "expression", "no methods"},
	} {
		m, err := tt.filter.Compile()
		require.Nil(t, m)
		require.Error(t, err)
		e, ok := err.(*domain.Error) //nolint:errorlint // the very type is the promise here
		require.True(t, ok, err)
		assert.Equal(t, domain.ClassRejected, e.Class)
		assert.Equal(t, tt.field, e.Field)
		assert.Contains(t, e.Message, tt.text, "%q", tt.filter.Expression)
		assert.NotContains(t, e.Message, "\n")
	}
}

// What can't be repeated tomorrow, has no bound, or computes with floats.
func TestCompile_LeavesOut(t *testing.T) {
	for _, expression := range []string{
		`now() > occurred_at`, `timezone("UTC") == nil`, `1..1e9 == nil`, `any(1..1000000000, # > 5)`, `2 ** 1000 > 1`, `2 ^ 9 > 1`,
		`repeat("x", 1000000) == ""`, `reduce(legs, #acc + .price) > 1`, `groupBy(legs, .price) == nil`, `sortBy(legs, .price) == nil`,
		`fromJSON("[]") == nil`, `toJSON(data) == ""`, `toBase64(raw) == ""`, `float(price) > 1.5`, `int(price) > 1`, `mean(1, 2) > 1`, `median(1, 2) > 1`,
		`$env.price > 5`, `$env == nil`, `let x = 1; x > 0`, `true; true`, `if true { true } else { false }`, `{"a": 1}.a == 1`, `ticker[0:2] == "AA"`,
		`get(data, "x") == 1`, `keys(data) == nil`, `type(price) == "string"`, `flatten(legs) == nil`, `replace("a", "b", "c") == ""`, `b"x" == "x"`,
		`::lower == 1`, `#acc > 1`, `any(legs, #acc > 1)`, `price.String() == "x"`, `unknown(price)`, `uniq(tags) == nil`, `bitand(1, 2) > 0`,
	} {
		_, err := filter.Filter{Expression: expression}.Compile()
		assert.Error(t, err, expression)
	}
}

func TestCompile_HostileExpressionsEndSoon(t *testing.T) {
	const limit = filter.MaxExpressionBytes
	nest := func(open, middle, end string) string {
		n := (limit - len(middle)) / (len(open) + len(end))
		return strings.Repeat(open, n) + middle + strings.Repeat(end, n)
	}
	fill := func(unit, end string) string { return strings.Repeat(unit, (limit-len(end))/len(unit)) + end }
	for name, expression := range map[string]string{
		"parentheses":       nest("(", "true", ")"),
		"negations":         fill("!", "true"),
		"minus":             fill("-", "1"),
		"lists":             nest("[", "1", "]"),
		"members":           fill("a.", "a"),
		"indices":           nest("a[", "1", "]"),
		"shared operands":   nest("a<(", "a", ")<a"),
		"shared conditions": nest("(", "x", "?:y)"),
		"choices":           nest("a?", "a", ":a"),
		"coalescence":       fill("a??", "a"),
		"calls":             nest("lower(", "a", ")"),
		"sums":              fill("a+", "a"),
		"powers":            fill("2**", "2"),
		"loops":             nest("any(a,", "true", ")"),
		"maps":              nest("map(a,", "#", ")") + "[0]",
		"filters":           nest("filter(", "a", ",true)"),
		"conjunctions":      fill("a&&", "a"),
		"long name":         fill("a", ""),
		"long number":       fill("1", ""),
		"long fraction":     "0." + fill("1", "")[2:],
		"long text":         `"` + fill("a", "")[2:] + `"`,
		"pipes":             fill("a|lower()|", "lower()"),
		"too long":          strings.Repeat("a", limit+1),
		"huge regex":        fmt.Sprintf("a matches %q", strings.Repeat("a{1000}", 500)),
		"nested regex":      `a matches "((a{30}){30}){30}"`,
		"wide regex":        fmt.Sprintf("a matches %q", strings.Repeat(`\pL`, 1000)),
		"deep regex":        fmt.Sprintf("a matches %q", strings.Repeat("(", 1500)+strings.Repeat(")", 1500)),
		"alternatives":      fmt.Sprintf("a matches %q", strings.Repeat("(a|b|c|d)*", 300)),
	} {
		start := time.Now()
		m, err := filter.Filter{Expression: expression}.Compile()
		if err == nil {
			_, err = m.Match(sample(t))
			require.NoError(t, err, name)
		} else {
			assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), name)
			assert.Less(t, len(err.Error()), 600, name)
		}
		t.Logf("%-18s %v", name, time.Since(start).Round(time.Millisecond))
	}
}

func TestMatch_HostileWorkIsBounded(t *testing.T) {
	var items, objects strings.Builder
	for i := range 60_000 {
		if i > 0 {
			items.WriteByte(',')
		}
		items.WriteByte('1')
	}
	for i := range 20_000 {
		fmt.Fprintf(&objects, `{"a":%d},`, i%10)
	}
	text := strings.Repeat("a", 100_000)
	e := domain.Located{Event: &domain.Event{Type: "x", Data: fmt.Appendf(nil,
		`{"l":[%s],"o":[%s{}],"t":"%s","u":"%sb"}`, items.String(), objects.String(), text, text[:len(text)-1])}}
	require.True(t, e.Data.IsValid())
	for _, expression := range []string{
		`any(l, any(l, # == 2))`,
		`any(l, any(l, any(l, # == 2)))`,
		`any(map(l, map(l, #)), false)`,
		`len(map(l, filter(l, true))) == 1`,
		`any(l, t == u)`,
		`any(l, data.u == "x")`,
		`any(l, l[0] == 2)`,
		`any(o, lower(t) == "x")`,
		`any(o, t matches "(a|b)*c")`,
		`any(l, t contains "b")`,
		`any(l, len(split(t, "")) == 1)`,
		`any(o, .a + 5 in l)`,
		`any(l, sum(l) == 1)`,
		`any(split(t, ""), any(split(t, ""), false))`,
	} {
		m := compile(t, filter.Filter{Expression: expression})
		start := time.Now()
		ok, err := m.Match(e)
		took := time.Since(start)
		require.NoError(t, err)
		assert.False(t, ok)
		n, first := m.Errors()
		assert.Equal(t, 1, n, expression)
		if first != nil {
			assert.Regexp(t, "too much work|memory budget", first.Error(), expression)
		}
		t.Logf("%-45s %v", expression, took.Round(time.Millisecond))
	}
	for _, expression := range []string{
		`all(l, # == 1)`, `count(o, .a > 5) > 100`, `sum(l) == 60000`, `lower(t) contains "aa"`, `t matches "^a+$"`, `any(o, .a == 9 && t != u)`,
	} {
		m := compile(t, filter.Filter{Expression: expression})
		ok, err := m.Match(e)
		require.NoError(t, err)
		_, first := m.Errors()
		require.NoError(t, first, expression)
		assert.True(t, ok, expression)
	}
}

func TestMatch_Concurrently(t *testing.T) {
	e, other := sample(t), located(t, `{"event_type":"order.filled","timestamp":1,"order_id":"2","venue":"NYSE","slippage_bps":9}`)
	m := compile(t, filter.Filter{Types: []string{"order.*"}, Expression: `slippage_bps > 5 && venue == "NASDAQ" && any(legs, .price matches "^2") || venue > 5`})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				ok, err := m.Match(e)
				assert.True(t, ok && err == nil, err)
				ok, err = m.Without(filter.Types).Match(other)
				assert.True(t, !ok && err == nil, err)
				n, _ := m.Errors()
				assert.LessOrEqual(t, n, 1600)
			}
		})
	}
	group.Wait()
	n, first := m.Errors()
	assert.Equal(t, 1600, n)
	assert.Error(t, first)
}

func FuzzCompile(f *testing.F) {
	for _, tt := range expressions {
		f.Add(tt.expression)
	}
	for _, expression := range []string{`a<(a<(a<b)<c)<d`, `1..9`, `$env`, `let x=1;x`, `a?.[0]?.b`, `#`, `.a`, `any(a,#.b)`, `"\u00`, "`x`", `0x`, `1e`, `::any(a,b)`, `a|b`, `not`, `a not`} {
		f.Add(expression)
	}
	e := sample(f)
	f.Fuzz(func(t *testing.T, expression string) {
		m, err := filter.Filter{Expression: expression}.Compile()
		if err != nil {
			require.Nil(t, m)
			require.Equal(t, domain.ClassRejected, domain.ClassOf(err))
			require.NotContains(t, err.Error(), "can't be compiled", "a panic of the parser or the compiler")
			return
		}
		first, err := m.Match(e)
		require.NoError(t, err)
		again, err := m.Match(e)
		require.NoError(t, err)
		require.Equal(t, first, again)
	})
}
