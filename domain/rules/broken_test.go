package rules_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
)

// A rule that panics is a finding and judges no more, also after a snapshot; the others
// find what they would have found without it.
func TestObserve_BrokenRule(t *testing.T) {
	set, err := rules.WithDefect("careless")
	require.NoError(t, err)
	log := day(7, 25)
	want := observe(rules.Default().Engine(), log)
	require.NotEmpty(t, want)
	engine := set.Engine()
	var got, broken []rules.Finding
	for i, l := range log {
		for _, f := range engine.Observe(l) {
			if f.Rule == "rule-broken" {
				broken = append(broken, f)
				continue
			}
			got = append(got, f)
		}
		if i%50 == 49 {
			saved, err := engine.Snapshot()
			require.NoError(t, err)
			engine, err = set.Resume(saved)
			require.NoError(t, err)
		}
	}
	assert.Equal(t, want, got)
	require.Len(t, broken, 1)
	assert.Contains(t, broken[0].Explanation, "careless")
	assert.Equal(t, rules.High, broken[0].Severity)
	assert.Len(t, broken[0].Evidence, 1)
	assert.Contains(t, engine.Stats().Broken["careless"], "out of range")
}

// An engine that panics over an event says so and goes on with the next.
func TestObserve_BrokenEngine(t *testing.T) {
	log := day(7, 5)
	engine := rules.Default().Engine()
	engine.Break()
	var said []rules.Finding
	for _, l := range log {
		if l.OrderID != "" {
			said = engine.Observe(l)
			require.Len(t, said, 1)
			assert.Equal(t, "event-not-judged", said[0].Rule)
			assert.Equal(t, []string{l.ID}, said[0].Evidence)
			break
		}
	}
	require.NotEmpty(t, said)
	assert.EqualValues(t, 1, engine.Stats().Unfit)
	engine.Repair()
	for _, l := range log {
		for _, f := range engine.Observe(l) {
			assert.NotEqual(t, "event-not-judged", f.Rule)
		}
	}
}

func TestFinding_EventAndBack(t *testing.T) {
	found := observe(load(t, strict).Engine(), day(7, 25))
	require.NotEmpty(t, found)
	for _, f := range found {
		e, err := f.Event()
		require.NoError(t, err)
		back, ok := rules.Recorded(e)
		require.True(t, ok)
		assert.Equal(t, f, back)
		assert.Equal(t, domain.FindingEventID(f.ID), e.ID)
		assert.Equal(t, f.Evidence[len(f.Evidence)-1], e.CausationID)
	}
}
