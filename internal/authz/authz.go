// Package authz says who asks, and holds the one place that decides what they
// may do. Handlers and resolvers read through [Views] and record through
// [Recorder], which ask the [Policy] before they do anything: a rule needs no line
// in a resolver, and no resolver can forget one.
package authz

import (
	"context"

	"github.com/tradetrail/tradetrail/domain"
)

// Principal is who a request is made for.
type Principal struct {
	// Name is unique; limits per principal count by it.
	Name string
}

// Developer is everybody who reaches a server on which nobody is authenticated: it
// listens on loopback.
var Developer = Principal{Name: "local-developer"}

type principalKey struct{}

// With makes a context of a principal's request.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From is the principal of a request; ok is false when there is none.
func From(ctx context.Context) (p Principal, ok bool) {
	p, ok = ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// Action is what somebody wants to do with a resource.
type Action string

// The actions.
const (
	Read    Action = "read"
	Record  Action = "record"
	Operate Action = "operate" // rebuild, replay, back up
	Judge   Action = "judge"   // acknowledge, assign, comment and dismiss anomalies
)

// Resource is what an action is about: a kind (order, account, strategy, user,
// instrument, entity (TYPE:ID), anomaly, events, daily, latencies, projections, source,
// eventstore) and, unless it is all of that kind, an ID.
type Resource struct{ Kind, ID string }

func (r Resource) String() string {
	if r.ID == "" {
		return r.Kind
	}
	return r.Kind + " " + r.ID
}

// Policy decides. It must be safe for use by several goroutines and must not block:
// it is asked at every read.
type Policy interface {
	// Decide returns nil if the principal may, else an error of class Denied.
	Decide(ctx context.Context, p Principal, do Action, on Resource) error
}

// Codes of denials.
const (
	CodeUnauthenticated = "unauthenticated" // nobody is named
	CodeForbidden       = "forbidden"
)

// Denied is the error for a principal that may not.
func Denied(do Action, on Resource) error {
	return &domain.Error{Class: domain.ClassDenied, Code: CodeForbidden, Message: "you may not " + string(do) + " " + on.String()}
}

// AllowAll lets every principal do everything: for a server that only its own
// machine reaches.
type AllowAll struct{}

// Decide allows.
func (AllowAll) Decide(context.Context, Principal, Action, Resource) error { return nil }

// Check asks a policy on behalf of a request's principal. A request without one is
// denied whatever the policy says.
func Check(ctx context.Context, policy Policy, do Action, on Resource) error {
	p, ok := From(ctx)
	if !ok {
		return &domain.Error{Class: domain.ClassDenied, Code: CodeUnauthenticated, Message: "nobody is authenticated"}
	}
	return policy.Decide(ctx, p, do, on)
}
