package fix

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// The bounds of a connection.
const (
	maxArrivals = 256     // messages that were read and not yet looked at
	maxBatch    = 256     // messages recorded in one go
	maxBytes    = 8 << 20 // and about so many bytes
	// giveUpAfter is how often a message is asked for that never comes whole. Then
	// the session goes on without it: the gap stays noted as open, the broken bytes
	// are in quarantine.
	giveUpAfter = 3
	// resendPatience is how long a resend may make no progress.
	resendPatience = 30 * time.Second
)

// session is one connection. All but the reading is done by one goroutine.
type session struct {
	*Source
	conn     net.Conn
	arrivals chan arrival
	reading  sync.WaitGroup
	closed   chan struct{}
	once     sync.Once
	first    *arrival // the logon, which an acceptor has read already

	loggedOn  bool
	leaving   bool // a logout was said, by either side
	heartbeat time.Duration
	heard     time.Time // when anything came, and went out, last
	spoke     time.Time
	tested    bool // a test request is under way

	next    int // the number expected of the counterparty, ahead of numbers.in until flush
	gap     *span
	asked   bool // a resend request is under way
	askedAt time.Time
	passed  int // the lowest number behind next that was sent again; see beyond
	retries int
}

type arrival struct {
	piece Piece
	at    time.Time
	err   error // the connection has ended
}

func newSession(s *Source, conn net.Conn) *session {
	return &session{
		Source: s, conn: conn, arrivals: make(chan arrival, maxArrivals), closed: make(chan struct{}),
		heartbeat: s.cfg.heartbeat(),
	}
}

// read begins to read messages, until the connection ends.
func (s *session) read() {
	s.reading.Go(func() {
		log := NewLog(s.conn, s.cfg.Name)
		for {
			piece, err := log.Next()
			a := arrival{piece: piece, at: s.deps.Now(), err: err}
			select {
			case s.arrivals <- a:
			case <-s.closed:
				return
			}
			if err != nil {
				return
			}
		}
	})
}

func (s *session) hangUp() {
	s.once.Do(func() { close(s.closed) })
	_ = s.conn.Close() // whatever was to be said, was
	s.reading.Wait()
}

var (
	errLoggedOut = errors.New("the counterparty has logged out")
	errSilent    = errors.New("the counterparty is silent")
	errTooLow    = errors.New("the counterparty's numbers are lower than those that it has used: agree with it on numbers, or have it log on with ResetSeqNumFlag")
)

// run is the session from its logon to its end. It reports whether it was logged
// on; the error is why it ended.
func (s *session) run(ctx context.Context) (loggedOn bool, err error) {
	defer s.hangUp()
	defer s.up.Store(false)
	s.next = s.numbers.in
	s.heard, s.spoke = s.deps.Now(), s.deps.Now()
	if s.first == nil {
		s.read()
		if err := s.logon(ctx, s.cfg.ResetOnLogon); err != nil {
			return false, err
		}
	} else if err := s.take(ctx, *s.first); err != nil {
		return s.loggedOn, errors.Join(err, s.flush(ctx))
	}
	err = s.talk(ctx)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTimeout)
	defer cancel()
	if ctx.Err() != nil && s.loggedOn {
		err = s.leave(end)
	}
	if s.loggedOn && !s.leaving {
		s.batch = append(s.batch, ingest.Item{Event: s.them().noted(domain.SessionDisconnected, span{s.next, s.numbers.out}, s.deps.Now())})
	}
	return s.loggedOn, errors.Join(err, s.flush(end), s.numbers.sync())
}

func (s *session) them() parties {
	return parties{s.cfg.BeginString, s.cfg.TargetCompID, s.cfg.SenderCompID}
}

// talk takes what comes, in batches, until the session ends.
func (s *session) talk(ctx context.Context) error {
	beat := time.NewTicker(min(s.heartbeat, logonTimeout) / 10)
	defer beat.Stop()
	for {
		if err := s.flush(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
			if err := s.beat(ctx); err != nil {
				return err
			}
		case a := <-s.arrivals:
			if err := s.take(ctx, a); err != nil {
				return err
			}
			for n := 1; n < maxBatch && !s.full() && len(s.arrivals) > 0; n++ {
				if err := s.take(ctx, <-s.arrivals); err != nil {
					return err
				}
			}
		}
	}
}

// leave logs out and waits for the answer, which may be behind other messages.
func (s *session) leave(ctx context.Context) error {
	if err := errors.Join(s.flush(ctx), s.send(ctx, "5", "")); err != nil {
		return err
	}
	s.leaving = true
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-s.arrivals:
			err := s.take(ctx, a)
			if err = errors.Join(err, s.flush(ctx)); err != nil {
				return nil //nolint:nilerr // the end that was asked for
			}
		}
	}
}

// beat keeps the session alive and notices when the other side is gone.
func (s *session) beat(ctx context.Context) error {
	now := s.deps.Now()
	switch silent := now.Sub(s.heard); {
	case !s.loggedOn && silent > logonTimeout:
		return errors.New("no logon came in time")
	case !s.loggedOn:
		return nil
	case s.tested && silent > 2*s.heartbeat+s.heartbeat/2:
		return errSilent
	case !s.tested && silent > s.heartbeat+s.heartbeat/5:
		s.tested = true
		return s.send(ctx, "1", field1(tagTestReqID, formatTime(now)))
	case now.Sub(s.spoke) >= s.heartbeat:
		return s.send(ctx, "0", "")
	default:
		return nil
	}
}

// full reports whether a batch is large enough to be recorded.
func (s *session) full() bool {
	bytes := 0
	for i := range s.batch {
		if bytes += len(s.batch[i].Raw); s.batch[i].Event != nil {
			bytes += len(s.batch[i].Event.Raw) + len(s.batch[i].Event.Data)
		}
	}
	return len(s.batch) >= maxBatch || bytes >= maxBytes
}

// flush records what was taken and then, only then, raises the number expected.
// While the store is away it tries again and keeps the session alive. What is not
// recorded when the connection ends is so on the next one: the mapper has seen it,
// and would not say again what it said of it.
func (s *session) flush(ctx context.Context) error {
	if len(s.batch) > 0 {
		err := s.insist(ctx, "recording", func() error {
			_, err := s.deps.Recorder.Record(ctx, s.cfg.Name, s.batch)
			return err
		})
		if err != nil {
			return err
		}
		clear(s.batch)
		s.batch = s.batch[:0]
	}
	if err := s.numbers.set(s.next, s.numbers.out); err != nil {
		return errors.Join(errFatal, err)
	}
	return nil
}

// insist does what needs the store, again and again until it is done or ctx ends;
// only where the store is in doubt it gives up.
func (s *session) insist(ctx context.Context, what string, do func() error) error {
	for attempt := 0; ; attempt++ {
		err := s.beside(ctx, do)
		s.away.Store(err != nil)
		switch {
		case err == nil:
			return nil
		case domain.ClassOf(err) == domain.ClassIntegrity:
			return errors.Join(errFatal, fmt.Errorf("%s: %w", what, err))
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, err)
		}
		s.log.WarnContext(ctx, "the store did not answer: trying again", slog.String("what", what), slog.Int("items", len(s.batch)), slog.Any("error", err))
		if err := backoff.Wait(ctx, attempt, firstRetry, mostRetry); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// beside does something beside the heartbeats, since the store may take long.
func (s *session) beside(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	beat := time.NewTicker(s.heartbeat)
	defer beat.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-beat.C:
			if s.loggedOn && s.deps.Now().Sub(s.spoke) >= s.heartbeat {
				if err := s.send(ctx, "0", ""); err != nil {
					s.log.WarnContext(ctx, "a heartbeat could not be sent", slog.Any("error", err)) // the reader will see it too
				}
			}
			s.heard = s.deps.Now() // nobody has listened
		}
	}
}
