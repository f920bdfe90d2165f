package spool_test

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tradetrail/tradetrail/client/internal/spool"
	"github.com/tradetrail/tradetrail/domain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const segmentBytes = 64 << 10

func config(dir string) spool.Config {
	return spool.Config{
		Dir: dir, SegmentBytes: segmentBytes, MaxBytes: 64 * segmentBytes, Interval: 5 * time.Millisecond,
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
}

func open(t testing.TB, cfg spool.Config) *spool.Spool {
	t.Helper()
	s, err := spool.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// body is the nth record's.
func body(n int) []byte { return record(n)[spool.HeadBytes:] }

func record(n int) []byte {
	return []byte(strings.Repeat(" ", spool.HeadBytes) + "record " + strconv.Itoa(n) + " of many, some 40 bytes long")
}

func fill(t testing.TB, s *spool.Spool, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		require.Eventually(t, func() bool {
			_, err := s.Append(t.Context(), time.Now().UnixNano(), record(n))
			if errors.Is(err, spool.ErrFull) {
				return false
			}
			require.NoError(t, err)
			return true
		}, time.Minute, time.Millisecond)
	}
}

// drain reads all there is now, and calls it delivered.
func drain(t testing.TB, s *spool.Spool, deliver bool) (bodies []string, gaps []spool.Gap) {
	t.Helper()
	r, err := s.Reader()
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	for {
		e, ok, err := r.Next()
		require.NoError(t, err)
		if !ok {
			return bodies, gaps
		}
		if e.Gap != nil {
			gaps = append(gaps, *e.Gap)
		} else {
			bodies = append(bodies, string(e.Body))
		}
		if deliver {
			require.NoError(t, s.Delivered(e.Next))
		}
	}
}

func wanted(from, to int) (bodies []string) {
	for n := from; n < to; n++ {
		bodies = append(bodies, string(body(n)))
	}
	return bodies
}

func TestSpool_GivesBackInOrderOverManySegmentsAndLives(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	for life := range 4 {
		s, err := spool.Open(cfg)
		require.NoError(t, err)
		fill(t, s, life*2000, (life+1)*2000)
		require.NoError(t, s.Close())
	}
	s := open(t, cfg)
	bodies, gaps := drain(t, s, false)
	assert.Equal(t, wanted(0, 8000), bodies)
	assert.Empty(t, gaps)
	bodies, _ = drain(t, s, true)
	assert.Len(t, bodies, 8000, "what was read and not delivered is read again")
	bodies, _ = drain(t, s, true)
	assert.Empty(t, bodies)
	assert.Equal(t, int64(segmentBytes), s.State().Bytes, "one segment is left")
	fill(t, s, 8000, 8010)
	bodies, _ = drain(t, s, true)
	assert.Equal(t, wanted(8000, 8010), bodies)
}

func TestSpool_IdsAreUniqueAndTimeOrdered(t *testing.T) {
	t.Parallel()
	s := open(t, config(t.TempDir()))
	fill(t, s, 0, 5000)
	r, err := s.Reader()
	require.NoError(t, err)
	defer r.Close()
	seen := make(map[spool.ID]bool)
	last := spool.ID{}
	for e, ok, err := r.Next(); ok; e, ok, err = r.Next() {
		require.NoError(t, err)
		require.False(t, seen[e.ID])
		require.Positive(t, compare(e.ID, last))
		require.Equal(t, byte(0x70), e.ID[6]&0xf0, "version 7")
		require.Equal(t, byte(0x80), e.ID[8]&0xc0, "variant")
		ms := binary.BigEndian.Uint64(append([]byte{0, 0}, e.ID[:6]...))
		require.Equal(t, uint64(e.At/1e6), ms)
		seen[e.ID], last = true, e.ID
	}
	assert.Len(t, seen, 5000)
}

func compare(a, b spool.ID) int {
	for i := range a {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return 0
}

func TestSpool_RefusesASecondOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, config(dir))
	_, err := spool.Open(config(dir))
	require.Error(t, err)
	assert.Equal(t, domain.ClassConflict, domain.ClassOf(err))
	assert.Contains(t, err.Error(), dir)
}

func TestSpool_SaysThatItsDirectoryIsUnusable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := spool.Open(config(filepath.Join(path, "spool")))
	require.ErrorIs(t, err, syscall.ENOTDIR)
	var e *domain.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, spool.CodeUnusable, e.Code)
}

func TestSpool_Full(t *testing.T) {
	t.Parallel()
	t.Run("halt", func(t *testing.T) {
		t.Parallel()
		s, kept := untilFull(t, spool.FullHalt)
		_, err := s.Append(t.Context(), 1, record(0))
		require.ErrorIs(t, err, spool.ErrFull)
		bodies, _ := drain(t, s, true)
		assert.Equal(t, wanted(0, kept), bodies)
		fill(t, s, kept, kept+100) // there is room again
		bodies, gaps := drain(t, s, true)
		assert.Equal(t, wanted(kept, kept+100), bodies)
		assert.Empty(t, gaps)
	})
	t.Run("drop", func(t *testing.T) {
		t.Parallel()
		s, kept := untilFull(t, spool.FullDrop)
		for range 50 {
			_, err := s.Append(t.Context(), 77, record(0))
			require.NoError(t, err)
		}
		dropped := s.State().Dropped
		bodies, gaps := drain(t, s, true)
		require.Equal(t, wanted(0, kept), bodies)
		require.Eventually(t, func() bool { // the gap is told without a further record
			_, more := drain(t, s, true)
			gaps = append(gaps, more...)
			return len(gaps) == 1
		}, time.Minute, time.Millisecond)
		assert.True(t, gaps[0].Dropped)
		assert.Equal(t, uint64(kept+1), gaps[0].From)
		assert.Equal(t, dropped, gaps[0].To-gaps[0].From+1)
		fill(t, s, kept, kept+100)
		bodies, gaps = drain(t, s, true)
		assert.Equal(t, wanted(kept, kept+100), bodies)
		assert.Empty(t, gaps)
	})
	t.Run("block", func(t *testing.T) {
		t.Parallel()
		s, kept := untilFull(t, spool.FullBlock)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := s.Append(ctx, 1, record(0))
		require.ErrorIs(t, err, spool.ErrFull)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		appended := make(chan error, 1)
		go func() {
			_, err := s.Append(t.Context(), time.Now().UnixNano(), record(kept))
			appended <- err
		}()
		bodies, _ := drain(t, s, true)
		require.GreaterOrEqual(t, len(bodies), kept)
		require.NoError(t, <-appended)
	})
}

// untilFull fills a small spool; kept is how many records are in it.
func untilFull(t *testing.T, policy spool.Full) (s *spool.Spool, kept int) {
	t.Helper()
	cfg := config(t.TempDir())
	cfg.MaxBytes, cfg.Full = 3*segmentBytes, policy
	s = open(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for {
		// Not the disk's pace is tested here, but the bound.
		require.Eventually(t, func() bool { return s.State().Ready > 0 || s.State().Bytes == cfg.MaxBytes }, time.Minute, time.Millisecond)
		_, err := s.Append(ctx, time.Now().UnixNano(), record(kept))
		if err != nil {
			require.ErrorIs(t, err, spool.ErrFull)
			break
		}
		if s.State().Dropped > 0 {
			break
		}
		kept++
	}
	require.Equal(t, cfg.MaxBytes, s.State().Bytes)
	require.Greater(t, kept, 1000)
	return s, kept
}

func TestSpool_ADiskWithoutRoom(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	var full atomic.Bool
	cfg.Allocate = func(f *os.File, size int64) error {
		if full.Load() {
			return syscall.ENOSPC
		}
		return f.Truncate(size)
	}
	s := open(t, cfg)
	full.Store(true)
	n := 0
	var err error
	for ; err == nil; n++ {
		_, err = s.Append(t.Context(), time.Now().UnixNano(), record(n))
	}
	require.ErrorIs(t, err, spool.ErrFull)
	require.Eventually(t, func() bool { return errors.Is(s.State().Trouble, syscall.ENOSPC) }, time.Minute, time.Millisecond)
	full.Store(false)
	fill(t, s, n-1, n+100)
	bodies, gaps := drain(t, s, true)
	assert.Equal(t, wanted(0, n+100), bodies)
	assert.Empty(t, gaps)

	full.Store(true)
	other := cfg
	other.Dir = t.TempDir()
	_, err = spool.Open(other)
	require.ErrorIs(t, err, syscall.ENOSPC)
}

func TestSpool_EachRecordIsOnDiskBeforeAppendReturns(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.Sync, cfg.Interval, cfg.Full = spool.SyncEach, time.Hour, spool.FullBlock
	s := open(t, cfg)
	done := make(chan error, 8)
	for g := range cap(done) {
		go func() {
			var err error
			for n := 0; n < 20 && err == nil; n++ {
				_, err = s.Append(t.Context(), time.Now().UnixNano(), record(g))
			}
			done <- err
		}()
	}
	for range cap(done) {
		require.NoError(t, <-done)
	}
	bodies, gaps := drain(t, s, true)
	assert.Len(t, bodies, 160)
	assert.Empty(t, gaps)
}

func TestSpool_OldRecordsMakeItFull(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.MaxAge = time.Hour
	now := time.Unix(1_800_000_000, 0)
	var later atomic.Int64
	cfg.Now = func() time.Time { return now.Add(time.Duration(later.Load())) }
	s := open(t, cfg)
	fill(t, s, 0, 10)
	s.Waiting(now.UnixNano())
	later.Store(int64(2 * time.Hour))
	n := 10
	require.Eventually(t, func() bool {
		_, err := s.Append(t.Context(), 1, record(n))
		if err == nil {
			n++
		}
		return errors.Is(err, spool.ErrFull)
	}, time.Minute, time.Millisecond)
	assert.True(t, s.State().Full)
	s.Waiting(0)
	fill(t, s, n, n+10)
	bodies, gaps := drain(t, s, true)
	assert.Equal(t, wanted(0, n+10), bodies)
	assert.Empty(t, gaps)
}

func files(t *testing.T, cfg spool.Config) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(cfg.Dir, "*.seg"))
	require.NoError(t, err)
	return len(names)
}

// The bound is one across restarts, whatever each life records.
func TestSpool_IsBoundedOverManyLives(t *testing.T) {
	t.Parallel()
	for name, records := range map[string]int{"none": 0, "one": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t.TempDir())
			cfg.MaxBytes = 4 * segmentBytes
			kept := 0
			for range 12 {
				s, err := spool.Open(cfg)
				require.NoError(t, err)
				for range records {
					if _, err := s.Append(t.Context(), 1, record(kept)); err == nil {
						kept++
					} else {
						require.ErrorIs(t, err, spool.ErrFull)
						assert.True(t, s.State().Full)
					}
				}
				require.NoError(t, s.Close())
				require.LessOrEqual(t, files(t, cfg), max(1, 4*records))
			}
			s := open(t, cfg)
			bodies, gaps := drain(t, s, true)
			assert.Equal(t, wanted(0, kept), append([]string(nil), bodies...))
			assert.Empty(t, gaps)
			fill(t, s, kept, kept+1000) // there is room again
			bodies, gaps = drain(t, s, true)
			assert.Equal(t, wanted(kept, kept+1000), bodies)
			assert.Empty(t, gaps)
		})
	}
}

// A spool that is opened full notes what it drops, over many lives.
func TestSpool_DropsWhenOpenedFull(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.MaxBytes, cfg.Full = 2*segmentBytes, spool.FullDrop
	kept, dropped := 0, uint64(0)
	for range 6 {
		s, err := spool.Open(cfg)
		require.NoError(t, err)
		_, err = s.Append(t.Context(), 77, record(kept))
		require.NoError(t, err)
		if s.State().Dropped == 0 {
			kept++
		}
		dropped += s.State().Dropped
		require.NoError(t, s.Close())
		require.LessOrEqual(t, files(t, cfg), 2)
	}
	require.Positive(t, dropped)
	s := open(t, cfg)
	bodies, gaps := drain(t, s, true)
	assert.Equal(t, wanted(0, kept), bodies)
	_, err := s.Append(t.Context(), 77, record(kept))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		more, told := drain(t, s, true)
		gaps = append(gaps, told...)
		bodies = append(bodies, more...)
		return len(gaps) == 1
	}, time.Minute, time.Millisecond)
	assert.True(t, gaps[0].Dropped)
	assert.Equal(t, dropped+s.State().Dropped, gaps[0].To-gaps[0].From+1)
}

// A segment stays until the mark is on disk.
func TestSpool_RemovesNothingThatAnOldMarkAsksFor(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	if err := os.Symlink("/dev/null", filepath.Join(cfg.Dir, "delivered")); err != nil {
		t.Skip("a mark that can't be synced needs a link to /dev/null:", err)
	}
	s, err := spool.Open(cfg)
	require.NoError(t, err)
	defer func() { _ = s.Close() }() // the mark can't be synced
	fill(t, s, 0, 2000)
	r, err := s.Reader()
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	for e, ok, err := r.Next(); ok && err == nil; e, ok, err = r.Next() {
		if err := s.Delivered(e.Next); err != nil {
			require.ErrorContains(t, err, "syncing the mark")
			break
		}
	}
	assert.FileExists(t, filepath.Join(cfg.Dir, "0000000000000001.seg"))
}
