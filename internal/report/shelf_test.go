package report_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/bucket"
	"github.com/tradetrail/tradetrail/internal/bucket/buckettest"
	"github.com/tradetrail/tradetrail/internal/report"
)

// bucketed is a schedule whose shelf is a bucket. Each call is a start of the process
// with the folder that the one before has left.
func bucketed(t *testing.T, server *buckettest.Server, dir string, notes *notebook, at *clock) *report.Schedule {
	t.Helper()
	place, err := bucket.ParsePlace(server.Place("desk"))
	require.NoError(t, err)
	shelf, err := bucket.Open(place)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, shelf.Close()) })
	plan := report.Plan{Dir: dir, Shelf: shelf, Daily: "0 1 * * *", Monthly: "0 2 1 * *", Format: report.Text}
	require.NoError(t, plan.Check())
	s, err := report.NewSchedule(plan, report.NewMaker(newMemory(desk()...), notes, at.now), slog.New(slog.DiscardHandler), at.now)
	require.NoError(t, err)
	return s
}

// recorded says that each object is a report whose event tells its hash.
func recorded(t *testing.T, server *buckettest.Server, notes *notebook) {
	t.Helper()
	for _, name := range server.Names(t) {
		_, metadata := server.Object(t, name)
		sum := metadata["X-Amz-Meta-Sha256"]
		require.Len(t, sum, 64)
		told := false
		for _, e := range notes.events {
			told = told || strings.Contains(string(e.Data), sum)
		}
		assert.True(t, told, "no event has the hash of %s", name)
	}
}

func TestSchedule_OneObjectForEachPeriod(t *testing.T) {
	server, dir := buckettest.Start(t), filepath.Join(t.TempDir(), "outbox")
	notes, at := &notebook{}, &clock{}
	at.set(time.Date(2026, 3, 4, 0, 59, 0, 0, time.UTC))
	require.NoError(t, bucketed(t, server, dir, notes, at).Write(t.Context()))
	assert.Equal(t, []string{"desk/daily-2026-03-02.txt"}, server.Names(t))

	at.set(time.Date(2026, 4, 1, 2, 0, 0, 0, time.UTC))
	require.NoError(t, bucketed(t, server, dir, notes, at).Write(t.Context()))
	require.NoError(t, bucketed(t, server, dir, notes, at).Write(t.Context()))
	assert.Len(t, server.Names(t), 31)
	assert.Contains(t, server.Names(t), "desk/monthly-2026-03.txt")
	assert.Len(t, notes.events, 31)
	recorded(t, server, notes)
	assert.Empty(t, names(t, dir))
}

// Whatever happens to a request, and to the process behind it: in the end there is one
// object whose hash is recorded, and it was made once.
func TestSchedule_ABucketThatFails(t *testing.T) {
	for name, between := range map[string]func(w http.ResponseWriter, r *http.Request, store http.Handler){
		"the request is lost": func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) },
		"the answer is lost": func(w http.ResponseWriter, r *http.Request, store http.Handler) {
			store.ServeHTTP(w, r)
			panic(http.ErrAbortHandler)
		},
		"half of it arrives": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
			_, _ = r.Body.Read(make([]byte, 100))
			panic(http.ErrAbortHandler)
		},
		"not now": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"denied": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusForbidden) },
	} {
		t.Run(name, func(t *testing.T) {
			server, dir := buckettest.Start(t), t.TempDir()
			notes, at := &notebook{}, &clock{}
			at.set(time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC))
			server.Between(func(w http.ResponseWriter, r *http.Request, store http.Handler) {
				if r.Method == http.MethodPut {
					between(w, r, store)
					return
				}
				store.ServeHTTP(w, r)
			})
			for range 2 {
				err := bucketed(t, server, dir, notes, at).Write(t.Context())
				if name != "the answer is lost" {
					require.Error(t, err)
					assert.Empty(t, server.Names(t))
				}
			}
			at.set(time.Date(2026, 3, 3, 3, 0, 0, 0, time.UTC)) // made now, it would have other bytes
			server.Between(func(w http.ResponseWriter, r *http.Request, store http.Handler) { store.ServeHTTP(w, r) })
			require.NoError(t, bucketed(t, server, dir, notes, at).Write(t.Context()))
			assert.Equal(t, []string{"desk/daily-2026-03-02.txt"}, server.Names(t))
			assert.Len(t, notes.events, 1)
			recorded(t, server, notes)
			assert.Empty(t, names(t, dir))
		})
	}
}

// Nothing is made, and so nothing recorded, for a bucket that can't be asked.
func TestSchedule_NothingIsMadeForABucketThatIsAway(t *testing.T) {
	server, dir := buckettest.Start(t), t.TempDir()
	notes, at := &notebook{}, &clock{}
	at.set(time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC))
	server.Between(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
	err := bucketed(t, server, dir, notes, at).Write(t.Context())
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(err), "%v", err)
	assert.Empty(t, notes.events)
}

func TestSchedule_WhatIsInTheBucketStays(t *testing.T) {
	server, dir := buckettest.Start(t), t.TempDir()
	notes, at := &notebook{}, &clock{}
	at.set(time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC))
	put := func() {
		_, err := server.Backend.PutObject("reports", "desk/daily-2026-03-02.txt", map[string]string{"Last-Modified": "Tue, 03 Mar 2026 01:00:00 GMT"}, strings.NewReader("theirs"), 6, nil)
		require.NoError(t, err)
	}
	// Somebody is faster while the report is made.
	server.Between(func(w http.ResponseWriter, r *http.Request, store http.Handler) {
		if r.Method == http.MethodPut {
			put()
		}
		store.ServeHTTP(w, r)
	})
	require.NoError(t, bucketed(t, server, dir, notes, at).Write(t.Context()))
	require.NoError(t, bucketed(t, server, dir, notes, at).Write(t.Context()))
	content, _ := server.Object(t, "desk/daily-2026-03-02.txt")
	assert.Equal(t, "theirs", content)
	assert.Len(t, notes.events, 1)
	assert.Empty(t, names(t, dir))
}

// A process that died after it recorded a report and before the folder had it, puts that
// one there.
func TestSchedule_WhatWasRecordedIsWhatAppears(t *testing.T) {
	dir, notes := t.TempDir(), &notebook{}
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".daily-2026-03-02.txt.recorded"), []byte("recorded"), 0o600))
	now := func() time.Time { return time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC) }
	s, err := report.NewSchedule(report.Plan{Dir: dir, Daily: "0 1 * * *", Format: report.Text}, report.NewMaker(newMemory(desk()...), notes, now), slog.New(slog.DiscardHandler), now)
	require.NoError(t, err)
	require.NoError(t, s.Write(t.Context()))
	assert.Empty(t, notes.events)
	assert.Equal(t, []string{"daily-2026-03-02.txt"}, names(t, dir))
	content, err := os.ReadFile(filepath.Join(dir, "daily-2026-03-02.txt"))
	require.NoError(t, err)
	assert.Equal(t, "recorded", string(content))
}

// gone is a shelf that is away.
type gone struct{ asked int }

func (g *gone) Ready(context.Context) error {
	g.asked++
	return &domain.Error{Class: domain.ClassTransient, Code: "away", Message: "the shelf is away"}
}

func (*gone) Has(context.Context, string) (bool, error)         { return false, nil }
func (*gone) Put(context.Context, string, string, string) error { return nil }

// What is away for a moment is not worth a word; what stays away is told, and asked ever
// less often.
func TestSchedule_TellsThatTheShelfStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf, told := &gone{}, &bytes.Buffer{}
		s, err := report.NewSchedule(report.Plan{Dir: t.TempDir(), Shelf: shelf, Daily: "0 1 * * *", Format: report.Text},
			report.NewMaker(newMemory(desk()...), &notebook{}, created), slog.New(slog.NewTextHandler(told, nil)), created)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		require.ErrorIs(t, s.Run(ctx), context.DeadlineExceeded)
		assert.Contains(t, told.String(), "the shelf is away")
		assert.Equal(t, shelf.asked-3, strings.Count(told.String(), "level=ERROR"))
		assert.Less(t, shelf.asked, 2000)
	})
}
