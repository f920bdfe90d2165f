package scalar_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/graph/scalar"
)

func text(m graphql.Marshaler) string {
	var out strings.Builder
	m.MarshalGQL(&out)
	return out.String()
}

func TestDuration_IsISO8601(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "PT0S", 1: "PT0.000000001S", 1500 * time.Millisecond: "PT1.5S", 26 * time.Hour: "PT93600S",
		-time.Millisecond: "-PT0.001S", math.MaxInt64: "PT9223372036.854775807S", math.MinInt64: "-PT9223372036.854775808S",
	} {
		assert.Equal(t, `"`+want+`"`, text(scalar.MarshalDuration(d)))
	}
}

func TestDuration_ReadsWhatItWrites(t *testing.T) {
	for _, d := range []time.Duration{0, 1, time.Second, 1500 * time.Millisecond, -time.Millisecond, 26 * time.Hour} {
		got, err := scalar.UnmarshalDuration(strings.Trim(text(scalar.MarshalDuration(d)), `"`))
		require.NoError(t, err)
		assert.Equal(t, d, got)
	}
	for _, bad := range []any{"", "P", "PT", "1", "PT1", "PT1X", 5, "P1D T"} {
		_, err := scalar.UnmarshalDuration(bad)
		assert.Error(t, err, "%v", bad)
	}
}

func TestTime_KeepsNanoseconds(t *testing.T) {
	at, err := scalar.UnmarshalTime("2026-03-02T09:30:00.000000001-05:00")
	require.NoError(t, err)
	assert.Equal(t, `"2026-03-02T14:30:00.000000001Z"`, text(scalar.MarshalTime(at)))
	for _, bad := range []any{"2026-03-02T14:30:00", "", 5} {
		_, err := scalar.UnmarshalTime(bad)
		assert.Error(t, err, "%v", bad)
	}
}

func TestDecimal_RefusesFloats(t *testing.T) {
	for _, good := range []any{"412.50", json.Number("412.50")} {
		d, err := scalar.UnmarshalDecimal(good)
		require.NoError(t, err)
		assert.Equal(t, `"412.5"`, text(scalar.MarshalDecimal(d)))
	}
	for _, bad := range []any{412.5, "NaN", "1e1000000", true} {
		_, err := scalar.UnmarshalDecimal(bad)
		assert.Error(t, err, "%v", bad)
	}
}

func TestJSON_LosesNoDigit(t *testing.T) {
	value, err := scalar.UnmarshalJSON(map[string]any{"price": json.Number("412.50000000000000000001")})
	require.NoError(t, err)
	assert.Equal(t, `{"price":412.50000000000000000001}`, text(scalar.MarshalJSON(value)))
	assert.Equal(t, "null", text(scalar.MarshalJSON(nil)))
	_, err = scalar.UnmarshalJSON(map[string]any{"legs": []any{map[string]any{"price": 412.5}}})
	assert.Error(t, err)
}
