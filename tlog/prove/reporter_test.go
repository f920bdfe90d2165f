package prove_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/prove"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// at is the position of the event of a leaf.
func at(index uint64) domain.Position {
	return domain.Position{Commit: (index + 1) * 10, Prepare: (index + 1) * 10}
}

func manyOf(from, to, step uint64) (indexes []uint64) {
	for i := from; i < to; i += step {
		indexes = append(indexes, i)
	}
	return indexes
}

func TestReport_ProvesWhatItShows(t *testing.T) {
	w := newWorld(t)
	for name, indexes := range map[string][]uint64{
		"nothing":             {},
		"one":                 {7},
		"neighbours":          {0, 1, 2, 3, 4, 5},
		"with gaps":           {0, 3, 4, 11, 299, 300, 599},
		"far apart":           {1, 300, 599},
		"one twice":           {7, 7, 8, 7},
		"not in their order":  {300, 2, 599, 1, 0},
		"behind a gap":        {5, 7, 8, 6},
		"more than are a run": manyOf(0, 600, 1),
		"each third":          manyOf(1, 600, 3),
	} {
		t.Run(name, func(t *testing.T) {
			report, err := prove.NewReporter(w.prover(), w.signer, nil).Report(t.Context(), at(599))
			require.NoError(t, err)
			want := make(map[uint64]bool)
			for _, i := range indexes {
				index, hash, ok, err := report.Leaf(t.Context(), at(i))
				require.NoError(t, err)
				require.True(t, ok)
				require.Equal(t, i, index)
				text, err := w.log.At(size).Leaf(t.Context(), i)
				require.NoError(t, err)
				require.Equal(t, verify.LeafHash(text), hash)
				want[i] = true
			}
			_, _, ok, err := report.Leaf(t.Context(), at(600))
			require.NoError(t, err)
			assert.False(t, ok, "it is not sealed yet")

			var out bytes.Buffer
			require.NoError(t, report.Bundle(t.Context(), &out, "a.pdf"))
			got := make(map[uint64]bool)
			verdict, err := verify.Bundle(&out, verify.Trust{Keys: w.keys}, func(index uint64, _ verify.Leaf, said *verify.Said) {
				require.NotNil(t, said)
				got[index] = true
			})
			require.NoError(t, err)
			assert.True(t, verdict.Verified, "%v", verdict.Failures)
			assert.Equal(t, want, got)
			assert.Equal(t, verify.Subject{Report: "a.pdf", Events: uint64(len(want)), Unsealed: 1}, *verdict.Subject)
		})
	}
}

func TestReport_StopsAtAContradiction(t *testing.T) {
	for name, change := range map[string]func(*world){
		"an event that was changed": func(w *world) { w.events[4].Data = []byte(`{"n":4000}`) },
		"an event that is gone":     func(w *world) { w.events = append(w.events[:4:4], w.events[5:]...) },
	} {
		for _, indexes := range [][]uint64{{2, 3, 4}, {3, 300}} {
			w := newWorld(t)
			change(w)
			report, err := prove.NewReporter(w.prover(), w.signer, nil).Report(t.Context(), at(599))
			require.NoError(t, err)
			for _, i := range indexes {
				_, _, _, err := report.Leaf(t.Context(), at(i))
				require.NoError(t, err)
			}
			err = report.Bundle(t.Context(), io.Discard, "a.pdf")
			assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "%s: %v", name, err)
		}
	}
	w := newWorld(t)
	report, err := prove.NewReporter(w.prover(), w.signer, nil).Report(t.Context(), at(599))
	require.NoError(t, err)
	_, _, _, err = report.Leaf(t.Context(), domain.Position{Commit: 15, Prepare: 15})
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "an event without a leaf: %v", err)
}

func TestReport_SealsWithTheKeyOnly(t *testing.T) {
	w := newWorld(t)
	asked := domain.Position{}
	reporter := prove.NewReporter(w.prover(), nil, func(_ context.Context, p domain.Position) error {
		asked = p
		return nil
	})
	report, err := reporter.Report(t.Context(), at(3))
	require.NoError(t, err)
	assert.Equal(t, at(3), asked)
	assert.False(t, report.Seals())
	_, err = report.Seal(began, 1, 2, verify.Digest{})
	require.Error(t, err)
	last, err := report.SealedTo(t.Context())
	require.NoError(t, err)
	assert.Equal(t, at(599), last)

	report, err = prove.NewReporter(w.prover(), w.signer, nil).Report(t.Context(), at(3))
	require.NoError(t, err)
	note, err := report.Seal(began, 1, 2, verify.Digest{3})
	require.NoError(t, err)
	seal, _, failure := w.keys.OpenSeal(string(note))
	require.Nil(t, failure)
	assert.Equal(t, verify.Seal{Checkpoint: report.Checkpoint(), Created: began, Offset: 1, Length: 2, Digest: verify.Digest{3}}, seal)

	reporter = prove.NewReporter(w.prover(), w.signer, func(context.Context, domain.Position) error { return assert.AnError })
	_, err = reporter.Report(t.Context(), at(3))
	require.ErrorIs(t, err, assert.AnError)
}
