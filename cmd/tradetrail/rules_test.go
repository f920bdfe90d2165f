package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func rulesFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestRules_ListShowCheck(t *testing.T) {
	code, list, stderr := tradetrail("", "rules", "list")
	require.Zero(t, code, stderr)
	assert.Contains(t, list, "slippage")
	assert.Contains(t, list, "(off)")
	code, shown, stderr := tradetrail("", "rules", "show", "slippage")
	require.Zero(t, code, stderr)
	assert.Contains(t, shown, "0.005 (fraction)")
	code, _, stderr = tradetrail("", "rules", "show", "nothing")
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "there is no rule nothing")

	good := rulesFile(t, "thresholds: {slippage: {limit: 20bps}}\nrules: [{id: big, when: fill_quantity > 1000, explanation: big}]")
	code, checked, stderr := tradetrail("", "rules", "check", good)
	require.Zero(t, code, stderr)
	assert.Contains(t, checked, "1 of your own")
	code, _, stderr = tradetrail("", "rules", "check", rulesFile(t, "rules:\n- id: big\n  when: fill_quantity >\n  explanation: big"))
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "line 3, rule big, when: ")
	code, _, stderr = tradetrail("", "rules", "test", "--examples", "101", good)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, stderr, "from 0 to 100")
	code, _, _ = tradetrail("", "rules", "list", "--format", "csv")
	assert.Equal(t, exitUsage, code)
	code, _, stderr = tradetrail("", "rules", "test", "none.yaml")
	assert.Equal(t, exitError, code)
	assert.Contains(t, stderr, "opening the rules")
}

// The time machine: a day is judged by other thresholds, and nothing is written.
func TestRules_Test(t *testing.T) {
	server := startServer(t, t.TempDir(), "")
	day, err := simulatedDay()
	require.NoError(t, err)
	record := func(lines string) {
		code, _, stderr := tradetrail(lines, "record", "--server", server.URL)
		require.Zero(t, code, stderr)
		server.caughtUp()
	}
	record(day[0] + day[1])
	changed := rulesFile(t, "thresholds: {risk-block: {enabled: false}, slippage: {limit: 1bps}}\n"+
		"rules: [{id: any-fill, types: [order.filled], when: fill_quantity > 0, explanation: 'Filled {fill_quantity} of {ticker}.'}]")
	try := func(args ...string) (o outcome) {
		t.Helper()
		code, stdout, stderr := tradetrail("", append([]string{"rules", "test", "--server", server.URL, "--format", "json"}, args...)...)
		require.Zero(t, code, stderr)
		require.NoError(t, json.Unmarshal([]byte(stdout), &o))
		return o
	}
	counts := func(o outcome, rule string) [3]int {
		for _, d := range o.Rules {
			if d.Rule == rule {
				return [3]int{d.New, d.Vanished, d.Unchanged}
			}
		}
		return [3]int{}
	}

	same := try(rulesFile(t, ""))
	assert.Positive(t, same.Events)
	assert.Zero(t, same.Waiting, "the log's end is the end")
	assert.Positive(t, try(rulesFile(t, ""), "--to", "2100-01-01").Waiting)
	require.NotEmpty(t, same.Rules)
	for _, d := range same.Rules {
		assert.Zero(t, d.New+d.Vanished, d.Rule)
	}
	other := try(changed)
	assert.Equal(t, same.Events, other.Events)
	blocks, fills, slips := counts(other, "risk-block"), counts(other, "any-fill"), counts(other, "slippage")
	assert.Positive(t, blocks[1])
	assert.Equal(t, counts(same, "risk-block")[2], blocks[1], "all of them vanish")
	assert.Positive(t, fills[0])
	assert.Positive(t, slips[0])
	assert.Equal(t, counts(same, "slippage")[2], slips[2], "what was found is found again")
	assert.NotEmpty(t, other.New)
	assert.Len(t, other.Vanished, min(3, blocks[1]))
	assert.Zero(t, try(changed, "--to", "2020-01-01").Events)

	// What was recorded is another thing to hold the rules against.
	found := same.Rules[0]
	none := try(rulesFile(t, ""), "--against", "recorded")
	assert.Equal(t, [3]int{found.Unchanged, 0, 0}, counts(none, found.Rule))
	example := none.New[0]
	record(`{"event_type":"anomaly.detected","occurred_at":"` + example.At.Format("2006-01-02T15:04:05.999999999Z07:00") + `","entity_type":"anomaly","entity_id":"` + example.ID +
		`","data":{"kind":"x","rule":"` + example.Rule + `","severity":"low"}}`)
	some := try(rulesFile(t, ""), "--against", "recorded")
	assert.Equal(t, [3]int{found.Unchanged - 1, 0, 1}, counts(some, example.Rule))

	code, table, stderr := tradetrail("", "rules", "test", "--server", server.URL, changed)
	require.Zero(t, code, stderr)
	assert.Contains(t, table, "any-fill")
	assert.Contains(t, table, "vanished, for example:")
}
