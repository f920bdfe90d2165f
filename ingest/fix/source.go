package fix

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// Recorder makes items durable; see ingest.Recorder.
type Recorder interface {
	Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error)
}

// Deps are what a session needs of the process.
type Deps struct {
	Recorder Recorder
	Origins  Origins // may be nil: orders are then joined within one life only
	Log      *slog.Logger
	Now      func() time.Time
	// Dir holds the sequence numbers, one file for each session.
	Dir string
}

// The waits of a session.
const (
	logonTimeout   = 10 * time.Second
	logoutTimeout  = 2 * time.Second
	writeTimeout   = 10 * time.Second
	firstReconnect = 500 * time.Millisecond
	mostReconnect  = 30 * time.Second
	firstRetry     = 100 * time.Millisecond
	mostRetry      = 5 * time.Second
)

// maxKnocking bounds the connections to an acceptor that have not logged on.
const maxKnocking = 16

// Source is one live session. It connects, or lets connect, again and again until
// its context ends. What a message says is durable before the next one is expected:
// a crash in between, of either side, leads to a message that is sent again and
// recognised. While the event store is away it reads no further, so that the
// counterparty waits, and keeps the session alive.
type Source struct {
	cfg      Config
	deps     Deps
	log      *slog.Logger
	password string
	tls      *tls.Config
	numbers  *numbers
	mapper   *Mapper
	listener net.Listener // of an acceptor
	up       atomic.Bool  // logged on
	away     atomic.Bool  // the store did not answer

	// What the connections, one after the other, hand on.
	batch []ingest.Item // to record
	held  held
}

// New makes a session; an acceptor listens from now on. Run must be called.
func New(cfg Config, deps Deps) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the FIX session %.80q: %w", cfg.Name, err)
	}
	s := &Source{
		cfg: cfg, deps: deps, log: deps.Log.With(slog.String("source", cfg.Name)),
		mapper: NewMapper(Options{CompID: cfg.SenderCompID, OrderPrefix: cfg.OrderPrefix, Origins: deps.Origins}),
	}
	var err error
	if s.password, err = cfg.password(); err != nil {
		return nil, err
	}
	if s.tls, err = cfg.tls(); err != nil {
		return nil, err
	}
	if s.numbers, err = openNumbers(filepath.Clean(deps.Dir), cfg.Name); err != nil {
		return nil, err
	}
	if cfg.Role == Acceptor {
		if s.listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.address()); err != nil {
			return nil, errors.Join(fmt.Errorf("listening for the FIX session %s: %w", cfg.Name, err), s.numbers.close())
		}
	}
	return s, nil
}

// Name is the source of the events.
func (s *Source) Name() string { return s.cfg.Name }

// Ready tells why nothing is recorded at the moment, or nil.
func (s *Source) Ready() error {
	switch {
	case s.up.Load() && s.away.Load():
		return &domain.Error{Class: domain.ClassTransient, Code: "store_away", Message: "the FIX session with " + s.cfg.TargetCompID + " waits for the event store"}
	case s.up.Load():
		return nil
	}
	return &domain.Error{Class: domain.ClassTransient, Code: "not_logged_on", Message: "the FIX session with " + s.cfg.TargetCompID + " is not logged on"}
}

// Addr is where an acceptor listens.
func (s *Source) Addr() net.Addr { return s.listener.Addr() }

// Run keeps the session up until ctx ends, and logs out then. An error is one that
// trying again does not help.
func (s *Source) Run(ctx context.Context) error {
	var err error
	if s.listener != nil {
		err = s.accept(ctx)
	} else {
		err = s.connect(ctx)
	}
	return errors.Join(err, s.numbers.close())
}

// connect is an initiator's life.
func (s *Source) connect(ctx context.Context) error {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		conn, err := s.dial(ctx)
		if err == nil {
			var loggedOn bool
			if loggedOn, err = newSession(s, conn).run(ctx); loggedOn {
				attempt = 0
			}
		}
		if err != nil && ctx.Err() == nil {
			if fatal(err) {
				return err
			}
			s.log.WarnContext(ctx, "the session ended", slog.Any("error", err))
		}
		_ = backoff.Wait(ctx, attempt, firstReconnect, mostReconnect) // the loop sees that ctx has ended
	}
	return nil
}

func (s *Source) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, logonTimeout)
	defer cancel()
	var conn net.Conn
	var err error
	if s.tls != nil {
		conn, err = (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", s.cfg.address())
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", s.cfg.address())
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", s.cfg.address(), err)
	}
	return conn, nil
}
