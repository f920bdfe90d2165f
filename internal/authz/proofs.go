package authz

import (
	"context"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/prove"
)

// Proofs are proof bundles for principals. A redacted one needs the same right:
// it tells that there are events, and when they were recorded.
type Proofs struct {
	prover *prove.Prover
	policy Policy
}

// NewProofs guards a prover.
func NewProofs(prover *prove.Prover, policy Policy) *Proofs { return &Proofs{prover, policy} }

// Event is prove.Prover's, for whoever may read all events: whose it is, is known
// only when it is found.
func (p *Proofs) Event(ctx context.Context, to io.Writer, id uuid.UUID, stream string, o prove.Options) error {
	if err := Check(ctx, p.policy, Read, Resource{Kind: "events"}); err != nil {
		return err
	}
	return p.prover.Event(ctx, to, id, stream, o)
}

// EventAt is prove.Prover's, for whoever may read all events.
func (p *Proofs) EventAt(ctx context.Context, to io.Writer, id uuid.UUID, at domain.Position, o prove.Options) error {
	if err := Check(ctx, p.policy, Read, Resource{Kind: "events"}); err != nil {
		return err
	}
	return p.prover.EventAt(ctx, to, id, at, o)
}

// Order is prove.Prover's, for whoever may read the order.
func (p *Proofs) Order(ctx context.Context, to io.Writer, order string, related []domain.Position, o prove.Options) error {
	if err := Check(ctx, p.policy, Read, Resource{Kind: "order", ID: order}); err != nil {
		return err
	}
	return p.prover.Order(ctx, to, order, related, o)
}

// Window is prove.Prover's, for whoever may read all events.
func (p *Proofs) Window(ctx context.Context, to io.Writer, from, until time.Time, o prove.Options) error {
	if err := Check(ctx, p.policy, Read, Resource{Kind: "events"}); err != nil {
		return err
	}
	return p.prover.Window(ctx, to, from, until, o)
}
