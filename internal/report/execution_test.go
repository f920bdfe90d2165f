package report_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/report"
)

func amendment(kind domain.EventType, id, data string) *domain.Event {
	e := fill(id, data)
	e.Type = kind
	return e
}

// What is busted, corrected, or told by two witnesses is in the sums as it was at last,
// once.
func TestExecutions_CountedOnce(t *testing.T) {
	const first = `{"exec_id":"1","fill_quantity":"10","fill_price":"5","commission":"1","slippage_bps":"4"}`
	const second = `{"exec_id":"2","fill_quantity":"3","fill_price":"100"}`
	for name, c := range map[string]struct {
		events []*domain.Event
		want   map[string]string
	}{
		"two witnesses": {
			[]*domain.Event{fill("a", first), fill("b", first)},
			map[string]string{"executions": "1", "quantity": "10", "value": "50", "commission": "1", "slippage_fills": "1", "executions_told_again": "1"},
		},
		"of another order": {
			[]*domain.Event{fill("a", first), fill("b", first, func(e *domain.Event) { e.OrderID = "O-2" })},
			map[string]string{"executions": "2", "value": "100", "executions_told_again": "0"},
		},
		"without an id": {
			[]*domain.Event{fill("a", `{"fill_quantity":"1"}`), fill("b", `{"fill_quantity":"1"}`)},
			map[string]string{"executions": "2", "quantity": "2"},
		},
		"busted, by two witnesses": {
			[]*domain.Event{
				fill("a", first), fill("b", second), amendment(domain.TradeBusted, "c", `{"exec_id":"3","exec_ref_id":"1"}`),
				amendment(domain.TradeBusted, "d", `{"exec_id":"3","exec_ref_id":"1"}`), fill("e", first),
			},
			map[string]string{"executions": "1", "quantity": "3", "value": "300", "commission": "0", "slippage_fills": "0", "slippage_bps": "not recorded", "executions_busted": "1", "amended_elsewhere": "0"},
		},
		"busted before it is told": {
			[]*domain.Event{amendment(domain.TradeBusted, "c", `{"exec_id":"3","exec_ref_id":"1"}`), fill("a", first)},
			map[string]string{"executions": "0", "value": "0", "executions_busted": "1", "amended_elsewhere": "0"},
		},
		"corrected, twice, by two witnesses": {
			[]*domain.Event{
				fill("a", first), amendment(domain.TradeCorrected, "b", `{"exec_id":"3","exec_ref_id":"1","last_quantity":"8","last_price":"5"}`),
				amendment(domain.TradeCorrected, "c", `{"exec_id":"3","exec_ref_id":"1","last_quantity":"8","last_price":"5"}`),
				amendment(domain.TradeCorrected, "d", `{"exec_id":"4","exec_ref_id":"3","last_quantity":"8","last_price":"6"}`),
			},
			map[string]string{"executions": "1", "quantity": "8", "value": "48", "commission": "1", "executions_corrected": "2", "executions_told_again": "1"},
		},
		"busted after a correction": {
			[]*domain.Event{
				fill("a", first), amendment(domain.TradeCorrected, "b", `{"exec_id":"3","exec_ref_id":"1","last_quantity":"8","last_price":"5"}`),
				amendment(domain.TradeBusted, "c", `{"exec_id":"5","exec_ref_id":"3"}`),
			},
			map[string]string{"executions": "0", "quantity": "0", "value": "0"},
		},
		"of another window": {
			[]*domain.Event{amendment(domain.TradeCorrected, "b", `{"exec_id":"3","exec_ref_id":"1","last_quantity":"8","last_price":"5"}`)},
			map[string]string{"executions": "0", "value": "0", "amended_elsewhere": "1"},
		},
		"currencies": {
			[]*domain.Event{
				fill("a", `{"fill_quantity":"1","fill_price":"2","commission":"0.5","currency":"USD"}`), fill("b", `{"fill_quantity":"1","fill_price":"300","currency":"JPY"}`),
				fill("c", `{"fill_quantity":"1","fill_price":"7","currency":"USD"}`), fill("d", `{"fill_quantity":"1","fill_price":"1"}`),
			},
			map[string]string{"executions": "4", "value": "1, 300 JPY, 9 USD", "commission": "0, 0 JPY, 0.5 USD"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newMemory(c.events...)
			for _, r := range []report.Request{{Kind: report.Account, ID: "ACC"}, {Kind: report.Daily, Day: "2026-03-03"}} {
				facts := factsOf(t, v, r)
				for key, want := range c.want {
					assert.Equal(t, want, facts[key], "%s of %s", key, r.Kind)
				}
			}
		})
	}
}

// Fills that name only their order are their order's strategy's, and so is their bust.
func TestDaily_StrategyOfTheOrder(t *testing.T) {
	submitted := fill("a", `{}`, func(e *domain.Event) { e.Type, e.StrategyID = domain.OrderSubmitted, "momentum" })
	rows := tableOf(t, newMemory(
		submitted, fill("b", `{"exec_id":"1","fill_quantity":"1","fill_price":"5"}`), fill("c", `{"exec_id":"2","fill_quantity":"1","fill_price":"7"}`),
		amendment(domain.TradeBusted, "d", `{"exec_id":"3","exec_ref_id":"1"}`),
	), report.Request{Kind: report.Daily, Day: "2026-03-03"}, "strategies")
	assert.Len(t, rows, 1)
	assert.Equal(t, "momentum", rows[0].Cells["strategy_id"])
	assert.Equal(t, "1", rows[0].Cells["executions"])
	assert.Equal(t, "7", rows[0].Cells["value"])
}

// Types that somebody invents are bounded, and hide none of the known.
func TestDaily_TypesAreBounded(t *testing.T) {
	var events []*domain.Event
	for i := range 1500 {
		events = append(events, &domain.Event{ID: fmt.Sprint(i), Type: domain.EventType(fmt.Sprintf("strange.%d", i)), OccurredAt: created(), AccountID: "ACC"})
	}
	v := newMemory(append(events, fill("a", `{}`), fill("b", `{}`, func(e *domain.Event) { e.Type = domain.OrderSubmitted }))...)
	r := report.Request{Kind: report.Daily, Day: "2026-03-03"}
	assert.Len(t, tableOf(t, v, r, "types"), 1001)
	facts := factsOf(t, v, r)
	assert.Equal(t, "1", facts["orders_submitted"])
	assert.Equal(t, "1", facts["executions"])
}

// Nothing was held before a position was opened, and nothing after it was closed.
func TestPositions_OpenedAndClosed(t *testing.T) {
	position := func(kind domain.EventType, data string) *domain.Event {
		return &domain.Event{ID: string(kind) + data, Type: kind, OccurredAt: created().Add(time.Second), AccountID: "ACC", Data: []byte(data)}
	}
	facts := factsOf(t, newMemory(
		position(domain.PositionOpened, `{"current":{"shares":"10"}}`), position(domain.PositionClosed, `{"previous":{"shares":"10"}}`),
		position(domain.PositionOpened, `{"quantity_after":"-3"}`), position(domain.PositionOpened, `{}`), position(domain.PositionClosed, `{}`), position(domain.PositionUpdated, `{"current":{"shares":"10"}}`),
	), report.Request{Kind: report.Account, ID: "ACC"})
	assert.Equal(t, "1", facts["long_increased"])
	assert.Equal(t, "1", facts["long_decreased"])
	assert.Equal(t, "1", facts["short_increased"])
	assert.Equal(t, "3", facts["positions_unclear"])
}
