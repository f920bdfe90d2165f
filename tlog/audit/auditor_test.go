package audit_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog/audit"
)

// recorded keeps what an auditor says, each id once.
type recorded struct {
	mu     sync.Mutex
	events map[string]*domain.Event
	calls  int
}

func (r *recorded) Record(_ context.Context, e *domain.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events[e.ID] = e
	r.calls++
	return nil
}

func (r *recorded) of(kind domain.EventType) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Type == kind {
			n++
		}
	}
	return n
}

// watch runs an auditor over a world until the end of use.
func (w *world) watch(t *testing.T, into *recorded, now func() time.Time, use func(*audit.Auditor)) {
	t.Helper()
	w.open(t, func(store *eventstore.Store) {
		signer, err := note.NewSigner(strings.Split(string(w.key.Marshal()), "\n")[0])
		require.NoError(t, err)
		subject := w.subject(t, store)
		subject.Now = now
		auditor, err := audit.NewAuditor(subject, w.key.Origin(), signer, into, audit.Budget{Every: 5 * time.Millisecond, Rate: 100_000},
			slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- auditor.Run(ctx) }()
		use(auditor)
		cancel()
		<-done
	})
}

const soon = 30 * time.Second

func TestAuditor_DoubtsOnceAndNotForEver(t *testing.T) {
	w := newWorld(t)
	w.grow(t, 700, 30)
	require.True(t, w.verify(t, audit.Scope{}).Intact)
	name := filepath.Join(w.place().Dir, "tile", "entries", "000")
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	broken := append([]byte(nil), whole...)
	broken[30_000] ^= 1
	require.NoError(t, os.WriteFile(name, broken, 0o600))
	into := &recorded{events: make(map[string]*domain.Event)}
	for range 2 { // also by a process that knows nothing of the first
		w.watch(t, into, time.Now, func(a *audit.Auditor) {
			require.Eventually(t, func() bool { return a.Ready() != nil }, soon, time.Millisecond, "nothing new is wrong: it must look at the rest")
			require.Eventually(t, func() bool { return into.of(domain.IntegrityDoubted) == 1 }, soon, time.Millisecond)
			assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(a.Ready()))
			standing, err := a.Standing("", 1)
			require.NoError(t, err)
			assert.Equal(t, "doubted", standing.Verdict)
			assert.Len(t, standing.Doubts, 1)
		})
	}
	assert.Equal(t, 1, into.of(domain.IntegrityDoubted))
	assert.Equal(t, 2, into.calls, "each process says it once")
	require.NoError(t, os.WriteFile(name, whole, 0o600))
	again := &recorded{events: make(map[string]*domain.Event)}
	w.watch(t, again, time.Now, func(a *audit.Auditor) {
		require.Eventually(t, func() bool {
			text, err := os.ReadFile(filepath.Join(w.place().Dir, "audit.json"))
			return err == nil && strings.Contains(string(text), `"round":{"size":730`)
		}, soon, time.Millisecond, "the round comes to its end")
		assert.NoError(t, a.Ready())
	})
	assert.Zero(t, again.calls)
}

// assertStanding holds that an auditor tells of 347 intact events and of two certificates.
func assertStanding(t *testing.T, w *world, a *audit.Auditor, today time.Time) {
	t.Helper()
	var all audit.Standing
	var err error
	require.Eventually(t, func() bool {
		all, err = a.Standing("", 10)
		return err != nil || all.Verdict != "unknown"
	}, soon, time.Millisecond)
	require.NoError(t, err)
	assert.Equal(t, "intact", all.Verdict)
	assert.Equal(t, uint64(347), all.Verified.Size)
	require.Len(t, all.Issued, 2)
	assert.False(t, all.More)
	newest, err := os.ReadFile(filepath.Join(w.place().Dir, "certificates", all.Issued[0].Day+".txt"))
	require.NoError(t, err)
	assert.Equal(t, string(newest), all.Issued[0].Note)
	assert.Equal(t, today.Format(time.DateOnly), all.Issued[1].Day)
	one, err := a.Standing("", 1)
	require.NoError(t, err)
	assert.Equal(t, all.Issued[:1], one.Issued)
	assert.True(t, one.More)
	rest, err := a.Standing(all.Issued[0].Day, 10)
	require.NoError(t, err)
	assert.Equal(t, all.Issued[1:], rest.Issued)
	for before, limit := range map[string]int{"yesterday": 1, "../../keys": 1, "": 0, "2026-03-02": audit.MaxCertificates + 1} {
		_, err := a.Standing(before, limit)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), "%q %d", before, limit)
	}
}

// growOn is grow on a day that is so many after a first one.
func (w *world) growOn(t *testing.T, day time.Time, after int, steps ...int) {
	t.Helper()
	w.clock = func() time.Time { return day.AddDate(0, 0, after).Add(time.Hour) }
	w.grow(t, steps...)
}

func TestAuditor_CertifiesDaysThatAreOver(t *testing.T) {
	w := newWorld(t)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	w.growOn(t, today, 0, 300)
	w.growOn(t, today, 1, 40)
	w.growOn(t, today, 3, 7)
	into := &recorded{events: make(map[string]*domain.Event)}
	certificate := func(after int) string {
		return filepath.Join(w.place().Dir, "certificates", today.AddDate(0, 0, after).Format(time.DateOnly)+".txt")
	}
	for range 2 {
		w.watch(t, into, func() time.Time { return today.AddDate(0, 0, 5) }, func(a *audit.Auditor) {
			require.Eventually(t, func() bool {
				_, err := os.Stat(certificate(1))
				return err == nil
			}, soon, time.Millisecond)
			assertStanding(t, w, a, today)
		})
	}
	assert.NoFileExists(t, certificate(2), "nothing happened that day")
	assert.NoFileExists(t, certificate(3), "more may come that is of this day")
	assert.Equal(t, 2, into.of(domain.IntegrityCertified))
	assert.Equal(t, 2, into.calls, "a day is certified once")
	verifier, err := note.NewVerifier(w.key.Verifier())
	require.NoError(t, err)
	text, err := os.ReadFile(certificate(0))
	require.NoError(t, err)
	signed, err := note.Open(text, note.VerifierList(verifier))
	require.NoError(t, err)
	lines := strings.Split(signed.Text, "\n")
	assert.Equal(t, []string{"tradetrail/certificate/v1", w.key.Origin(), today.Format(time.DateOnly), "0", "300", "347"}, lines[:6])
	assert.Equal(t, "none", lines[7])
	text, err = os.ReadFile(certificate(1))
	require.NoError(t, err)
	lines = strings.Split(string(text), "\n")
	assert.Equal(t, []string{"300", "40", "347"}, lines[3:6])
	assert.Len(t, lines[7], 64)

	// The next one goes on behind the days without events.
	w.growOn(t, today, 4, 3)
	w.watch(t, into, func() time.Time { return today.AddDate(0, 0, 5) }, func(*audit.Auditor) {
		require.Eventually(t, func() bool {
			text, err = os.ReadFile(certificate(3))
			return err == nil
		}, soon, time.Millisecond)
	})
	assert.Equal(t, []string{"340", "7", "350"}, strings.Split(string(text), "\n")[3:6])
	assert.Equal(t, 3, into.of(domain.IntegrityCertified))
}

// What a verification did not see, because it began before the day was over, may be of
// that day; and a clock that is ahead ends no day.
func TestAuditor_CertifiesNoDayThatIsNotOver(t *testing.T) {
	w := newWorld(t)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	w.growOn(t, today, 0, 300)
	none := func(now func() time.Time, until func() bool) {
		into := &recorded{events: make(map[string]*domain.Event)}
		w.watch(t, into, now, func(*audit.Auditor) { require.Eventually(t, until, soon, time.Millisecond) })
		assert.Zero(t, into.calls)
		assert.NoDirExists(t, filepath.Join(w.place().Dir, "certificates"))
	}
	var asked atomic.Int64
	none(func() time.Time {
		asked.Add(1)
		return today.AddDate(0, 0, 2)
	}, func() bool { return asked.Load() > 30 })

	w.growOn(t, today, 1, 1)
	// Each verification asks when it begins and when it ends.
	asked.Store(0)
	none(func() time.Time {
		if asked.Add(1) < 30 {
			return today.AddDate(0, 0, 1).Add(-time.Minute)
		}
		return today.AddDate(0, 0, 1).Add(30 * time.Second) // and within the grace
	}, func() bool { return asked.Load() > 60 })
}
