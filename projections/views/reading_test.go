package views_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// reading is a live reader at work.
type reading struct {
	t      testing.TB
	events chan domain.Located
	failed chan error
	got    []domain.Position
	cancel context.CancelFunc
}

// follow starts a live reader of an account.
func follow(t testing.TB, set *views.Set, account string, after *domain.Position) *reading {
	t.Helper()
	return read(t, func(ctx context.Context) (iter.Seq2[domain.Located, error], error) {
		return set.FollowOwner(ctx, views.Accounts, account, after)
	})
}

func followChain(t testing.TB, set *views.Set, order string, after *domain.Position) *reading {
	t.Helper()
	return read(t, func(ctx context.Context) (iter.Seq2[domain.Located, error], error) {
		return set.FollowChain(ctx, order, after)
	})
}

func read(t testing.TB, open func(context.Context) (iter.Seq2[domain.Located, error], error)) *reading {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &reading{t: t, events: make(chan domain.Located), failed: make(chan error, 1), cancel: cancel}
	events, err := open(ctx)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e, err := range events {
			if err != nil {
				r.failed <- err
				return
			}
			select {
			case r.events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		select {
		case err := <-r.failed:
			t.Errorf("a live reader failed: %v", err)
		default:
		}
	})
	return r
}

// until waits until n events have come in all, and returns their places.
func (r *reading) until(n int) []domain.Position {
	r.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for len(r.got) < n {
		select {
		case e := <-r.events:
			r.got = append(r.got, e.Position)
		case err := <-r.failed:
			require.NoError(r.t, err)
		case <-timer.C:
			require.FailNow(r.t, "events are missing", "%d of %d came", len(r.got), n)
		}
	}
	return r.got
}
