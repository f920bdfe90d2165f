package spool_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/client/internal/spool"
)

// Whatever happens to the files of a closed spool, the next one opens, gives back
// whole records only, in order and each once, names in gaps what is missing before
// a later record, and takes new records.
func TestSpool_SurvivesAnyDamage(t *testing.T) {
	t.Parallel()
	const records = 1600 // three segments
	pristine := t.TempDir()
	s, err := spool.Open(config(pristine))
	require.NoError(t, err)
	fill(t, s, 0, records)
	require.NoError(t, s.Close())

	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		require.NoError(rt, os.CopyFS(dir, os.DirFS(pristine)))
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(rt, err)
		for range rapid.IntRange(1, 4).Draw(rt, "wounds") {
			wound(rt, rapid.SampledFrom(names).Draw(rt, "file"))
		}

		s, err := spool.Open(config(dir))
		require.NoError(rt, err)
		defer func() { require.NoError(rt, s.Close()) }()
		_, err = s.Append(t.Context(), 1_800_000_000_000_000_000, record(records))
		require.NoError(rt, err)

		r, err := s.Reader()
		require.NoError(rt, err)
		defer func() { require.NoError(rt, r.Close()) }()
		last, missing := -1, uint64(0)
		for {
			e, ok, err := r.Next()
			require.NoError(rt, err)
			if !ok {
				break
			}
			if e.Gap != nil {
				require.LessOrEqual(rt, e.Gap.From, e.Gap.To)
				missing += e.Gap.To - e.Gap.From + 1
				continue
			}
			n := slices.IndexFunc(bodies(records + 1)[last+1:], func(b string) bool { return b == string(e.Body) })
			require.GreaterOrEqual(rt, n, 0, "%q is out of order, or never was", e.Body)
			if n > 0 {
				require.NotZero(rt, missing, "%d records are missing before %q, and no gap says so", n, e.Body)
			}
			last, missing = last+1+n, 0
		}
		require.Equal(rt, records, last, "the new record is there")
	})
}

// The same of a spool that is opened full: once what is there was delivered it takes
// new records.
func TestSpool_OpensFullAfterAnyDamage(t *testing.T) {
	t.Parallel()
	pristine := t.TempDir()
	s, err := spool.Open(config(pristine))
	require.NoError(t, err)
	fill(t, s, 0, 1600) // three segments
	require.NoError(t, s.Close())

	rapid.Check(t, func(rt *rapid.T) {
		cfg := config(t.TempDir())
		cfg.MaxBytes, cfg.Full = 2*segmentBytes, spool.FullDrop
		require.NoError(rt, os.CopyFS(cfg.Dir, os.DirFS(pristine)))
		names, err := filepath.Glob(filepath.Join(cfg.Dir, "*"))
		require.NoError(rt, err)
		for range rapid.IntRange(1, 4).Draw(rt, "wounds") {
			wound(rt, rapid.SampledFrom(names).Draw(rt, "file"))
		}
		s, err := spool.Open(cfg)
		require.NoError(rt, err)
		defer func() { require.NoError(rt, s.Close()) }()
		_, err = s.Append(t.Context(), 1, record(0))
		require.NoError(rt, err)
		require.Eventually(t, func() bool {
			drain(t, s, true)
			return !s.State().Full
		}, time.Minute, time.Millisecond)
		_, err = s.Append(t.Context(), 1, record(1))
		require.NoError(rt, err)
		bodies, _ := drain(t, s, true)
		require.Equal(rt, string(body(1)), bodies[len(bodies)-1])
	})
}

var all []string

func bodies(n int) []string {
	if len(all) < n {
		all = wanted(0, n)
	}
	return all
}

// wound damages a file as disks, crashes and people do.
func wound(t *rapid.T, path string) {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	if len(data) == 0 {
		return
	}
	at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
	switch rapid.SampledFrom([]string{"flip", "cut", "zeros", "noise", "empty"}).Draw(t, "wound") {
	case "flip":
		data[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	case "cut":
		data = data[:at]
	case "zeros":
		clear(data[at:min(len(data), at+rapid.IntRange(1, 9000).Draw(t, "length"))])
	case "noise":
		copy(data[at:], rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "noise"))
	case "empty":
		data = nil
	}
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// FuzzSegment reads any bytes as a segment.
func FuzzSegment(f *testing.F) {
	dir := f.TempDir()
	s, err := spool.Open(config(dir))
	require.NoError(f, err)
	for n := range 20 {
		_, err := s.Append(f.Context(), 1_800_000_000_000_000_000, record(n))
		require.NoError(f, err)
	}
	require.NoError(f, s.Close())
	whole, err := os.ReadFile(filepath.Join(dir, "0000000000000001.seg"))
	require.NoError(f, err)
	whole = whole[:8192]
	f.Add(whole)
	f.Add(whole[:4096])
	f.Add(whole[:4200])
	f.Add([]byte("ttspool1"))
	f.Add([]byte{})
	flipped := slices.Clone(whole)
	flipped[5000] ^= 4
	f.Add(flipped)
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "0000000000000001.seg"), data, 0o600))
		s, err := spool.Open(config(dir))
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		r, err := s.Reader()
		require.NoError(t, err)
		defer func() { require.NoError(t, r.Close()) }()
		last := uint64(0)
		for {
			e, ok, err := r.Next()
			require.NoError(t, err)
			if !ok {
				break
			}
			require.Greater(t, e.Next, last)
			last = e.Next
		}
	})
}
