// Package lease lets one of several processes do what only one should do, by a
// key in Redis that expires. It saves work and nothing more: a process that is
// paused may think that it holds the lease while another does. What it writes
// must be fenced.
package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/internal/backoff"
)

// A process that dies keeps the lease for TTL at most, and another tries every
// retryEvery at the latest: together less than 5 s.
const (
	TTL        = 3 * time.Second
	renewEvery = 1 * time.Second
	retryEvery = 500 * time.Millisecond
)

// Lease is the right to do something, under a name that all processes know.
type Lease struct {
	client redis.UniversalClient
	key    string
	holder string
	now    func() time.Time
	log    *slog.Logger
}

// New names a lease by its key in Redis. now must be a clock that never goes back.
// Nothing is taken yet.
func New(client redis.UniversalClient, key string, now func() time.Time, log *slog.Logger) *Lease {
	return &Lease{client: client, key: key, holder: uuid.NewString(), now: now, log: log}
}

var (
	// takeScript takes the lease or extends it.
	takeScript = redis.NewScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)
	giveScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)
)

// ErrLost is the cause of the end of a context whose lease was lost.
var ErrLost = errors.New("the lease is lost")

// Hold waits for the lease, then runs work with a context that ends when the
// lease is lost, by ErrLost, or with ctx. It gives the lease back and returns what work
// returned; an error of ctx if there was no work.
func (l *Lease) Hold(ctx context.Context, work func(ctx context.Context) error) error {
	asked, err := l.wait(ctx)
	if err != nil {
		return err
	}
	held, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		defer lose(ErrLost) // nothing any more where ctx has ended before
		l.keep(held, asked)
	}()
	err = work(held)
	lose(nil)
	<-kept
	give, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewEvery)
	defer cancel()
	if err := giveScript.Run(give, l.client, []string{l.key}, l.holder).Err(); err != nil {
		l.log.DebugContext(ctx, "the lease was not given back and will expire", slog.String("lease", l.key), slog.Any("error", err))
	}
	return err
}

// wait returns when the lease is taken, and when that was asked for: it expires
// TTL after that at the earliest.
func (l *Lease) wait(ctx context.Context) (asked time.Time, err error) {
	for attempt := 0; ; attempt++ {
		asked := l.now()
		taken, err := l.take(ctx)
		if taken {
			return asked, nil
		}
		if err != nil {
			l.log.DebugContext(ctx, "asking for the lease failed", slog.String("lease", l.key), slog.Any("error", err))
		}
		if err := backoff.Wait(ctx, attempt, retryEvery, retryEvery); err != nil {
			return time.Time{}, err
		}
	}
}

// Taken reports whether another process holds the lease at this moment. Whoever had it
// and was paused asks before he writes what another may have written meanwhile.
func (l *Lease) Taken(ctx context.Context) (bool, error) {
	holder, err := l.client.Get(ctx, l.key).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking who holds the lease %s: %w", l.key, err)
	}
	return holder != l.holder, nil
}

func (l *Lease) take(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, TTL)
	defer cancel()
	n, err := takeScript.Run(ctx, l.client, []string{l.key}, l.holder, TTL.Milliseconds()).Int()
	return n == 1, err
}

// keep extends the lease until ctx ends or it is lost: taken by another, or not
// certainly extended in time.
func (l *Lease) keep(ctx context.Context, asked time.Time) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		expired := time.NewTimer(asked.Add(TTL).Sub(l.now()))
		renewed := make(chan error, 1)
		renewing, cancel := context.WithCancel(ctx)
		at := l.now()
		go func() {
			taken, err := l.take(renewing)
			if err == nil && !taken {
				err = errTaken
			}
			renewed <- err
		}()
		lost := false
		select {
		case err := <-renewed:
			switch {
			case err == nil:
				asked = at
			case errors.Is(err, errTaken):
				lost = true
			}
		case <-expired.C:
			lost = true
		case <-ctx.Done():
		}
		expired.Stop()
		cancel()
		if lost || l.now().Sub(asked) >= TTL {
			if ctx.Err() == nil {
				l.log.WarnContext(ctx, "the lease is lost", slog.String("lease", l.key))
			}
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

var errTaken = errors.New("another process holds the lease")
