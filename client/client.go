package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tradetrail/tradetrail/client/internal/spool"
	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// Event is the canonical audit event. Type is needed. ID, OccurredAt, Environment,
// Version and SessionID are filled in if they are empty; RecordedAt, Source and
// SchemaVersion are the server's, and ignored. Data is a JSON object in which money
// and quantities are strings.
type Event = domain.Event

// Client records events. Its methods may be called from any number of goroutines.
type Client struct {
	cfg   Config
	spool *spool.Spool
	cost  histogram
	day   day

	buffers sync.Pool // of *[]byte, in which records are made

	counts  counters
	oldest  atomic.Int64          // when the oldest event that waits was recorded, ns since 1970, or 0
	trouble atomic.Pointer[error] // of the delivery
	notKept atomic.Pointer[error] // of the dead-letter file, with the last rejection

	wake    chan struct{} // asks the delivery to look
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	progress chan struct{} // closed when something was delivered
	closed   bool
}

// bufferBytes is what most events fit in; for longer ones a buffer grows.
const bufferBytes = 1024

// Open takes the spool, recovers what an earlier process left in it, and begins to
// deliver. The server need not be there. The errors are those of the configuration
// and of the directory: that it can't be written, has no room, or that another
// process has it open. ctx bounds nothing yet but the opening.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("opening the client: %w", err)
	}
	s, err := spool.Open(spool.Config{ //nolint:contextcheck // what is opened outlives ctx, until Close
		Dir: cfg.Dir, SegmentBytes: cfg.segment, MaxBytes: cfg.MaxBytes, MaxAge: cfg.MaxAge,
		Sync: syncPolicies[cfg.Sync], Interval: cfg.SyncEvery, Full: fullPolicies[cfg.Full],
		Now: cfg.clock.now, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, spool: s, wake: make(chan struct{}, 1), progress: make(chan struct{})}
	c.buffers.New = func() any {
		b := make([]byte, bufferBytes)
		return &b
	}
	c.day.begin(c)
	d, err := newDelivery(c)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	c.running.Go(func() {
		defer d.close()
		c.guard(life, d.run)
	})
	return c, nil
}

// guard keeps a defect of ours from ending the process that we are a guest of.
func (c *Client) guard(ctx context.Context, run func(context.Context)) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		func() {
			defer func() {
				if p := recover(); p != nil {
					c.cfg.Log.ErrorContext(ctx, "the delivery of events failed and begins again", slog.Any("panic", p))
					c.troubled(fmt.Errorf("delivering: panic: %v", p))
				}
			}()
			run(ctx)
		}()
		_ = backoff.Wait(ctx, attempt, 100*time.Millisecond, time.Minute) // ends with ctx, as the loop does
	}
}

// Record copies the event and returns; the event may be changed then. Events are
// delivered in the order of the calls, so those of one order keep theirs if they
// are recorded one after another.
//
// With the default configuration Record neither waits nor makes a system call, and
// nil means that the event survives the end of the process. With SyncEach it
// returns when the event is on disk, with FullBlock when there is room; ctx bounds
// only that. When ctx ends during the sync the event is recorded all the same.
//
// The errors are ErrSpoolFull, ErrClosed, and domain errors of class rejected for
// an event without a type, of an impossible time, or over 512 KiB of JSON. What the server
// refuses is told by Config.OnReject, Stats and the dead-letter file.
func (c *Client) Record(ctx context.Context, e *Event) error {
	start := c.cfg.clock.now()
	buffer, _ := c.buffers.Get().(*[]byte)
	defer c.buffers.Put(buffer)
	record, err := c.appendBody((*buffer)[:spool.HeadBytes], e, start)
	if err != nil {
		return err
	}
	*buffer = record
	if _, err := c.spool.Append(ctx, start.UnixNano(), record); err != nil {
		return err
	}
	c.cost.add(c.cfg.clock.since(start))
	return nil
}

// Flush waits until the server has answered everything that was recorded before
// the call. Its error is that of ctx, with what keeps the delivery.
func (c *Client) Flush(ctx context.Context) error {
	target := c.spool.Next()
	for {
		c.mu.Lock()
		progress := c.progress
		c.mu.Unlock()
		if max(c.spool.State().Delivered, 1) >= target {
			return nil
		}
		poke(c.wake)
		select {
		case <-progress:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waiting for the delivery: %w", ctx.Err()), c.Stats().Trouble)
		}
	}
}

// Close delivers until ctx ends, puts what is left on disk, and gives the spool
// up. What is left is no error: the next Open delivers it. Record must not be
// called any more; it returns ErrClosed.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.day.end(c) //nolint:contextcheck // it waits for nothing
	if err := c.Flush(ctx); err != nil {
		c.cfg.Log.InfoContext(ctx, "events are left in the spool", slog.Uint64("events", c.Stats().Pending), slog.Any("error", err))
	}
	c.stop()
	c.running.Wait()
	return c.spool.Close()
}

// moved tells those who wait that something was delivered.
func (c *Client) moved() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.progress)
	c.progress = make(chan struct{})
}

func (c *Client) troubled(err error) {
	if err == nil {
		c.trouble.Store(nil)
		return
	}
	c.trouble.Store(&err)
}

// poke asks whoever listens to look; one request is as good as many.
func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
