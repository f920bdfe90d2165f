package verify_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/tlog/verify"
)

func FuzzParseCheckpoint(f *testing.F) {
	f.Add("log.example/trading\n23\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := verify.ParseCheckpoint(text); err == nil {
			again, err := verify.ParseCheckpoint(text)
			require.NoError(t, err)
			assert.Equal(t, c, again)
			assert.Contains(t, text, c.Root.String())
		}
	})
}

func FuzzOpen(f *testing.F) {
	l := newLedger(5)
	f.Add(l.checkpoint(f, 5, logSecret))
	f.Add(l.checkpoint(f, 5, otherSecret))
	want := l.checkpoint(f, 5, logSecret)
	keys := trust(f).Keys
	f.Fuzz(func(t *testing.T, text string) {
		if signed, failure := keys.Open(text, nil); failure == nil {
			assert.Equal(t, want[:bytes.Index([]byte(want), []byte("\n\n"))], text[:bytes.Index([]byte(text), []byte("\n\n"))], "%v", signed)
		}
	})
}

// Nobody but the log can make a bundle of anything else than its leaves.
func FuzzBundle(f *testing.F) {
	leaves := make(map[string]bool)
	for _, leaf := range newLedger(23).leaves {
		leaves[string(leaf.Marshal())] = true
	}
	for _, b := range three(f) {
		f.Add(b.encode(f))
	}
	l := newLedger(23)
	scattered := l.report(f, l.scatter(3, 4, 11), l.scatter(12, 22))
	f.Add(scattered.encode(f))
	tr := trust(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		var shown []verify.Leaf
		verdict, err := verify.Bundle(bytes.NewReader(text), tr, func(_ uint64, leaf verify.Leaf, _ *verify.Said) { shown = append(shown, leaf) })
		require.NoError(t, err)
		if !verdict.Verified {
			require.NotEmpty(t, verdict.Failures)
			return
		}
		for _, leaf := range shown {
			assert.True(t, leaves[string(leaf.Marshal())], "a leaf that is not in the log: %s", leaf.Marshal())
		}
	})
}

// Nobody but the log can seal a file, and no byte of one can be another.
func FuzzReport(f *testing.F) {
	l := newLedger(23)
	b := l.report(f, l.scatter(3, 11))
	file := sealed(f, b.encode(f), l.seal(), logSecret)
	f.Add(file)
	f.Add(file[len(file)/2:])
	f.Add(append(bytes.Clone(file), file...))
	f.Add([]byte("%PDF-1.7" + verify.SealBegins + "AAAA\nstartxref\n9\n%%EOF\n"))
	tr := trust(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		verdict, err := verify.Report(opened(text), tr, nil)
		require.NoError(t, err)
		if !verdict.Verified {
			require.NotEmpty(t, verdict.Failures)
			return
		}
		assert.Equal(t, file, text)
	})
}
