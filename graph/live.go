package graph

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
)

// LiveLimits bound what clients that stay connected may use, and how long they are
// waited for.
type LiveLimits struct {
	Connections             int // over WebSocket and server-sent events together
	ConnectionsEach         int // of one principal
	Subscriptions           int
	SubscriptionsEach       int // of one principal
	OperationsPerConnection int // under way on one WebSocket, subscriptions included
	MessagesPerSecond       int // on one WebSocket, in the long run
	MessagesAtOnce          int // and in one burst
	MessageBytes            int64
	InitWithin              time.Duration // for a WebSocket client to say connection_init
	KeepAlive               time.Duration // between signs of life of ours; a WebSocket client that shows none for twice as long is cut off
	WriteWithin             time.Duration // for a client to take what is sent; who does not is cut off and may resume
	CloseWithin             time.Duration // for a client to answer that the connection is to be closed
	Now                     func() time.Time
}

// DefaultLiveLimits are what NewServer uses.
func DefaultLiveLimits() LiveLimits {
	return LiveLimits{
		Connections: 10_000, ConnectionsEach: 5_000,
		Subscriptions: 20_000, SubscriptionsEach: 10_000,
		OperationsPerConnection: 200,
		MessagesPerSecond:       100, MessagesAtOnce: 500, MessageBytes: 64 << 10,
		InitWithin: 10 * time.Second, KeepAlive: 30 * time.Second,
		WriteWithin: 30 * time.Second, CloseWithin: time.Second,
		Now: time.Now,
	}
}

// live is what all connections that stay share.
type live struct {
	LiveLimits

	log           *slog.Logger
	connections   *quota
	subscriptions *quota
}

func newLive(limits LiveLimits, log *slog.Logger) *live {
	return &live{
		LiveLimits: limits, log: log,
		connections:   newQuota("connections", limits.Connections, limits.ConnectionsEach),
		subscriptions: newQuota("subscriptions", limits.Subscriptions, limits.SubscriptionsEach),
	}
}

// quota counts what is open, in total and of each principal.
type quota struct {
	of          string
	total, each int

	mu   sync.Mutex
	open int
	by   map[string]int
}

func newQuota(of string, total, each int) *quota {
	return &quota{of: of, total: total, each: each, by: make(map[string]int)}
}

// take counts one more, until release is called.
func (q *quota) take(ctx context.Context) (release func(), err error) {
	principal, _ := authz.From(ctx)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.open >= q.total:
		return nil, tooMany(q.of, fmt.Sprintf("%d %s are open, and no more are taken", q.open, q.of))
	case q.by[principal.Name] >= q.each:
		return nil, tooMany(q.of, fmt.Sprintf("you have %d %s open, and may have no more", q.each, q.of))
	}
	q.open++
	q.by[principal.Name]++
	return sync.OnceFunc(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.open--
		if q.by[principal.Name]--; q.by[principal.Name] == 0 {
			delete(q.by, principal.Name)
		}
	}), nil
}

// tooMany refuses what exceeds a limit.
func tooMany(what, message string) error {
	return &domain.Error{Class: domain.ClassRejected, Code: "too_many_" + what, Message: message}
}

// refusal is an error as the answer to an operation that was not begun.
func refusal(ctx context.Context, exec graphql.GraphExecutor, err error) gqlerror.List {
	return exec.DispatchError(ctx, gqlerror.List{gqlerror.WrapIfUnwrapped(err)}).Errors
}

// outcome is why a subscription has ended by itself, if that was an error. What
// follows the events writes it before it closes the channel, the transport reads
// it afterwards.
type outcome struct{ err *gqlerror.Error }

type outcomeKey struct{}

func withOutcome(ctx context.Context) (context.Context, *outcome) {
	o := &outcome{}
	return context.WithValue(ctx, outcomeKey{}, o), o
}

// fail says why the subscription of this context ends.
func fail(ctx context.Context, err *gqlerror.Error) {
	if o, ok := ctx.Value(outcomeKey{}).(*outcome); ok {
		o.err = err
	}
}

func (o *outcome) errors() gqlerror.List {
	if o.err == nil {
		return nil
	}
	return gqlerror.List{o.err}
}
