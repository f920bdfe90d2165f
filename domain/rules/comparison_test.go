package rules_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
)

func TestComparison_CountsWhatIsFoundTwiceOnce(t *testing.T) {
	c := rules.Compare()
	f := rules.Finding{ID: "a", Rule: "r"}
	c.Now(f)
	c.Now(f)
	assert.Equal(t, []rules.Difference{{Rule: "r", New: 1}}, c.Differences())
	c.Then(f)
	c.Now(f)
	c.Then(f)
	assert.Equal(t, []rules.Difference{{Rule: "r", Unchanged: 1}}, c.Differences())
	assert.Empty(t, c.New(3))
}

func TestComparison_OfTwoVersions(t *testing.T) {
	judge := func(version int) []rules.Finding {
		set := load(t, "rules: [{id: any-fill, version: "+strconv.Itoa(version)+", types: [order.partially_filled], when: fill_quantity > 0, explanation: filled}]")
		return ofRule("any-fill", observe(set.Engine(), recordedAs(tale{fill(0, 1, "1"), fill(ms(1), 1, "1")})))
	}
	c := rules.Compare()
	c.Then(judge(1)...)
	c.Now(judge(2)...)
	assert.Equal(t, []rules.Difference{{Rule: "any-fill", Unchanged: 2}}, c.Differences())
}

// Counts are exact beyond what is kept, until there is no room for them either.
func TestComparison_IsBounded(t *testing.T) {
	c := rules.Compare()
	const all = 600_000
	for i := range all {
		c.Now(rules.Finding{ID: strconv.Itoa(i), Rule: "r"})
	}
	require.Len(t, c.Differences(), 1)
	assert.Equal(t, int64(all), int64(c.Differences()[0].New)+c.Uncompared())
	assert.Positive(t, c.Uncompared())
	assert.Len(t, c.New(all), rules.MaxExamples)
}

// What is counted is the same finding whatever the threshold, though other events
// complete it then.
func TestFinding_ATallyIsOneFindingAtAnyThreshold(t *testing.T) {
	bell := 6*time.Hour + 30*time.Minute
	closing := func() (log tale) {
		for i := range 10 {
			log = append(log, fill(bell-time.Minute+ms(i), 10, strconv.Itoa(100+i), order("m"+strconv.Itoa(i)), sided("buy")))
		}
		return log
	}
	layers := with(cancelledOrders(4, 0, ms(800), ms(1), "buy")[:4], tale{fill(ms(500), 10, "412.50", order("real"), sided("sell"))}, cancelledOrders(4, 0, ms(800), ms(1), "buy")[4:])
	for rule, c := range map[string]struct {
		log             tale
		strict, lenient string
	}{
		"cancel-to-fill":    {pairs(60, 0, ms(500), time.Second), "{ratio: 9, cancels: 10}", "{ratio: 9, cancels: 40}"},
		"quote-stuffing":    {pairs(30, 0, ms(1), ms(10)), "{messages: 19}", "{messages: 49}"},
		"marking-the-close": {closing(), `{close: "16:00", trades: 3}`, `{close: "16:00", trades: 9}`},
		"layering":          {layers, "{orders: 2}", "{orders: 4}"},
	} {
		t.Run(rule, func(t *testing.T) {
			find := func(thresholds string) rules.Finding {
				found := ofRule(rule, observe(load(t, "thresholds: {"+rule+": "+thresholds+"}").Engine(), recordedAs(without(c.log))))
				require.Len(t, found, 1)
				return found[0]
			}
			one, other := find(c.strict), find(c.lenient)
			assert.NotEqual(t, one.Evidence, other.Evidence)
			assert.Equal(t, one.ID, other.ID)
			assert.NotEmpty(t, one.Subject)
		})
	}
}

func TestEngine_Finish(t *testing.T) {
	engine := rules.Default().Engine()
	found := observe(engine, recordedAs(tale{submitted(0, ``), fill(ms(1), 40, "1", said(`"cum_quantity":"50"`)), of(domain.OrderCancelled, ms(2), ``)}))
	assert.Empty(t, found)
	assert.Equal(t, 2, engine.Stats().Waiting)
	assert.Len(t, ofRule("quantity-mismatch", engine.Finish()), 1)
	assert.Zero(t, engine.Stats().Waiting)
	assert.Empty(t, engine.Finish())
}
