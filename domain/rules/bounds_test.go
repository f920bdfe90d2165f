package rules_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
)

// However many orders are open, an engine remembers so many; what it has forgotten is
// held against nobody.
func TestEngine_ForgetsInsteadOfGrowing(t *testing.T) {
	engine := rules.Default().Engine()
	const over = 1000
	var found []rules.Finding
	observeOne := func(e *domain.Event) {
		e.ID = e.OrderID + string(e.Type)
		found = append(found, engine.Observe(domain.Located{Event: e})...)
	}
	for i := range 50_000 + over {
		observeOne(submitted(ms(i), ``, order("o"+strconv.Itoa(i))))
	}
	assert.Equal(t, int64(over), engine.Stats().Forgotten)
	for i := range over {
		observeOne(fill(ms(i), 500, "1", order("o"+strconv.Itoa(i))))
	}
	assert.Empty(t, found, "more than ordered was executed of orders that are forgotten")
	observeOne(fill(ms(1), 500, "1", order("o"+strconv.Itoa(49_000+over))))
	assert.Len(t, ofRule("overfilled", found), 1)
}
