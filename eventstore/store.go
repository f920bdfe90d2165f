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

	"github.com/tradetrail/tradetrail/domain"
)

// callTimeout bounds a single call to the server. What runs longer has an
// unknown outcome and is tried again with the same ids.
const callTimeout = 15 * time.Second

// Store is a client of one event store. All methods may be called concurrently.
type Store struct {
	client *esdb.Client
	batch  *batcher // nil where BatchAppend is not to be had
	log    *slog.Logger
	name   string // for messages: the address without credentials

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // followers
}

// ParseURL reads an EventStoreDB connection string (esdb://, esdb+discover://,
// kurrentdb://) and sets what the client's defaults get wrong: with ten discovery
// attempts it would be dead for ever after one second without a server.
func ParseURL(url string) (*esdb.Configuration, error) {
	url = strings.Replace(url, "kurrentdb", "esdb", 1)
	cfg, err := esdb.ParseConnectionString(url)
	if err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "eventstore", "reading the connection string: %v", err)
	}
	cfg.MaxDiscoverAttempts = 1_000_000
	if !strings.Contains(strings.ToLower(url), "keepalivetimeout") {
		cfg.KeepAliveTimeout = 5 * time.Second
	}
	return cfg, nil
}

// Open connects to the event store. It does not wait for a server: the client
// connects at the first call. Close must be called.
func Open(cfg *esdb.Configuration, log *slog.Logger) (*Store, error) {
	cfg.Logger = clientLogger(log)
	client, err := esdb.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("opening event store at %s: %w", cfg.Address, err)
	}
	s := &Store{client: client, log: log, name: cfg.Address}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if s.batch, err = newBatcher(cfg, log); err != nil {
		return nil, errors.Join(fmt.Errorf("opening event store at %s: %w", cfg.Address, err), client.Close())
	}
	return s, nil
}

// Close ends all followers, waits for them, and closes the connections. Calls
// under way fail with ClassTransient.
func (s *Store) Close() error {
	s.cancel()
	s.wg.Wait() // the client panics if it is closed under an open subscription
	return errors.Join(s.batch.close(), s.client.Close())
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

// guard runs one call of the client and gives up with ctx, which the client
// itself does not while it looks for a server. The call's goroutine ends when
// the client finds one, or with Close.
func guard[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		var out outcome
		// The client panics when it is closed in the middle of some calls.
		defer func() {
			if p := recover(); p != nil {
				out.err = classified(domain.ClassTransient, CodeUnavailable, fmt.Sprint("event store client panicked: ", p), nil)
			}
			done <- out
		}()
		out.value, out.err = call()
	}()
	select {
	case out := <-done:
		return out.value, out.err
	case <-ctx.Done():
		var zero T
		return zero, context.Cause(ctx)
	}
}
