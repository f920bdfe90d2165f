package audit_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog/audit"
)

func TestVerify_SaysYes(t *testing.T) {
	w := newWorld(t)
	report := w.verify(t, audit.Scope{})
	assert.True(t, report.Intact, "an empty log: %v", report.Findings)
	w.grow(t, 1, 255, 1, 300, 40)
	early := w.checkpoint(t)
	w.grow(t, 70)
	report = w.verify(t, audit.Scope{Outside: map[string]string{"kept": early}})
	require.True(t, report.Intact, "%v", report.Findings)
	assert.Equal(t, uint64(667), report.Size)
	assert.Equal(t, uint64(667), report.Verified)
	assert.Equal(t, []audit.Outside{{Name: "kept", Size: 597, Intact: true}}, report.Outside)
	assert.Equal(t, report.Compared, report.Signed)
	assert.GreaterOrEqual(t, report.Signed, uint64(3))
	assert.Equal(t, uint64(0), report.First.Index)
	assert.Equal(t, uint64(666), report.Last.Index)

	w.open(t, func(store *eventstore.Store) { w.record(t, store, 9) })
	report = w.verify(t, audit.Scope{Outside: map[string]string{"kept": early}})
	require.True(t, report.Intact, "%v", report.Findings)
	assert.Zero(t, report.Verified, "nothing was sealed since")
	assert.Equal(t, uint64(9), report.Unsealed)
	assert.Equal(t, []audit.Outside{{Name: "kept", Size: 597, Intact: true}}, report.Outside)

	w.grow(t, 500, 20)
	report = w.verify(t, audit.Scope{})
	require.True(t, report.Intact, "%v", report.Findings)
	assert.Equal(t, uint64(667), report.From)
	assert.Equal(t, uint64(529), report.Verified)
	report = w.verify(t, audit.Scope{Full: true})
	require.True(t, report.Intact, "%v", report.Findings)
	assert.Equal(t, uint64(1196), report.Verified)
}

func TestVerify_RoundWithoutState(t *testing.T) {
	w := newWorld(t)
	w.grow(t, 300)
	require.True(t, w.verify(t, audit.Scope{}).Intact)
	require.NoError(t, os.Remove(w.stateFile())) // between the two of a look
	report := w.verify(t, audit.Scope{Round: 100})
	assert.True(t, report.Intact, "%v", report.Findings)
	assert.Zero(t, report.Verified)
	assert.NoFileExists(t, w.stateFile())
}

// Two processes may work for one log: each verifies, and one waits for the other.
func TestVerify_TwoAtOnce(t *testing.T) {
	w := newWorld(t)
	w.grow(t, 300)
	w.open(t, func(store *eventstore.Store) {
		subject := w.subject(t, store)
		bad := make(chan error, 2)
		for range 2 {
			go func() {
				for range 50 {
					report, err := audit.Verify(t.Context(), subject, audit.Scope{})
					if err == nil && !report.Intact {
						err = errors.New(report.Findings[0].String())
					}
					if err != nil {
						bad <- err
						return
					}
				}
				bad <- nil
			}()
		}
		assert.NoError(t, <-bad)
		assert.NoError(t, <-bad)
	})
}

// moody is a store that answers some reads with an error that says nothing.
type moody struct {
	audit.Events

	reads int
	fails func(read int, from domain.Position) bool
}

func (m *moody) Forwards(ctx context.Context, from domain.Position, count uint64) iter.Seq2[eventstore.Record, error] {
	m.reads++
	if m.fails(m.reads, from) {
		return func(yield func(eventstore.Record, error) bool) {
			yield(eventstore.Record{}, &domain.Error{Class: domain.ClassUnknown, Code: eventstore.CodeUnclassified, Message: "reading all events"})
		}
	}
	return m.Events.Forwards(ctx, from, count)
}

// Only a store that answers otherwise has lost an event that it refuses.
func TestVerify_StoreInTrouble(t *testing.T) {
	w := newWorld(t)
	w.grow(t, 300)
	require.True(t, w.verify(t, audit.Scope{}).Intact)
	w.open(t, func(store *eventstore.Store) {
		verify := func(fails func(read int, from domain.Position) bool) (audit.Report, error) {
			return audit.Verify(t.Context(), w.subject(t, &moody{Events: store, fails: fails}), audit.Scope{})
		}
		_, err := verify(func(int, domain.Position) bool { return true })
		require.Error(t, err, "it answers nothing")
		_, err = verify(func(read int, _ domain.Position) bool { return read == 1 })
		require.Error(t, err, "it did not answer once")
		report, err := verify(func(_ int, from domain.Position) bool { return !from.IsZero() })
		require.NoError(t, err)
		require.False(t, report.Intact)
		assert.Equal(t, audit.Missing, report.Findings[0].Kind)
	})
}
