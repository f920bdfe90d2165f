package tlog_test

import (
	"crypto/sha256"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/stamp"
	"github.com/tradetrail/tradetrail/tlog/stamp/stamptest"
)

// stamped has a world ask an authority at the end of each period.
func (w *world) stamped(t *testing.T, a *stamptest.Authority, every time.Duration) {
	t.Helper()
	roots, err := stamp.ParseRoots(a.Roots)
	require.NoError(t, err)
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	authority, err := stamp.NewAuthority(a.URL, roots, transport, time.Now)
	require.NoError(t, err)
	w.stamps = &tlog.Timestamps{Authority: authority, Every: every}
}

// timestamps are all of a log, each of which verifies.
func (w *world) timestamps(t *testing.T, a *stamptest.Authority) []tlog.Timestamped {
	t.Helper()
	roots, err := stamp.ParseRoots(a.Roots)
	require.NoError(t, err)
	var all []tlog.Timestamped
	require.NoError(t, tlog.EachTimestamp(w.place.Dir, time.Time{}, func(s tlog.Timestamped) bool {
		all = append(all, s)
		return true
	}))
	for _, s := range all {
		said, err := stamp.Verify(s.Token, sha256.Sum256([]byte(s.Note)), roots)
		require.NoError(t, err)
		assert.Equal(t, said.Time, s.Time)
	}
	return all
}

func (w *world) timestampedAt(t *testing.T, a *stamptest.Authority, size uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		all := w.timestamps(t, a)
		return len(all) > 0 && all[len(all)-1].Size == size
	}, 30*time.Second, 5*time.Millisecond)
}

func TestLog_CheckpointsAreTimestamped(t *testing.T) {
	w, a := newWorld(t), stamptest.Start(t, nil)
	w.stamped(t, a, time.Millisecond)
	l := w.run()
	w.record(3)
	w.timestampedAt(t, a, 3)
	w.record(600)
	w.timestampedAt(t, a, 603)
	all := w.timestamps(t, a)
	for i, s := range all[1:] {
		assert.Greater(t, s.Size, all[i].Size, "each checkpoint once")
	}
	note, token, ok, err := l.Timestamp(4, time.Now())
	require.NoError(t, err)
	assert.True(t, ok)
	assert.NotEmpty(t, token)
	assert.Contains(t, note, w.key.Origin())
	_, _, ok, err = l.Timestamp(604, time.Now())
	require.NoError(t, err)
	assert.False(t, ok)
	require.NoError(t, l.stop())

	// A death has left half a line; the next start goes on behind the last whole one.
	files, err := filepath.Glob(filepath.Join(w.place.Dir, "timestamps", "*.jsonl"))
	require.NoError(t, err)
	file, err := os.OpenFile(files[len(files)-1], os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`{"time":`)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	w.board = new(tlog.Board)
	w.run()
	w.record(1)
	w.timestampedAt(t, a, 604)
	w.check(604)
}

// In a period one checkpoint is stamped, however many there are, and a restart does not
// ask again.
func TestLog_OneTimestampInAPeriod(t *testing.T) {
	w, a := newWorld(t), stamptest.Start(t, nil)
	w.stamped(t, a, 1000*time.Hour)
	l := w.run()
	w.record(1)
	w.timestampedAt(t, a, 1)
	for n := 2; n < 5; n++ {
		w.record(1)
		w.sealed(n)
	}
	require.NoError(t, l.stop())
	w.board = new(tlog.Board)
	w.run()
	w.record(1)
	w.sealed(5)
	assert.Equal(t, int64(1), a.Asked.Load())
}

func TestLog_AnAuthorityThatIsAwayHoldsNothingUp(t *testing.T) {
	w, a := newWorld(t), stamptest.Start(t, nil)
	w.stamped(t, a, time.Millisecond)
	a.Away.Store(true)
	l := w.run()
	w.record(3)
	w.sealed(3)
	require.Eventually(t, func() bool { return a.Asked.Load() > 0 }, 30*time.Second, time.Millisecond)
	w.record(4)
	w.sealed(7)
	require.NoError(t, l.Ready())
	assert.Empty(t, w.timestamps(t, a))
	a.Away.Store(false)
	w.timestampedAt(t, a, 7)
}
