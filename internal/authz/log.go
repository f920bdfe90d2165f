package authz

import (
	"context"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog"
)

// Log is the transparency log as a request's principal may see it. How far an event
// is sealed is for everybody to know who may read the event; checkpoints and proofs
// are of the resource tlog, since leaves name streams.
type Log struct {
	view   tlog.View
	policy Policy
}

// NewLog guards a view.
func NewLog(view tlog.View, policy Policy) *Log { return &Log{view, policy} }

// Allowed says whether the principal may read the log.
func (l *Log) Allowed(ctx context.Context) error {
	return Check(ctx, l.policy, Read, Resource{Kind: "tlog"})
}

// State is that of tlog.Board.
func (l *Log) State() (tlog.State, <-chan struct{}) { return l.view.State() }

// Index is that of tlog.View.
func (l *Log) Index(ctx context.Context, p domain.Position) (uint64, bool, error) {
	return l.view.Index(ctx, p)
}

// Checkpoint is that of tlog.View.
func (l *Log) Checkpoint(ctx context.Context) (tlog.Checkpoint, error) {
	if err := l.Allowed(ctx); err != nil {
		return tlog.Checkpoint{}, err
	}
	return l.view.Checkpoint()
}

// Prove is that of tlog.View.
func (l *Log) Prove(ctx context.Context, p domain.Position) (tlog.Proof, bool, error) {
	if err := l.Allowed(ctx); err != nil {
		return tlog.Proof{}, false, err
	}
	return l.view.Prove(ctx, p)
}
