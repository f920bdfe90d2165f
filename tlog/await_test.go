package tlog_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog"
)

func TestBoard_Await(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := new(tlog.Board)
		sealed := func(commit uint64) tlog.State {
			return tlog.State{Sealed: tlog.Checkpoint{Size: commit, Last: domain.Position{Commit: commit, Prepare: commit}}}
		}
		place := domain.Position{Commit: 7, Prepare: 7}
		began := time.Now()
		require.NoError(t, board.Await(t.Context(), domain.Position{}, time.Hour), "nothing was recorded")
		assert.Zero(t, time.Since(began))

		done := make(chan error)
		go func() { done <- board.Await(t.Context(), place, time.Hour) }()
		synctest.Wait()
		board.Post(sealed(6))
		synctest.Wait()
		select {
		case <-done:
			require.Fail(t, "what it waits for is not sealed yet")
		default:
		}
		board.Post(sealed(8))
		require.NoError(t, <-done)
		assert.Zero(t, time.Since(began))

		require.NoError(t, board.Await(t.Context(), domain.Position{Commit: 9, Prepare: 9}, time.Minute), "it gives up")
		assert.Equal(t, time.Minute, time.Since(began))
		ctx, stop := context.WithCancel(t.Context())
		stop()
		require.ErrorIs(t, board.Await(ctx, domain.Position{Commit: 9, Prepare: 9}, time.Minute), context.Canceled)
	})
}
