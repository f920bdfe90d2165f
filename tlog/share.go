package tlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/internal/backoff"
)

// stateKey is where the process that writes the log tells the others on the same
// Redis how far it is.
const stateKey = "tradetrail:{tlog}:state"

// shareEvery bounds how late the others learn of a checkpoint.
const shareEvery = 500 * time.Millisecond

// Share tells other processes what a board shows, until ctx ends. What is missed
// while Redis is away is made up for by the next checkpoint, or the next attempt.
func Share(ctx context.Context, client redis.UniversalClient, board *Board, log *slog.Logger) error {
	for attempt := 0; ; {
		state, changed := board.State()
		if state.Sealed.Note != "" {
			text, err := state.encode()
			if err == nil {
				err = client.Set(ctx, stateKey, text, 0).Err()
			}
			if err != nil {
				log.DebugContext(ctx, "other processes were not told of a checkpoint", slog.Any("error", err))
				if err := backoff.Wait(ctx, attempt, firstRetry, lastRetry); err != nil {
					return err
				}
				attempt++
				continue
			}
		}
		attempt = 0
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Watch shows on a board what the process that writes the log tells, until ctx ends.
func Watch(ctx context.Context, client redis.UniversalClient, board *Board, log *slog.Logger) error {
	for {
		if err := watchOnce(ctx, client, board); err != nil {
			log.DebugContext(ctx, "how far the log is can't be read", slog.Any("error", err))
		}
		if err := backoff.Wait(ctx, 0, shareEvery, shareEvery); err != nil {
			return err
		}
	}
}

func watchOnce(ctx context.Context, client redis.UniversalClient, board *Board) error {
	text, err := client.Get(ctx, stateKey).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", stateKey, err)
	}
	state, err := decodeState(text)
	if err != nil {
		return fmt.Errorf("reading %s: %w", stateKey, err)
	}
	board.Post(state)
	return nil
}
