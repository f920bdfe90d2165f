package rules_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
)

// A field of the source that is named as an order or a threshold decides nothing and
// explains nothing.
func TestOwnRule_TheSourceCantPose(t *testing.T) {
	set := load(t, `
rules:
  - id: big
    when: order.cum_notional > threshold.n
    threshold: {n: 1000}
    value: order.cum_notional
    limit: threshold.n
    explanation: "{order.cum_notional} of {threshold.n}, {note}"
`)
	for name, posed := range map[string]string{
		"as they are": `"order":{"cum_notional":"999999"},"threshold":{"n":"1"}`,
		"escaped":     `"\u006frder":{"cum_notional":"999999"},"t\u0068reshold":{"n":"1"}`,
	} {
		t.Run(name, func(t *testing.T) {
			found := observe(set.Engine(), recordedAs(tale{
				before(domain.UserAction, 0, posed), submitted(0, ``), fill(ms(1), 1, "20", said(posed)),
				fill(ms(2), 100, "20", said(posed+`,"note":"a \"word\""`)),
			}))
			found = ofRule("big", found)
			require.Len(t, found, 1)
			assert.Equal(t, `2020 of 1000, a "word"`, found[0].Explanation)
			assert.Equal(t, "2020", found[0].Value)
			assert.Equal(t, "1000", found[0].Limit)
		})
	}
}

// However long the texts of a source are, what is kept of them is short.
func TestEngine_KeepsNoLongTexts(t *testing.T) {
	long := strings.Repeat("k", 400_000)
	var before, after runtime.MemStats
	engine := rules.Default().Engine()
	runtime.GC()
	runtime.ReadMemStats(&before)
	const orders = 100
	for i := range orders {
		o := order(fmt.Sprint("o", i))
		observe(engine, recordedAs(tale{
			submitted(ms(i), `,"order_type":"`+long+`"`, o, id(fmt.Sprint("s", i))),
			of(domain.OrderReplaced, ms(i), `"orig_client_order_id":"`+long+`"`, o, id(fmt.Sprint("r", i))),
			fill(ms(i), 10, "1", o, said(`"exec_id":"`+long+`"`), id(fmt.Sprint("f", i))),
			of(domain.TradeBusted, ms(i), `"exec_ref_id":"`+long+`"`, o, id(fmt.Sprint("b", i))),
		}))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(orders*len(long)/4))
	saved, err := engine.Snapshot()
	require.NoError(t, err)
	assert.Less(t, len(saved), 4*len(long))
	runtime.KeepAlive(engine)
}

func TestRules_LongIdsAreTheSameIds(t *testing.T) {
	long := strings.Repeat("x", 300)
	tell(t, map[string]story{
		"told twice": {
			log: tale{submitted(0, ``), fill(ms(1), 60, "1", said(`"exec_id":"`+long+`"`)), fill(ms(2), 60, "1", said(`"exec_id":"`+long+`"`)), later()},
		},
		"two": {
			log:  tale{submitted(0, ``), fill(ms(1), 60, "1", said(`"exec_id":"`+long+`1"`)), fill(ms(2), 60, "1", said(`"exec_id":"`+long+`2"`)), later()},
			want: []string{"overfilled"},
		},
		"a bust of it": {
			log: tale{submitted(0, ``), fill(ms(1), 60, "1", said(`"exec_id":"`+long+`"`)), of(domain.TradeBusted, ms(2), `"exec_ref_id":"`+long+`"`), later()},
		},
	})
}

func TestFinding_ExplanationsFitIntoEvents(t *testing.T) {
	found := observe(rules.Default().Engine(), recordedAs(tale{of(domain.OrderRejected, 0, `"reason":"`+strings.Repeat("too late ", 50_000)+`"`)}))
	require.Len(t, found, 1)
	assert.Less(t, len(found[0].Explanation), 400)
	assert.Contains(t, found[0].Explanation, "too late")
}

func TestSnapshot_OfTextsThatAreNoUTF8(t *testing.T) {
	engine := rules.Default().Engine()
	observe(engine, recordedAs(tale{
		submitted(0, ``), fill(ms(1), 10, "1", said("\"exec_id\":\"x\xff\"")),
		of(domain.TradeBusted, ms(2), "\"exec_ref_id\":\"y\xff\\n\""),
	}))
	saved, err := engine.Snapshot()
	require.NoError(t, err)
	_, err = rules.Default().Resume(saved)
	assert.NoError(t, err)
}
