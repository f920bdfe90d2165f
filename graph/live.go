package graph

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/backoff"
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
	WriteWithin             time.Duration // for a client to take each 64 KiB of what is sent; who does not is cut off and may resume
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

// writeUnit is what a client must take within WriteWithin.
const writeUnit = 64 << 10

// writeBy is when a client must have taken so many bytes, sent now.
func (l *live) writeBy(size int) time.Time {
	return l.Now().Add(l.WriteWithin * time.Duration(1+size/writeUnit))
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

	open *authz.Quota
}

func newQuota(of string, total, each int) *quota {
	return &quota{of: of, total: total, each: each, open: authz.NewQuota(total, each)}
}

// take counts one more, until release is called.
func (q *quota) take(ctx context.Context) (release func(), err error) {
	release, full := q.open.Take(ctx)
	switch {
	case full.All:
		return nil, tooMany(q.of, fmt.Sprintf("%d %s are open, and no more are taken", q.total, q.of))
	case full.Yours:
		return nil, tooMany(q.of, fmt.Sprintf("you have %d %s open, and may have no more", q.each, q.of))
	}
	return release, nil
}

// tooMany refuses what exceeds a limit.
func tooMany(what, message string) error {
	return &domain.Error{Class: domain.ClassRejected, Code: "too_many_" + what, Message: message}
}

// refusal is an error as the answer to an operation that was not begun.
func refusal(ctx context.Context, exec graphql.GraphExecutor, err error) gqlerror.List {
	return exec.DispatchError(ctx, gqlerror.List{gqlerror.WrapIfUnwrapped(err)}).Errors
}

// outcome is why a subscription has ended by itself, if that was an error. It
// belongs to what follows the events until that has ended: gqlgen says that there
// is no more also when only the context has ended.
type outcome struct {
	following sync.WaitGroup
	err       *gqlerror.Error
}

type outcomeKey struct{}

func withOutcome(ctx context.Context) (context.Context, *outcome) {
	o := &outcome{}
	return context.WithValue(ctx, outcomeKey{}, o), o
}

// outcomeOf is the outcome of the subscription of this context.
func outcomeOf(ctx context.Context) *outcome {
	if o, ok := ctx.Value(outcomeKey{}).(*outcome); ok {
		return o
	}
	return &outcome{} // of a transport that asks for none
}

// errors waits until nothing follows the events any more. The context of the
// subscription has ended by then, or its last event has been taken.
func (o *outcome) errors() gqlerror.List {
	o.following.Wait()
	if o.err == nil {
		return nil
	}
	return gqlerror.List{o.err}
}

// incomplete is why an update could not be resolved in full. It ends its
// subscription: whoever went on behind it would never see what is missing.
func incomplete(operation *graphql.OperationContext, update *graphql.Response) gqlerror.List {
	if operation.Operation.Operation != ast.Subscription {
		return nil
	}
	return update.Errors
}

// computing is what subscriptions compute. Each step takes a turn among the queries,
// and no more than maxComputing of them wait for one, so that thousands of
// subscribers can't keep queries out.
type computing struct {
	places chan struct{}
	turns  *turns
}

const maxComputing = maxRunning / 4

func newComputing(turns *turns) computing {
	return computing{make(chan struct{}, maxComputing), turns}
}

// errEnded is for nobody: whose turn has not come when ctx ends has gone.
var errEnded = &domain.Error{Class: domain.ClassTransient, Code: "ended", Message: "the subscription has ended"}

// step does something that takes no longer than a query, and waits for nothing but
// what it reads. It fails when ctx ends before its turn has come.
func (c computing) step(ctx context.Context, do func()) error {
	select {
	case c.places <- struct{}{}:
	case <-ctx.Done():
		return errEnded
	}
	defer func() { <-c.places }()
	for attempt := 0; c.turns.begin(ctx) != nil; attempt++ {
		if backoff.Wait(ctx, attempt, firstRetry, lastRetry) != nil {
			return errEnded
		}
	}
	defer c.turns.end()
	do()
	return nil
}

// What a subscription needs may be away for a while: it is asked for again.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = 2 * time.Second
)
