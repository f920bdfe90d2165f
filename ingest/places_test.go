package ingest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/ingest"
)

// The index finds every place that was put in, with whatever hashes.
func TestPlaces_MissNothing(t *testing.T) {
	t.Parallel()
	hash := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1 << 32, ^uint64(0), 0xffffffff_00000000, 1<<32 - 1}))
	rapid.Check(t, func(t *rapid.T) {
		var p ingest.Places
		model := map[uint64][]uint64{}
		for revision, h := range rapid.SliceOfN(hash, 0, 400).Draw(t, "hashes") {
			p.Add(h, uint64(revision))
			model[h>>32] = append(model[h>>32], uint64(revision))
		}
		for h, want := range model {
			require.ElementsMatch(t, want, p.Find(h<<32))
		}
		other := hash.Draw(t, "other")
		require.ElementsMatch(t, model[other>>32], p.Find(other))
	})
}

func TestPlaces_Bytes(t *testing.T) {
	t.Parallel()
	var p ingest.Places
	random := rand.New(rand.NewPCG(1, 2))
	for n := range uint64(300_000) {
		p.Add(random.Uint64(), n)
		if n > 1000 {
			require.LessOrEqual(t, float64(p.Bytes())/float64(n+1), 15.5)
		}
	}
}

// An old event of a long stream comes again: it is known, also where the recorder
// remembers no more than its place, and after a restart; and an old id with other
// contents is a conflict.
func TestRecord_LongStreams(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	const n = 2000
	all := make([]ingest.Item, n)
	for i := range all {
		all[i] = item(fmt.Sprint(i), "1", "")
	}
	first := record(t, r, all...)
	for _, again := range []*ingest.Recorder{r, newRecorder(t, store), newRecorder(t, store, ingest.WithMemory(1))} {
		for _, i := range []int{0, 1, n / 2, n - 2*ingest.RecentEntries - 1, n - ingest.RecentEntries, n - 1} {
			receipts := record(t, again, all[i], item(fmt.Sprint(i), "1", "other"))
			require.Equal(t, []ingest.Status{ingest.Duplicate, ingest.Rejected}, statuses(receipts), "event %d", i)
			assert.Equal(t, first[i].Revision, receipts[0].Revision)
		}
		receipts := record(t, again, all...)
		for i := range receipts {
			require.Equal(t, ingest.Duplicate, receipts[i].Status, "event %d", i)
			require.Equal(t, first[i].Revision, receipts[i].Revision)
		}
	}
	receipts := record(t, r, item("new", "1", ""), all[3], item("newer", "1", ""), all[1500])
	assert.Equal(t, []ingest.Status{ingest.Recorded, ingest.Duplicate, ingest.Recorded, ingest.Duplicate}, statuses(receipts))
	assert.Equal(t, uint64(n+1), receipts[2].Revision)
	assert.Less(t, r.Remembered(), 200*n, "the quarantine streams are in it")
}

func TestRecord_RemembersWithinItsBound(t *testing.T) {
	t.Parallel()
	_, store := newBench(t)
	const bound = 50_000
	r := newRecorder(t, store, ingest.WithMemory(bound))
	for i := range 500 {
		record(t, r, item(fmt.Sprint(i), fmt.Sprint("order", i), ""))
		require.LessOrEqual(t, r.Remembered(), bound)
	}
	assert.Greater(t, r.Remembered(), bound/2)
	assert.Equal(t, ingest.Duplicate, record(t, r, item("0", "order0", ""))[0].Status)
}
