package audit_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/audit"
)

// A log that signs while it is looked at is not cut off, however long a look takes.
func TestNewestOf_SignedMeanwhile(t *testing.T) {
	signed := uint64(10)
	at := func() tlog.Checkpoint {
		return tlog.Checkpoint{Size: signed, Note: time.Unix(int64(signed), 0).String()}
	}
	stalls := 3
	shown, last := audit.NewestOf(
		func() tlog.Checkpoint {
			c := at()
			if stalls > 0 {
				signed += 5 // between the two
				stalls--
			}
			return c
		},
		func() tlog.Checkpoint {
			c := at()
			if stalls > 0 {
				signed += 5
			}
			return c
		})
	assert.LessOrEqual(t, shown.Size, last.Size)
	assert.Equal(t, last.Note, shown.Note)
}

// With a clock that was put back over midnight the file that is written is not the
// newest one.
func TestVerify_LineThatIsBeingWritten(t *testing.T) {
	w := newWorld(t)
	w.grow(t, 10)
	history := filepath.Join(w.place().Dir, "history")
	today := filepath.Join(history, time.Now().UTC().Format("2006-01-02")+".jsonl")
	whole, err := os.ReadFile(today)
	require.NoError(t, err)
	older := filepath.Join(history, time.Now().UTC().AddDate(0, 0, -3).Format("2006-01-02")+".jsonl")
	for text, intact := range map[string]bool{
		"":                          true,
		`{"time":"2026-03-`:         true,
		`{"time":"now","note":"x"}`: true,
		`{"time":"now"}*`:           false,
		"2\x00":                     false,
	} {
		require.NoError(t, os.WriteFile(older, []byte(text), 0o600))
		report := w.verify(t, audit.Scope{Full: true})
		assert.Equal(t, intact, report.Intact, "%q: %v", text, report.Findings)
		require.NoError(t, os.RemoveAll(w.stateFile()))
	}
	// The writer takes away what was begun in either.
	require.NoError(t, os.WriteFile(older, []byte(`{"time":"20`), 0o600))
	require.NoError(t, os.WriteFile(today, append(whole, `{"time`...), 0o600))
	w.grow(t, 10)
	for _, name := range []string{older, today} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.True(t, len(text) == 0 || text[len(text)-1] == '\n', "%s ends with %q", name, text)
	}
	report := w.verify(t, audit.Scope{Full: true})
	assert.True(t, report.Intact, "%v", report.Findings)
}
