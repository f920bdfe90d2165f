package tlog

import (
	"context"
	"errors"
	"io/fs"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/tradetrail/tradetrail/tlog/verify"
)

// checkSigned looks at whether the tiles are what was signed last, and whether what is
// published, by the log and with the signatures of witnesses, is part of it. Nothing is
// signed on the word of the tiles alone: a log was signed when it was made.
func (l *Log) checkSigned(ctx context.Context, last Checkpoint, t *tree) error {
	if last.Note == "" {
		return doubt(nil, "the history of checkpoints is empty, although the first is signed when a log is made")
	}
	keys, err := ReadKeys(l.place.Dir)
	if err != nil {
		return err
	}
	if _, err := keys.Check(last.Note); err != nil {
		return doubt(err, "the last checkpoint of the history, of %d leaves, is not signed by the log's key", last.Size)
	}
	if last.Size > t.size() {
		return doubt(nil, "the tree has %d leaves, and %d are signed: its end was cut off", t.size(), last.Size)
	}
	edge, err := t.onDisk(ctx, last.Size)
	if err != nil {
		return err
	}
	if root, err := rootOf(edge); err != nil || root != last.Root {
		return doubt(err, "the tiles of %d leaves say root %s, and %s is signed", last.Size, root, last.Root)
	}
	for _, name := range []string{checkpointFile, witnessedFile} {
		c, err := l.noteIn(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is written again
		}
		if err != nil {
			return err
		}
		if _, err := keys.Check(c.Note); err != nil {
			return doubt(err, "the checkpoint of %d leaves in %s is not signed by the log's key", c.Size, name)
		}
		if c.Size > last.Size {
			return doubt(nil, "a checkpoint of %d leaves is in %s, and the history ends at one of %d: its end was cut off", c.Size, name, last.Size)
		}
		if err := l.begins(ctx, last, c, name); err != nil {
			return err
		}
	}
	return nil
}

// begins looks at whether the log of a checkpoint begins with that of another one. The
// tiles of its own size may have been swept away.
func (l *Log) begins(ctx context.Context, last, c Checkpoint, name string) error {
	if c.Size == 0 {
		if c.Root != verify.EmptyRoot() {
			return doubt(nil, "the checkpoint of no leaves in %s is signed with root %s", name, c.Root)
		}
		return nil
	}
	hashes, err := l.log.At(last.Size).Consistency(ctx, c.Size)
	if err != nil {
		return err
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, c.Size, last.Size, hashes, c.Root[:], last.Root[:]); err != nil {
		return doubt(err, "the log of %d leaves does not begin with the checkpoint of %d in %s, which is signed as well", last.Size, c.Size, name)
	}
	return nil
}
