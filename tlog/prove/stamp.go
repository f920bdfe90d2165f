package prove

import (
	"context"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Timestamps are the checkpoints of the log that an authority has timestamped.
type Timestamps interface {
	// Timestamp is the first one of at least size leaves, the last of which the store took
	// at a time, and its token. ok is false if there is none.
	Timestamp(size uint64, since time.Time) (checkpoint string, token verify.Bytes, ok bool, err error)
}

// WithTimestamps makes a prover show when there was what it proves: the first timestamp
// that covers all of it, once there is one.
func (p *Prover) WithTimestamps(t Timestamps) *Prover {
	with := *p
	with.stamps = t
	return &with
}

// stamp puts the timestamp of so many leaves into the head.
func (b *builder) stamp(ctx context.Context, leaves uint64) error {
	if b.stamps == nil || leaves == 0 {
		return nil
	}
	last, err := b.leaf(ctx, leaves-1)
	if err != nil {
		return err
	}
	note, token, ok, err := b.stamps.Timestamp(leaves, last.Created)
	if err != nil || !ok {
		return err
	}
	stamped, failure := b.keys.Open(note, nil)
	if failure != nil {
		return contradiction("the timestamped checkpoint: %s", failure)
	}
	if stamped.Size > b.tree.Size() {
		return nil // it is newer than the checkpoint of this bundle
	}
	hashes, failure, err := b.grown(ctx, stamped.Checkpoint)
	if err != nil {
		return err
	}
	if failure != nil {
		return &domain.Error{Class: domain.ClassIntegrity, Code: CodeContradict, Message: "the log contradicts a checkpoint that was timestamped: " + failure.String()}
	}
	b.head.Timestamp = &verify.Timestamp{Checkpoint: note, Hashes: hashes, Token: token}
	return nil
}
