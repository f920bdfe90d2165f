package domain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
)

func TestDayOf(t *testing.T) {
	newYork := time.FixedZone("", -5*60*60)
	for want, at := range map[string]time.Time{
		"2026-03-02": morning,
		"2026-03-03": time.Date(2026, 3, 2, 20, 0, 0, 0, newYork), // still the 2nd there
		"2026-03-01": time.Date(2026, 3, 1, 23, 59, 59, 999_999_999, time.UTC),
		"0001-01-01": {},
	} {
		assert.Equal(t, want, domain.DayOf(&domain.Event{OccurredAt: at, RecordedAt: morning.AddDate(0, 0, 7)}))
	}
}

// What stands in Redis: a difference is a new format.
func TestDay_JSON(t *testing.T) {
	var d domain.Day
	assert.Equal(t, `{}`, encoded(t, d))

	at := func(e *domain.Event, hours int) *domain.Event {
		e.OccurredAt = e.OccurredAt.Add(time.Duration(hours) * time.Hour)
		return e
	}
	for _, e := range []*domain.Event{
		of(domain.OrderSubmitted, `"quantity":"100"`),
		at(of(domain.OrderPartiallyFilled, `"fill_quantity":"30","fill_price":"412.40","commission":"0.10"`), 1),
		at(of(domain.OrderFilled, `"fill_quantity":"70"`), 1), // names no price: part of quantity, not of value
		of(domain.RiskRejected, ""),
		at(of("weather.changed", ""), -14),
	} {
		d.Add(e)
	}
	want := `{"events":5,"fills":2,"quantity":"100","value":"12372","commission":"0.1",` +
		`"by_type":{"order.filled":1,"order.partially_filled":1,"order.submitted":1,"risk.rejected":1,"weather.changed":1},` +
		`"by_hour":{"0":1,"14":2,"15":2},"first_at":"2026-03-02T00:30:00Z","last_at":"2026-03-02T15:30:00Z"}`
	assert.Equal(t, want, encoded(t, d))
	assert.Equal(t, map[domain.Stage]int64{
		domain.StageOrder: 1, domain.StageExecution: 2, domain.StageRisk: 1, domain.StageOther: 1,
	}, d.ByStage())

	var again domain.Day
	require.NoError(t, json.Unmarshal([]byte(want), &again))
	again.Add(of(domain.OrderExpired, ""))
	d.Add(of(domain.OrderExpired, ""))
	assert.Equal(t, encoded(t, d), encoded(t, again), "a fold goes on where it was stored")
}

// Followers may see a day's events in any order, and stop and go on anywhere.
func TestDay_OrderDoesNotMatter(t *testing.T) {
	number := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("%d.%0*d", rapid.IntRange(-9, 9999).Draw(t, "whole"), rapid.IntRange(1, 6).Draw(t, "scale"), rapid.IntRange(0, 9).Draw(t, "digits"))
	})
	event := rapid.Custom(func(t *rapid.T) *domain.Event {
		e := of(rapid.SampledFrom(append(domain.EventTypes(), domain.OrderFilled, domain.OrderPartiallyFilled, "x.y")).Draw(t, "type"), "")
		e.OccurredAt = rapid.SampledFrom([]time.Time{{}, morning, morning.In(time.FixedZone("", 3600)), morning.Add(time.Hour + 1)}).Draw(t, "at")
		var data strings.Builder
		data.WriteString(`{"note":"x"`)
		for _, name := range []string{"quantity", "price", "commission"} {
			if rapid.Bool().Draw(t, name+"?") {
				data.WriteString(`,"` + name + `":"` + number.Draw(t, name) + `"`)
			}
		}
		e.Data = jsontext.Value(data.String() + "}")
		return e
	})
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(event, 0, 30).Draw(t, "events")
		fold := func(events []*domain.Event, storeAt int) string {
			var d domain.Day
			for i, e := range events {
				if i == storeAt {
					stored := encoded(t, d)
					d = domain.Day{}
					require.NoError(t, json.Unmarshal([]byte(stored), &d))
				}
				d.Add(e)
			}
			return encoded(t, d)
		}
		other := rapid.Permutation(events).Draw(t, "permutation")
		require.Equal(t, fold(events, -1), fold(other, rapid.IntRange(0, len(events)).Draw(t, "store at")))
	})
}

func TestTraded(t *testing.T) {
	var sums domain.Traded
	for _, data := range []string{
		`"fill_quantity":"30","fill_price":"412.40","commission":"0.10"`,
		`"fill_quantity":"70"`, `"fill_price":"9"`, ``, `"commission":"-0.25"`, // a rebate
	} {
		fill, ok := domain.FillOf(of(domain.OrderFilled, data))
		require.True(t, ok)
		sums.Add(fill)
	}
	assert.Equal(t, `{"fills":5,"quantity":"100","value":"12372","commission":"-0.15"}`, encoded(t, sums))
}

func BenchmarkDayAdd(b *testing.B) {
	e := normalise(b, string(readTestdata(b, "normalise/order_filled.json")))
	var d domain.Day
	b.ReportAllocs()
	for b.Loop() {
		d.Add(e)
	}
}
