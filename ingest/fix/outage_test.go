package fix_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/fix"
)

// door stands between a session and what it needs, and can be shut: nothing gets
// through then.
type door struct {
	*house
	fix.Origins
	shut atomic.Pointer[domain.Error]
	deaf atomic.Bool  // nothing is recorded, all is looked up
	late atomic.Int64 // of the clock
}

func newDoor(h *house) *door { return &door{house: h, Origins: fix.NewLinks(h.store)} }

func (d *door) Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error) {
	if d.deaf.Load() {
		return nil, away
	}
	if err := d.shut.Load(); err != nil {
		return nil, err
	}
	return d.house.Record(ctx, source, items)
}

func (d *door) Origin(ctx context.Context, id string) (string, error) {
	if err := d.shut.Load(); err != nil {
		return "", err
	}
	return d.Origins.Origin(ctx, id)
}

// run runs an acceptor behind the door; done tells how it ends.
func (d *door) run() (s *fix.Source, done <-chan error) {
	d.t.Helper()
	deps := d.deps()
	deps.Recorder, deps.Origins = d, d
	deps.Now = func() time.Time { return time.Now().Add(time.Duration(d.late.Load())) }
	s, err := fix.New(fix.Config{
		Name: "drop-copy", Role: fix.Acceptor, Host: "127.0.0.1", BeginString: "FIX.4.4", SenderCompID: "FIRM", TargetCompID: "BROKER", Heartbeat: 3600,
	}, deps)
	require.NoError(d.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(d.t.Context()))
	ended := make(chan error, 1)
	finished := make(chan struct{})
	go func() {
		ended <- s.Run(ctx)
		close(finished)
	}()
	d.t.Cleanup(func() {
		cancel()
		<-finished
	})
	return s, ended
}

const logonForLong = "35=A|98=0|108=3600"

var away = &domain.Error{Class: domain.ClassTransient, Code: "away", Message: "the store is away"}

func report(n int) string { return fmt.Sprintf("35=8|11=C|17=X%d|150=F|39=1|32=1|31=1", n) }

// barrier waits until everything that was sent has been looked at.
func (w *wire) barrier() {
	w.t.Helper()
	w.send("35=1|112=there?")
	w.receive("0")
}

// A counterparty that answers no resend request, and goes on: all that it says is
// recorded, and each stretch that is missing is noted.
func TestSession_NothingThatCameIsDropped(t *testing.T) {
	h := newHouse(t)
	d := newDoor(h)
	s, _ := d.run()
	w := dialWire(t, s)
	w.send(logonForLong)
	w.receive("A")
	w.n += 2 // 2 and 3 never come
	sent := 0
	for range 4 {
		for range 5 {
			w.send(report(w.n + 1))
			sent++
		}
		w.barrier()
		d.late.Add(int64(31 * time.Second))
		w.n++ // another one
	}
	w.barrier()
	h.waitFor(sent, domain.OrderPartiallyFilled)
	var missing []any
	for _, e := range h.events() {
		if e.Type == domain.SessionGapDetected {
			data := dataOf(t, e.Event)
			missing = append(missing, data["from_seq_num"], data["to_seq_num"])
		}
	}
	assert.Equal(t, []any{2., 3., 10., 10., 17., 17., 24., 24.}, missing[:8])
	assert.Zero(t, h.count(domain.SessionGapFilled))
}

// What was behind a gap when the counterparty began its numbers again is recorded.
func TestSession_NumbersBeginAgainBehindAGap(t *testing.T) {
	h := newHouse(t)
	s := h.acceptor()
	w := dialWire(t, s)
	w.send(logon)
	w.receive("A")
	w.n++
	w.send(report(1))
	w.barrier()
	w.conn.Close()
	h.waitFor(1, domain.SessionDisconnected)
	assert.Zero(t, h.count(domain.OrderPartiallyFilled), "it waits for what is before it")

	w = dialWire(t, s)
	w.send(logon + "|141=Y")
	w.receive("A")
	h.waitFor(1, domain.OrderPartiallyFilled)
}

// A gap fill over messages that have come does not take them away.
func TestSession_AGapFillOverWhatHasCome(t *testing.T) {
	h := newHouse(t)
	w := dialWire(t, h.acceptor())
	w.send(logon)
	w.receive("A")
	w.n++
	w.send(report(1)) // 3
	w.n = 1
	w.send("35=4|123=Y|36=5|43=Y|122=20260302-14:30:00.000")
	w.n = 4
	w.barrier()
	h.waitFor(1, domain.OrderPartiallyFilled)
	assert.Equal(t, 1, h.count(domain.SessionGapFilled))
}

// A connection that ends before its last batch is recorded leaves it to the next
// one, with the links that the mapper would not say again.
func TestSession_AnUnrecordedBatchIsKept(t *testing.T) {
	h := newHouse(t)
	d := newDoor(h)
	s, _ := d.run()
	w := dialWire(t, s)
	w.send(logonForLong)
	w.receive("A")
	h.waitFor(2, domain.SessionLogon)
	d.deaf.Store(true)
	w.n = 0
	w.send("35=G|11=B|41=A|55=X|54=1|60=20260302-14:30:00") // too low, which ends the connection
	w.closed()
	d.deaf.Store(false)
	w = dialWire(t, s)
	w.n = 1
	w.send(logonForLong)
	w.receive("A")
	h.waitFor(1, domain.OrderReplaceRequested)
	assert.Equal(t, 1, h.count(domain.OrderLinked))
	assert.Equal(t, 1, h.count(domain.SessionLogout))
}

// While links can't be looked up the session stays up; Ready tells.
func TestSession_LinksCanNotBeRead(t *testing.T) {
	h := newHouse(t)
	d := newDoor(h)
	s, _ := d.run()
	w := dialWire(t, s)
	w.send(logonForLong)
	w.receive("A")
	h.waitFor(2, domain.SessionLogon)
	require.NoError(t, s.Ready())
	d.shut.Store(away)
	w.send(report(1))
	require.Eventually(t, func() bool { return s.Ready() != nil }, patience, time.Millisecond)
	d.shut.Store(nil)
	w.barrier()
	h.waitFor(1, domain.OrderPartiallyFilled)
	require.NoError(t, s.Ready())
	assert.Zero(t, h.count(domain.SessionDisconnected))
}

func TestSession_AStoreInDoubtEndsIt(t *testing.T) {
	h := newHouse(t)
	d := newDoor(h)
	s, done := d.run()
	w := dialWire(t, s)
	d.shut.Store(&domain.Error{Class: domain.ClassIntegrity, Code: "damaged", Message: "the store is damaged"})
	w.send(logonForLong)
	select {
	case err := <-done:
		var e *domain.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, domain.ClassIntegrity, e.Class)
	case <-time.After(patience):
		require.Fail(t, "it goes on")
	}
}
