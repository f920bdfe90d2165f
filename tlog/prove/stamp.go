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
	shown := &verify.Timestamp{Checkpoint: note, Hashes: []verify.Digest{}, Token: token}
	if stamped.Size < b.tree.Size() {
		if shown.Hashes, err = b.grown(ctx, stamped.Size); err != nil {
			return err
		}
	}
	signed := verify.Checkpoint{Origin: b.head.Origin, Size: b.tree.Size(), Root: b.root}
	if failure := signed.Extends(stamped.Checkpoint, shown.Hashes); failure != nil {
		return &domain.Error{Class: domain.ClassIntegrity, Code: CodeContradict, Message: "the log contradicts a checkpoint that was timestamped: " + failure.String()}
	}
	b.head.Timestamp = shown
	return nil
}

// grown shows that the tree has only grown since it had so many leaves.
func (b *builder) grown(ctx context.Context, size uint64) ([]verify.Digest, error) {
	raw, err := b.tree.Consistency(ctx, size)
	if err != nil {
		return nil, err
	}
	hashes := make([]verify.Digest, 0, len(raw))
	for _, h := range raw {
		hashes = append(hashes, verify.Digest(h))
	}
	return hashes, nil
}
