package domain_test

import (
	"cmp"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
)

// positions draws places near each other and at the ends, where an order by text
// and an order by number would part.
func positions() *rapid.Generator[domain.Position] {
	place := rapid.OneOf(
		rapid.Uint64Range(0, 20), rapid.Uint64(),
		rapid.SampledFrom([]uint64{9, 10, 15, 16, 99, 100, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64}),
	)
	return rapid.Custom(func(t *rapid.T) domain.Position {
		return domain.Position{Commit: place.Draw(t, "commit"), Prepare: place.Draw(t, "prepare")}
	})
}

func TestPosition_ComparesAsTheLogDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, q := positions().Draw(t, "p"), positions().Draw(t, "q")
		want := cmp.Or(cmp.Compare(p.Commit, q.Commit), cmp.Compare(p.Prepare, q.Prepare))
		assert.Equal(t, want, p.Compare(q))
		assert.Equal(t, -want, q.Compare(p))
	})
}

func TestPosition_RoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := positions().Draw(t, "p")
		parsed, err := domain.ParsePosition(p.String())
		require.NoError(t, err)
		assert.Equal(t, p, parsed)
	})
}

// It stands in cursors that clients keep.
func TestPosition_FormIsFrozen(t *testing.T) {
	p := domain.Position{Commit: 120, Prepare: 119}
	assert.Equal(t, "C:120/P:119", p.String())
	assert.Equal(t, "C:18446744073709551615/P:18446744073709551615", domain.EndPosition.String())
	assert.True(t, domain.Position{}.IsZero())
	assert.False(t, domain.Position{Prepare: 1}.IsZero())
	assert.Equal(t, -1, domain.Position{}.Compare(p))
	assert.Equal(t, 1, domain.EndPosition.Compare(p))
}

func TestParsePosition_RefusesAnythingElse(t *testing.T) {
	for _, text := range []string{
		"", "C:", "C:1", "C:1/P:", "C:/P:1", "/P:1", "1/P:1", "P:1/C:1", "c:1/p:1", "C:-1/P:1", "C:+1/P:1", "C:1/P:1 ", " C:1/P:1",
		"C:1/P:1/P:1", "C:0x1/P:1", "C:1_0/P:1", "C:18446744073709551616/P:1", "C:1.0/P:1", "C:1/P:1\n", "C:NaN/P:1", strings.Repeat("C:1/P:", 1000),
	} {
		_, err := domain.ParsePosition(text)
		require.Error(t, err, "%q", text)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
		assert.Less(t, len(err.Error()), 200)
	}
}
