package prove

import (
	"context"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// EventAt writes the bundle of the event at a position, which must have this id in the
// store. It is Event without looking through the log.
func (p *Prover) EventAt(ctx context.Context, to io.Writer, id uuid.UUID, at domain.Position, o Options) error {
	b, err := p.begin(ctx, to, o)
	if err != nil {
		return err
	}
	index, exact, err := b.tree.Find(ctx, at)
	if err != nil {
		return err
	}
	if index == b.tree.Size() {
		return &domain.Error{Class: domain.ClassNotFound, Code: CodeUnsealed, Message: fmt.Sprintf("what stands at %s, or behind it, is in no checkpoint yet", at)}
	}
	unknown := &domain.Error{Class: domain.ClassNotFound, Code: CodeUnknown, Message: fmt.Sprintf("event %s does not stand at %s", id, at)}
	if !exact {
		return unknown
	}
	leaf, err := b.leaf(ctx, index)
	if err != nil {
		return err
	}
	if leaf.ID != id {
		return unknown
	}
	if err := b.settle(ctx, index+1); err != nil {
		return err
	}
	return b.write(verify.KindEvent, verify.Subject{Event: id.String()}, func() error { return b.single(ctx, index, at) })
}
