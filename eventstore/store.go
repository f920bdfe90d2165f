package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// callTimeout bounds a single call to the server. What runs longer has an
// unknown outcome and is tried again with the same ids.
const callTimeout = 15 * time.Second

// maxAlone bounds the clients, and connections, that appends take where the
// server has no BatchAppend.
const maxAlone = 64

// Store is a client of one event store. All methods may be called concurrently.
type Store struct {
	source  source
	clients *clients      // nil with a connection within this process
	alone   chan struct{} // holds a token for each append under way through the official client
	batch   *batcher
	log     *slog.Logger

	ctx    context.Context //nolint:containedctx // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // followers
}

// ParseURL reads an EventStoreDB connection string (esdb://, esdb+discover://,
// kurrentdb://) and sets what the client's defaults get wrong: half-open
// connections would be noticed late.
func ParseURL(url string) (*esdb.Configuration, error) {
	if rest, ok := strings.CutPrefix(url, "kurrentdb"); ok {
		url = "esdb" + rest
	}
	cfg, err := esdb.ParseConnectionString(url)
	if err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "eventstore", "reading the connection string: %v", err)
	}
	if !strings.Contains(strings.ToLower(url), "keepalivetimeout") {
		cfg.KeepAliveTimeout = 5 * time.Second
	}
	return cfg, nil
}

// Open connects to the event store. It does not wait for a server: the client
// connects at the first call. Close must be called.
func Open(cfg *esdb.Configuration, log *slog.Logger) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "eventstore", "%v", err)
	}
	own := *cfg
	own.Logger = clientLogger(log)
	own.MaxDiscoverAttempts = 1 // see clients
	batch, err := dialBatcher(&own)
	if err != nil {
		return nil, fmt.Errorf("opening event store at %s: %w", cfg.Address, err)
	}
	s := newStore(batch, log)
	s.clients = &clients{cfg: &own, life: s.ctx}
	s.source = s.clients
	return s, nil
}

// Over is a store over a connection to a server in this process, which must
// offer BatchAppend. Nothing is looked for and no socket is opened; the connection
// is the caller's to close, after Close. Close must be called.
func Over(conn grpc.ClientConnInterface, log *slog.Logger) *Store {
	s := newStore(newBatcher(conn), log)
	s.source = direct{conn}
	return s
}

func newStore(batch *batcher, log *slog.Logger) *Store {
	s := &Store{log: log, alone: make(chan struct{}, maxAlone), batch: batch}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// bound is ctx, ended by the store's Close too.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return bound(ctx, s.ctx)
}

// bound is ctx, ended by the end of life too.
func bound(ctx, life context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(life, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// pause is between two attempts. It ends with Close too.
func (s *Store) pause(ctx context.Context, attempt int) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return pause(ctx, attempt)
}

func pause(ctx context.Context, attempt int) error {
	return backoff.Wait(ctx, attempt, 20*time.Millisecond, 2*time.Second)
}

// Close ends all followers, waits for them, and closes the connections. Calls
// under way fail with ClassTransient.
func (s *Store) Close() error {
	s.cancel()
	s.wg.Wait()
	err := s.batch.close()
	if s.clients != nil {
		err = errors.Join(err, s.clients.close())
	}
	return err
}

// clientLogger brings the client's own log into ours. It calls reconnects
// errors; for us they are news, since every loop here retries.
func clientLogger(log *slog.Logger) esdb.LoggingFunc {
	return func(level esdb.LogLevel, format string, args ...any) {
		if level == esdb.LogDebug || level == esdb.LogInfo {
			return
		}
		log.Debug("event store client", slog.String("message", fmt.Sprintf(format, args...)))
	}
}
