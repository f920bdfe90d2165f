package rules_test

import (
	"cmp"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
)

func TestLoad_NamesLineRuleAndField(t *testing.T) {
	own := "rules:\n- id: big\n  explanation: big\n  when: "
	for name, c := range map[string]struct{ text, want string }{
		"not YAML":                {"rules: [", "not YAML"},
		"no mapping":              {"- a", "line 1: must be a mapping"},
		"unknown section":         {"rule: []", `line 1: unknown field "rule"; known are thresholds, rules, owners`},
		"unknown rule":            {"thresholds:\n  slipage: {limit: 1}", "line 2, rule slipage: no rule of this name"},
		"unknown threshold":       {"thresholds:\n  slippage: {max: 1}", `line 2, rule slippage: unknown field "max"; known are severity, enabled, limit`},
		"bad fraction":            {"thresholds:\n  slippage:\n    limit: much", `line 3, rule slippage, limit: limit is "much", which is no decimal`},
		"below zero":              {"thresholds:\n  slippage:\n    limit: -1", "line 3, rule slippage, limit"},
		"bad duration":            {"thresholds: {latency-risk: {limit: 5}}", `line 1, rule latency-risk, limit: limit is "5", which is no duration`},
		"bad count":               {"thresholds: {layering: {orders: 0}}", "rule layering, orders"},
		"bad time":                {"thresholds: {marking-the-close: {close: 4pm}}", "rule marking-the-close, close"},
		"bad zone":                {"thresholds: {marking-the-close: {zone: Local}}", "rule marking-the-close, zone"},
		"bad severity":            {"thresholds: {slippage: {severity: bad}}", `severity: "bad" is none of`},
		"bad switch":              {"thresholds: {slippage: {enabled: maybe}}", "neither true nor false"},
		"more than is remembered": {"thresholds: {layering: {orders: 33}}", `rule layering, orders: orders is "33"; more than 32 is not remembered`},
		"longer than remembered":  {"thresholds: {wash-trade: {within: 1h}}", `rule wash-trade, within: within is "1h"; more than 5m0s`},
		"a second document":       {"---\nowners: {a: [b]}\n---\nrules: [{id: x, nonsense: y}]\n", "more than one YAML document"},
		"rubbish after the end":   {"thresholds: {slippage: {limit: 20bps}}\n...\nrubbish: [\n", "more than one YAML document"},
		"twice":                   {"thresholds:\n  slippage: {limit: 1}\n  slippage: {limit: 2}", "line 3, thresholds"},
		"alias":                   {"owners:\n  a: &x [b]\n  c: *x", "line 3"},
		"account of two":          {"owners: {a: [x], b: [x]}", `account "x" is a's already`},
		"no id":                   {"rules:\n- when: true\n  explanation: x", "line 2, id"},
		"taken id":                {"rules:\n- id: slippage\n  when: true\n  explanation: x", "line 2, rule slippage, id: there is a rule"},
		"no explanation":          {"rules:\n- id: big\n  when: true", "line 2, rule big, explanation: missing"},
		"does not compile":        {own + "price >", "line 4, rule big, when: "},
		"unknown function":        {own + "now() > 5", "unknown function now"},
		"divides by zero":         {own + "1 / 0 > 5", "line 4, rule big, when: makes no sense where all fields are missing: division by zero"},
		"loops":                   {own + "any(a, any(b, any(c, any(d, true))))", "line 4, rule big, when: more than 3 loops"},
		"too long":                {own + "venue == " + strings.Repeat("x", 5000), "line 4, rule big, when: longer than"},
		"bad placeholder":         {"rules:\n- id: big\n  when: true\n  explanation: '{1 + 2}'", "line 4, rule big, explanation: {1 + 2} is no path"},
		"bad value":               {own + "true\n  value: price * 2", "line 5, rule big, value"},
		"bad own threshold":       {own + "true\n  threshold: {x: lots}", "rule big, threshold.x"},
		"bad version":             {own + "true\n  version: 0", "rule big, version"},
		"bad once":                {own + "true\n  once: day", "rule big, once"},
		"bad types":               {own + "true\n  types: ['*.filled']", "rule big, types"},
		"unknown own field":       {own + "true\n  colour: red", `unknown field "colour"`},
		"larger than can be":      {strings.Repeat("#", rules.MaxFileBytes+1), "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rules.Load([]byte(c.text))
			require.ErrorContains(t, err, c.want)
			assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
		})
	}
}

func TestLoad_OwnRules(t *testing.T) {
	set := load(t, `
rules:
  - id: big-fill
    version: 2
    kind: size
    severity: high
    types: [order.filled, order.partially_filled]
    when: fill_quantity * fill_price > threshold.worth
    threshold: {worth: 1000}
    value: fill_price
    limit: threshold.worth
    explanation: "{fill_quantity} {ticker} at {fill_price} {nothing}; {limit} {unit}"
  - {id: slow, when: order.latency_fill > duration("1s"), once: order, explanation: "{order.latency_fill} for {order.id}"}
  - {id: broken, when: venue > 5, explanation: never}
  - {id: sleeping, when: "true", enabled: false, explanation: never}
`)
	engine := set.Engine()
	found := observe(engine, recordedAs(tale{
		submitted(0, ``), fill(ms(1500), 10, "100"), fill(ms(1600), 10, "100.01"), fill(ms(1700), 5, "1", said(`"venue":"NASDAQ","order":{"latency_fill":"0s"}`)),
	}))
	big := ofRule("big-fill", found)
	require.Len(t, big, 1)
	assert.Equal(t, "10 MSFT at 100.01 unknown; 1000 amount", big[0].Explanation)
	assert.Equal(t, rules.Finding{
		ID: big[0].ID, Rule: "big-fill", Version: 2, Kind: "size", Severity: rules.High, Explanation: big[0].Explanation, Evidence: []string{"e2"},
		Order: "o1", Account: "a1", Strategy: "s1", Ticker: "MSFT", At: morning.Add(ms(1600)), Value: "100.01", Limit: "1000", Unit: "amount",
	}, big[0])
	slow := ofRule("slow", found)
	require.Len(t, slow, 1, "once")
	assert.Equal(t, "1.5s for o1", slow[0].Explanation)
	assert.Empty(t, ofRule("sleeping", found))
	assert.Equal(t, map[string]int64{"broken": 1}, engine.Stats().Uncomputable)
}

func TestSet_Hash(t *testing.T) {
	base := rules.Default().Hash()
	assert.Equal(t, base, load(t, "").Hash())
	seen := map[string]string{"": base}
	for _, text := range []string{
		"thresholds: {slippage: {limit: 0.006}}", "thresholds: {slippage: {enabled: false}}", "owners: {a: [b]}",
		"rules: [{id: x, when: a > 1, explanation: x}]", "rules: [{id: x, when: a > 2, explanation: x}]",
		"rules: [{id: x, when: a > 2, explanation: x, once: order}]", "rules: [{id: x, when: a > 2, explanation: x, value: a}]",
	} {
		hash := load(t, text).Hash()
		for other, h := range seen {
			assert.NotEqual(t, h, hash, "%s and %s", other, text)
		}
		seen[text] = hash
	}
}

// The ids of findings are stored: this one must never change.
const frozenID = "8a9d9634-d442-52da-89ce-d21aae249404"

func TestFinding_IDIsFrozen(t *testing.T) {
	found := ofRule("order-rejected", observe(rules.Default().Engine(), recordedAs(tale{of(domain.OrderRejected, 0, ``)})))
	require.Len(t, found, 1)
	assert.Equal(t, frozenID, found[0].ID)
}

// docs/rules.md says of each rule what the rule says of itself.
func TestRules_AreDescribed(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.md")
	require.NoError(t, err)
	for _, r := range rules.Default().Rules() {
		for _, want := range []string{"**`" + r.ID + "`** (" + string(r.Severity) + ", kind `" + r.Kind + "`)", "- Says: " + r.Says, "- Judges " + r.Judges + ".", r.Blind} {
			assert.Contains(t, string(text), want, r.ID)
		}
		for _, threshold := range r.Thresholds {
			assert.Contains(t, string(text), "- `"+threshold.Name+"` = "+cmp.Or(threshold.Value, "not set")+" ("+string(threshold.Unit)+")", r.ID)
		}
	}
}
