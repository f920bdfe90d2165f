package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"

	"github.com/tradetrail/tradetrail/domain"
)

const (
	// maxIdle is how many unused clients, each with its connection, are kept.
	maxIdle = 16
	// closeGrace is how long Close waits for what is under way.
	closeGrace = 10 * time.Second
)

// clients lends the official client out, to one user at a time.
//
// It can't be shared. While one of its calls looks for a server, all others
// hang, whatever their contexts say; once its attempts are used up they hang for
// ever, and closing it is a race with them; and each reconnect leaks the
// connection before. With one user there is nobody to hang: it looks for a
// server once, when it is made, and is thrown away when its connection breaks.
type clients struct {
	cfg  *esdb.Configuration
	life context.Context //nolint:containedctx // ends with the store's Close

	mu     sync.Mutex
	idle   []*esdb.Client
	closed bool
	uses   sync.WaitGroup // added to under mu, while not closed
}

// take waits for a connected client. It must be given back with give.
func (c *clients) take(ctx context.Context) (*esdb.Client, error) {
	ctx, cancel := bound(ctx, c.life)
	defer cancel()
	for attempt := 0; ; attempt++ {
		client, err := c.takeIdle()
		if client != nil || err != nil {
			return client, err
		}
		client, err = c.connect(ctx)
		if err == nil {
			return client, nil
		}
		if ended := pause(ctx, attempt); ended != nil {
			c.uses.Done()
			return nil, errors.Join(ended, err)
		}
		c.uses.Done() // takeIdle counts again
	}
}

// takeIdle counts a use, and returns nil if there is no idle client.
func (c *clients) takeIdle() (*esdb.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, classified(domain.ClassTransient, CodeUnavailable, "the event store's client is closed", context.Canceled)
	}
	c.uses.Add(1)
	last := len(c.idle) - 1
	if last < 0 {
		return nil, nil
	}
	client := c.idle[last]
	c.idle = c.idle[:last]
	return client, nil
}

// connect makes a client that has found a server. Looking for it may take some
// seconds that no context shortens, so it goes on without the caller.
func (c *clients) connect(ctx context.Context) (*esdb.Client, error) {
	type outcome struct {
		client *esdb.Client
		err    error
	}
	done := make(chan outcome)
	abandoned := make(chan struct{})
	c.uses.Add(1) // by one who has counted a use already
	go func() {
		client, err := c.dial()
		select {
		case done <- outcome{client, err}:
			c.uses.Done()
		case <-abandoned:
			c.give(client, err)
		}
	}()
	select {
	case o := <-done:
		return o.client, o.err
	case <-ctx.Done():
		close(abandoned)
		return nil, ctx.Err()
	}
}

func (c *clients) dial() (*esdb.Client, error) {
	client, err := esdb.NewClient(c.cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	if _, err := client.GetServerVersion(); err != nil { // the cheapest call that connects
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

// give ends a use of a client; err is what its last call said.
func (c *clients) give(client *esdb.Client, err error) {
	defer c.uses.Done()
	var unusable []*esdb.Client
	c.mu.Lock()
	switch {
	case client == nil:
	case connectionBroke(err):
		// The others have most likely lost theirs too.
		unusable = append(c.idle, client)
		c.idle = nil
	case c.closed || len(c.idle) == maxIdle:
		unusable = append(unusable, client)
	default:
		c.idle = append(c.idle, client)
	}
	c.mu.Unlock()
	for _, client := range unusable {
		_ = client.Close() // has nothing to say
	}
}

// close waits for all clients to be given back; the store's life has ended.
func (c *clients) close() error {
	c.mu.Lock()
	c.closed = true
	idle := c.idle
	c.idle = nil
	c.mu.Unlock()
	for _, client := range idle {
		_ = client.Close() // has nothing to say
	}
	given := make(chan struct{})
	go func() {
		c.uses.Wait()
		close(given)
	}()
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case <-given:
		return nil
	case <-timer.C:
		return fmt.Errorf("closing the event store's client: still in use after %s", closeGrace)
	}
}

// connectionBroke reports whether the client is of no more use after this error.
func connectionBroke(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, errPanicked) || grpcCode(err) == codes.Unavailable {
		return true
	}
	e, ok := errors.AsType[*esdb.Error](err)
	return ok && (e.Code() == esdb.ErrorUnavailable || e.Code() == esdb.ErrorCodeConnectionClosed)
}

var errPanicked = errors.New("the event store's client panicked")

// caught turns the client's panics into errors: it has some for answers that it
// does not expect.
func caught[T any](call func() (T, error)) (out T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = classified(domain.ClassTransient, CodeUnavailable, fmt.Sprint(p), errPanicked)
		}
	}()
	return call()
}
