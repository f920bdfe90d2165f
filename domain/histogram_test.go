package domain_test

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
)

func histogramOf(durations ...time.Duration) domain.Histogram {
	var h domain.Histogram
	for _, d := range durations {
		h.Add(d)
	}
	return h
}

func encoded(t require.TestingT, value any) string {
	data, err := json.Marshal(value, json.Deterministic(true))
	require.NoError(t, err)
	return string(data)
}

// What stands in Redis: a difference is a new format.
func TestHistogram_JSON(t *testing.T) {
	for _, tt := range []struct {
		name      string
		histogram domain.Histogram
		want      string
	}{
		{"empty", histogramOf(), `{}`},
		{"zero", histogramOf(0, 0), `{"n":2,"b":"0:2"}`},
		{"exact below 64", histogramOf(1, 63, 63, 64, 65), `{"n":5,"sum":"256","min":1,"max":65,"b":"1:1,63:2,64:2"}`},
		{"milliseconds", histogramOf(3*time.Millisecond, time.Second), `{"n":2,"sum":"1003000000","min":3000000,"max":1000000000,"b":"557:1,827:1"}`},
		{"disagreeing clocks", histogramOf(-1, math.MinInt64, 7), `{"n":1,"sum":"7","min":7,"max":7,"neg":2,"b":"7:1"}`},
		{"only disagreeing clocks", histogramOf(-1), `{"neg":1}`},
		{
			"more than 64 bits", histogramOf(math.MaxInt64, math.MaxInt64, math.MaxInt64),
			`{"n":3,"sum":"27670116110564327421","min":9223372036854775807,"max":9223372036854775807,"b":"1887:3"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, encoded(t, tt.histogram))
			var again domain.Histogram
			require.NoError(t, json.Unmarshal([]byte(tt.want), &again))
			assert.Equal(t, tt.histogram, again)
		})
	}
}

func TestHistogram_RefusesWhatItDidNotWrite(t *testing.T) {
	for _, text := range []string{
		`[]`, `{"n":1}`, `{"n":1,"b":"1:2"}`, `{"n":-1,"b":"1:-1"}`, `{"b":"1:0"}`, `{"n":1,"b":"x:1"}`, `{"n":1,"b":"1"}`,
		`{"n":2,"b":"2:1,1:1"}`, `{"n":2,"b":"1:1,1:1"}`, `{"n":1,"b":"1888:1"}`, `{"n":1,"b":"-1:1"}`, `{"n":1,"b":"1:1,"}`,
		`{"n":1,"sum":"-1","b":"1:1"}`, `{"n":1,"sum":"","b":"1:1"}`, `{"n":1,"sum":1,"b":"1:1"}`, `{"n":1,"sum":"+1","b":"1:1"}`,
		`{"n":1,"sum":"` + strings.Repeat("9", 40) + `","b":"1:1"}`, `{"n":1,"sum":"340282366920938463463374607431768211456","b":"1:1"}`,
		`{"n":1,"min":2,"max":1,"b":"1:1"}`, `{"n":1,"min":-1,"b":"1:1"}`, `{"neg":-1}`, `{"min":1,"max":1}`,
		`{"n":1,"sum":"1","min":1,"max":1,"b":"2:1"}`, `{"n":2,"sum":"4","min":1,"max":3,"b":"1:1,2:1"}`, `{"n":1,"sum":"2","min":1,"max":1,"b":"1:1"}`,
		`{"n":1,"sum":"340282366920938463463374607431768211455","max":1,"b":"1:1"}`, // a mean beyond all durations
		`{"n":0,"b":"1:9223372036854775807,2:9223372036854775807,3:2"}`,             // a sum that overflows to n
	} {
		var h domain.Histogram
		assert.Error(t, json.Unmarshal([]byte(text), &h), text)
	}
}

func TestHistogram_Empty(t *testing.T) {
	for _, h := range []domain.Histogram{histogramOf(), histogramOf(-5)} {
		_, ok := h.Quantile(0.5)
		assert.False(t, ok)
		_, ok = h.Mean()
		assert.False(t, ok)
	}
}

func TestNanoseconds_Seconds(t *testing.T) {
	h := histogramOf(1500*time.Millisecond, 1)
	assert.InDelta(t, 1.500000001, h.Sum.Seconds(), 1e-12)
	h = histogramOf(math.MaxInt64, math.MaxInt64, math.MaxInt64)
	assert.InEpsilon(t, 27670116110.564327421, h.Sum.Seconds(), 1e-15)
}

func TestHistogram_Quantile(t *testing.T) {
	var h domain.Histogram
	for i := range 100 {
		h.Add(time.Duration(i + 1)) // 1 to 100 ns; exact below 64
	}
	for q, want := range map[float64]time.Duration{
		math.Inf(-1): 1, -1: 1, 0: 1, 0.001: 1, 0.01: 1, 0.07: 7, 0.29: 29, 0.5: 50, 0.505: 51, 1: 100, 2: 100, math.Inf(1): 100,
	} {
		got, ok := h.Quantile(q)
		assert.True(t, ok)
		assert.Equal(t, want, got, "%v", q)
	}
	_, ok := h.Quantile(math.NaN())
	assert.False(t, ok)
}

func durations() *rapid.Generator[time.Duration] {
	// Uniform in the logarithm: most of int64 is beyond a hundred years.
	positive := rapid.Custom(func(t *rapid.T) time.Duration {
		bits := rapid.IntRange(0, 63).Draw(t, "bits")
		return time.Duration(rapid.Uint64Range(0, math.MaxInt64).Draw(t, "value") >> (63 - bits))
	})
	return rapid.OneOf(positive, positive, positive, rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(math.MinInt64, -1).Draw(t, "negative"))
	}), rapid.SampledFrom([]time.Duration{0, 31, 32, 63, 64, 127, 128, time.Second, math.MaxInt64}))
}

// The bytes in Redis depend on what was added, not on the way.
func TestHistogram_OrderAndSplitDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(durations(), 0, 60).Draw(t, "durations")
		want := encoded(t, histogramOf(all...))

		parts := make([]domain.Histogram, rapid.IntRange(1, 4).Draw(t, "parts"))
		for _, d := range rapid.Permutation(all).Draw(t, "permutation") {
			parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")].Add(d)
		}
		var merged domain.Histogram
		for _, part := range parts {
			before := encoded(t, part)
			if rapid.Bool().Draw(t, "stored") {
				stored := before
				part = domain.Histogram{}
				require.NoError(t, json.Unmarshal([]byte(stored), &part))
			}
			merged.Merge(part)
			require.Equal(t, before, encoded(t, part), "what is merged stays as it is")
		}
		require.Equal(t, want, encoded(t, merged))
	})
}

func TestHistogram_MergeTakesACopy(t *testing.T) {
	part := histogramOf(1, 2, 3)
	var merged domain.Histogram
	merged.Merge(part)
	merged.Add(2)
	part.Add(3)
	assert.Equal(t, encoded(t, histogramOf(1, 2, 2, 3)), encoded(t, merged))
	assert.Equal(t, encoded(t, histogramOf(1, 2, 3, 3)), encoded(t, part))
}

// Against exact arithmetic: count, sum, mean, extremes, and quantiles within the
// promised error.
func TestHistogram_AgainstExactArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(durations(), 1, 200).Draw(t, "durations")
		h := histogramOf(all...)
		valid := slices.DeleteFunc(slices.Clone(all), func(d time.Duration) bool { return d < 0 })
		require.Equal(t, int64(len(all)-len(valid)), h.Negative)
		require.Equal(t, int64(len(valid)), h.Count)
		if len(valid) == 0 {
			return
		}
		slices.Sort(valid)
		sum := new(big.Int)
		for _, d := range valid {
			sum.Add(sum, big.NewInt(int64(d)))
		}
		require.Equal(t, sum.String(), h.Sum.String())
		mean, ok := h.Mean()
		require.True(t, ok)
		require.Equal(t, sum.Div(sum, big.NewInt(int64(len(valid)))).Int64(), int64(mean))
		require.Equal(t, valid[0], h.Min)
		require.Equal(t, valid[len(valid)-1], h.Max)

		previous := time.Duration(0)
		for _, permille := range []int{0, 1, 10, 100, 250, 500, 750, 900, 990, 999, 1000, rapid.IntRange(0, 1000).Draw(t, "permille")} {
			exact := valid[max((permille*len(valid)+999)/1000, 1)-1] // the nearest rank
			got, ok := h.Quantile(float64(permille) / 1000)
			require.True(t, ok)
			require.LessOrEqual(t, math.Abs(float64(got)-float64(exact)), float64(exact)/32, "p%d: %d, exactly %d", permille, got, exact)
		}
		for i := range 101 {
			got, _ := h.Quantile(float64(i) / 100)
			require.GreaterOrEqual(t, got, previous, "quantiles rise")
			previous = got
		}
	})
}

func FuzzHistogram(f *testing.F) {
	f.Add([]byte(`{"n":2,"sum":"1003000000","min":3000000,"max":1000000000,"neg":1,"b":"557:1,827:1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h domain.Histogram
		if json.Unmarshal(data, &h) != nil {
			return
		}
		h.Mean()
		h.Quantile(0.5)
		text := encoded(t, h)
		var again domain.Histogram
		require.NoError(t, json.Unmarshal([]byte(text), &again))
		require.Equal(t, text, encoded(t, again))
	})
}

func BenchmarkHistogramAdd(b *testing.B) {
	var h domain.Histogram
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.Add(time.Duration(i%1000) * 17 * time.Microsecond)
	}
}

func BenchmarkHistogramJSON(b *testing.B) {
	var h domain.Histogram
	for i := range 10_000 {
		h.Add(time.Duration(i) * 17 * time.Microsecond)
	}
	b.ReportAllocs()
	for b.Loop() {
		data, err := json.Marshal(h)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(data)), "bytes")
		var again domain.Histogram
		if err := json.Unmarshal(data, &again); err != nil {
			b.Fatal(err)
		}
	}
}
