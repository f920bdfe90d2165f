package tlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/internal/backoff"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Events is what the log is of.
type Events interface {
	At(ctx context.Context, p domain.Position) (eventstore.Record, error)
	Head(ctx context.Context) (domain.Position, error)
	Follow(ctx context.Context, after domain.Position) *eventstore.Follower
}

// Options of a log. All but Interval, Witnesses and Timestamps must be set.
type Options struct {
	Key      Key
	Now      func() time.Time
	Logger   *slog.Logger
	Registry prometheus.Registerer
	// Interval is the least time between two checkpoints; 0 is a second. After a
	// while without events the next one is sealed at once.
	Interval time.Duration
	// Witnesses cosign checkpoints; nil for none.
	Witnesses *Witnesses
	// Timestamps are asked for; nil for none.
	Timestamps *Timestamps
}

// DefaultInterval keeps an event waiting for its seal for a second at most, and the
// history of a busy day at about 30 MB.
const DefaultInterval = time.Second

// Log is a log that was created before. Its methods may be called concurrently.
type Log struct {
	*Reader

	place   Place
	saltKey []byte
	events  Events
	options Options
	board   *Board
	metrics *metrics

	mu      sync.Mutex
	problem error // of the last attempt to write; ClassIntegrity: there is no other
}

// Open opens a log that Create made. Nothing is written before Run. Close must be
// called, after Run has returned.
func Open(p Place, events Events, board *Board, options Options) (*Log, error) {
	exists, err := p.Exists()
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, &domain.Error{Class: domain.ClassNotFound, Code: CodeGone, Message: fmt.Sprintf("there is no log in %s", p.Dir)}
	}
	saltKey, err := ReadSaltKey(p.SaltKey)
	if err != nil {
		return nil, err
	}
	keys, err := ReadKeys(p.Dir)
	if err != nil {
		return nil, err
	}
	if _, _, err := keys.adopt(options.Key, keys[len(keys)-1].From); err != nil {
		return nil, err
	}
	if options.Interval == 0 {
		options.Interval = DefaultInterval
	}
	if t := options.Timestamps; t != nil && t.Every <= 0 {
		options.Timestamps = &Timestamps{t.Authority, DefaultTimestampEvery}
	}
	reader, err := OpenReader(p.Dir)
	if err != nil {
		return nil, err
	}
	l := &Log{Reader: reader, place: p, saltKey: saltKey, events: events, options: options, board: board, metrics: newMetrics()}
	for _, c := range l.metrics.all() {
		if err := options.Registry.Register(c); err != nil {
			return nil, errors.Join(fmt.Errorf("registering the metrics of the log: %w", err), reader.Close())
		}
	}
	return l, nil
}

// How long Run waits before it tries again what failed.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 10 * time.Second
	lockRetry  = time.Second
)

// Run makes leaves of events, signs, and asks witnesses, until ctx ends. While
// another process writes the log, it shows what that has signed, and waits to take
// over. It tries again whatever fails, and after a contradiction it only waits for
// ctx: see Ready.
func (l *Log) Run(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		sealed, err := l.writeOnce(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if sealed {
			attempt = 0 // it worked for a while: this is a new trouble
		}
		if errors.Is(err, errHeld) {
			l.say(nil)
			l.peek(ctx)
			if err := backoff.Wait(ctx, 0, lockRetry, lockRetry); err != nil {
				return err
			}
			attempt = -1
			continue
		}
		l.say(err)
		l.metrics.failures.Inc()
		if domain.ClassOf(err) == domain.ClassIntegrity {
			l.metrics.doubt.Set(1)
			l.options.Logger.ErrorContext(ctx, "the transparency log has stopped", slog.Any("error", err))
			<-ctx.Done()
			return ctx.Err()
		}
		l.options.Logger.WarnContext(ctx, "sealing is tried again", slog.Any("error", err), slog.Int("attempt", attempt))
		if err := backoff.Wait(ctx, attempt, firstRetry, lastRetry); err != nil {
			return err
		}
	}
}

// peek shows what the process that writes has signed.
func (l *Log) peek(ctx context.Context) {
	state, err := l.State(ctx)
	if err != nil {
		l.options.Logger.DebugContext(ctx, "another process's checkpoint can't be read", slog.Any("error", err))
		return
	}
	l.board.Post(state)
}

func (l *Log) say(problem error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problem = problem
}

// Ready is nil while the log can be written, as far as is known.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problem
}

// writeOnce writes until something fails; sealed says that it signed something
// before.
func (l *Log) writeOnce(ctx context.Context) (sealed bool, err error) {
	unlock, err := lock(l.place.Dir)
	if err != nil {
		return false, err
	}
	defer unlock()
	w, err := l.openWriter(ctx)
	if err != nil {
		return false, err
	}
	l.say(nil)
	group, life := errgroup.WithContext(ctx)
	group.Go(func() error { return w.follow(life) })
	if l.options.Witnesses != nil {
		group.Go(func() error { return l.cosign(life, w.tree.reader) })
	}
	if l.options.Timestamps != nil {
		group.Go(func() error { return l.timestamp(life) })
	}
	err = group.Wait()
	return w.sealed, err
}

// openWriter looks at whether the folder agrees with itself and with the events,
// and stands where it ends.
func (l *Log) openWriter(ctx context.Context) (*writer, error) {
	dir := l.place.Dir
	h, err := openHistory(filepath.Join(dir, historyDir), l.options.Now)
	if err != nil {
		return nil, err
	}
	t, err := openTree(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := l.checkSigned(ctx, h.last, t); err != nil {
		return nil, err
	}
	w := &writer{log: l, tree: t, signer: signer{l.options.Key.signer, h}, digester: verify.NewDigester(l.saltKey)}
	if err := w.checkLast(ctx); err != nil {
		return nil, err
	}
	if err := w.adoptKey(); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(filepath.Join(dir, checkpointFile+".new")); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	l.metrics.leaves.Set(float64(t.size()))
	return w, w.resume(ctx)
}
