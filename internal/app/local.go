package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/backoff"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/remote"
)

// Local is a process of its own over a data directory that no server uses, for a
// command that asks something and ends.
type Local struct {
	URL string

	end  context.CancelFunc
	done chan error
}

// OpenLocal serves a data directory, which must exist, on a free loopback port, and
// waits until its read models, made in memory, have come to the end of the log. It
// judges and seals nothing.
// Close must be called.
func OpenLocal(ctx context.Context, dataDir string, log *slog.Logger) (*Local, error) {
	if _, err := os.Stat(storeDir(dataDir)); err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "data-dir", "there is no event store in %s: %v", dataDir, err)
	}
	cfg := config.Default()
	cfg.Listen, cfg.DataDir = "127.0.0.1:0", dataDir
	cfg.Detect, cfg.TLog = false, config.TLogRead // who asks leaves no trace
	a, err := New(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	l := &Local{URL: a.URL(), end: end, done: make(chan error, 1)}
	go func() { l.done <- a.Run(running) }()
	client, err := remote.New(l.URL)
	if err != nil {
		return nil, l.giveUp(err)
	}
	for attempt := 0; client.Ready(ctx) != nil; attempt++ {
		select {
		case err := <-l.done:
			end()
			return nil, fmt.Errorf("opening %s: %w", dataDir, err)
		default:
		}
		if err := backoff.Wait(ctx, attempt, 5*time.Millisecond, 200*time.Millisecond); err != nil {
			return nil, l.giveUp(err)
		}
	}
	return l, nil
}

func (l *Local) giveUp(err error) error {
	_ = l.Close() // why it was given up says more
	return err
}

// Close stops it.
func (l *Local) Close() error {
	l.end()
	return <-l.done
}
