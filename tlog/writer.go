package tlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/internal/durable"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// maxBatch bounds what waits to become leaves, and with it what one death can undo:
// about a MiB.
const maxBatch = 4096

// writer writes the log, from one goroutine that holds its lock.
type writer struct {
	log      *Log
	tree     *tree
	signer   signer
	digester *verify.Digester
	last     domain.Position // of the last leaf
	sealed   bool            // something was signed

	pending  [][]byte
	end      domain.Position // of the last pending one
	oldest   time.Time       // when the store took the oldest event that is not sealed
	lastSeal time.Time
	swept    uint64
}

// LeafOf is the leaf of a stored event.
func LeafOf(digester *verify.Digester, r eventstore.Record) []byte {
	leaf := verify.Leaf{Position: r.Position, Stream: r.Stream, Revision: r.Revision, ID: r.ID, Created: r.Created}
	leaf.Digest = digester.Digest(&leaf, verify.Payload{Type: r.Type, Data: r.Data, Metadata: r.Metadata})
	return leaf.Marshal()
}

// checkLast looks at whether the last leaf is in the tree, and is of the event that
// the store has in its place.
func (w *writer) checkLast(ctx context.Context) error {
	size := w.tree.size()
	if size == 0 {
		return nil
	}
	text, err := w.lastLeaf(ctx)
	if err != nil {
		return err
	}
	leaf, err := verify.ParseLeaf(text)
	if err != nil {
		return damaged(fmt.Sprintf("leaf %d", size-1), err)
	}
	record, err := w.log.events.At(ctx, leaf.Position)
	if eventstore.NoEvent(err) {
		// A store in trouble can say the same for a while.
		if _, headErr := w.log.events.Head(ctx); headErr != nil {
			return fmt.Errorf("reading the event of leaf %d: %w", size-1, errors.Join(headErr, err))
		}
		record, err = w.log.events.At(ctx, leaf.Position)
	}
	switch {
	case eventstore.NoEvent(err):
		return doubt(err, "leaf %d is of an event at %s, and the event store has none there", size-1, leaf.Position)
	case err != nil:
		return fmt.Errorf("reading the event of leaf %d: %w", size-1, err)
	case !bytes.Equal(LeafOf(w.digester, record), text):
		return doubt(nil, "leaf %d and the event at %s differ", size-1, leaf.Position)
	}
	w.last = leaf.Position
	return nil
}

// lastLeaf reads the last leaf and looks at whether it is in the tree.
func (w *writer) lastLeaf(ctx context.Context) ([]byte, error) {
	size := w.tree.size()
	read := w.log.log.At(size)
	leaf, err := read.Leaf(ctx, size-1)
	if err != nil {
		return nil, err
	}
	hashes, err := read.Inclusion(ctx, size-1)
	if err != nil {
		return nil, err
	}
	root, err := rootOf(w.tree.seen)
	if err != nil {
		return nil, err
	}
	hash := rfc6962.DefaultHasher.HashLeaf(leaf)
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, size-1, size, hash, hashes, root[:]); err != nil {
		return nil, doubt(err, "leaf %d is not the one under the root of %d", size-1, size)
	}
	return leaf, nil
}

// adoptKey lets the key of this process sign from now on.
func (w *writer) adoptKey() error {
	dir := w.log.place.Dir
	keys, err := ReadKeys(dir)
	if err != nil {
		return err
	}
	keys, rotated, err := keys.adopt(w.log.options.Key, w.tree.size())
	if err != nil || !rotated {
		return err
	}
	if err := writeKeys(dir, keys); err != nil {
		return err
	}
	w.log.options.Logger.Info("the log has another key", slog.String("vkey", w.log.options.Key.Verifier()), slog.Uint64("from", w.tree.size()))
	return nil
}

// resume shows what is signed, and publishes it if a crash came between.
func (w *writer) resume(ctx context.Context) error {
	sealed := w.signer.history.last
	var err error
	if sealed.Last, err = w.log.lastOf(ctx, sealed.Size); err != nil {
		return err
	}
	if err := w.publish(ctx, sealed); err != nil {
		return err
	}
	w.swept = sealed.Size - min(sealed.Size, 1<<16) // a crash may have left some of the newest
	return w.seal(ctx)
}

func (w *writer) publish(ctx context.Context, c Checkpoint) error {
	if err := durable.Replace(filepath.Join(w.log.place.Dir, checkpointFile), []byte(c.Note), publicMode); err != nil {
		return err
	}
	witnessed, err := w.log.cosigned(ctx)
	if err != nil {
		return err
	}
	w.log.metrics.sealed.Set(float64(c.Size))
	w.log.board.Post(State{Sealed: c, Witnessed: witnessed})
	return nil
}

// follow makes leaves of what is recorded until something fails.
func (w *writer) follow(ctx context.Context) error {
	follower := w.log.events.Follow(ctx, w.last)
	defer follower.Close()
	for {
		slice, err := w.next(ctx, follower)
		if err != nil {
			return err
		}
		for _, r := range slice.Records {
			if r.Position.Compare(w.position()) <= 0 {
				return doubt(nil, "the event store delivered %s after %s", r.Position, w.position())
			}
			if w.oldest.IsZero() {
				w.oldest = r.Created
			}
			w.pending, w.end = append(w.pending, LeafOf(w.digester, r)), r.Position
		}
		if w.due() || len(w.pending) >= maxBatch {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
		if w.due() {
			if err := w.seal(ctx); err != nil {
				return err
			}
		}
	}
}

func (w *writer) position() domain.Position {
	if len(w.pending) > 0 {
		return w.end
	}
	return w.last
}

// next waits for events; while there are some without a seal, only until that is
// due.
func (w *writer) next(ctx context.Context, follower *eventstore.Follower) (eventstore.Slice, error) {
	if w.unsealed() == 0 {
		return follower.Next(ctx, maxBatch)
	}
	wait, cancel := context.WithTimeout(ctx, w.untilDue())
	defer cancel()
	slice, err := follower.Next(wait, maxBatch-len(w.pending))
	if err != nil && wait.Err() != nil && ctx.Err() == nil {
		return eventstore.Slice{}, nil
	}
	return slice, err
}

func (w *writer) unsealed() uint64 {
	return w.tree.size() + uint64(len(w.pending)) - w.signer.history.last.Size
}

func (w *writer) due() bool { return w.unsealed() > 0 && w.untilDue() <= 0 }

// untilDue is never more than the interval, also when the clock was put back.
func (w *writer) untilDue() time.Duration {
	interval := w.log.options.Interval
	since := w.log.options.Now().Sub(w.lastSeal)
	if w.lastSeal.IsZero() || since < 0 {
		return 0
	}
	return interval - since
}

// flush makes leaves of what is pending.
func (w *writer) flush(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	if err := w.tree.append(ctx, w.pending); err != nil {
		return err
	}
	w.last = w.end
	clear(w.pending)
	w.pending = w.pending[:0]
	w.log.metrics.leaves.Set(float64(w.tree.size()))
	return nil
}

// seal signs the tree, if it has grown.
func (w *writer) seal(ctx context.Context) error {
	if w.unsealed() == 0 {
		return nil
	}
	root, err := w.tree.root(ctx)
	if err != nil {
		return err
	}
	c, err := w.signer.sign(Checkpoint{Origin: w.signer.Name(), Size: w.tree.size(), Root: root, Last: w.last})
	if err != nil {
		return err
	}
	if err := w.publish(ctx, c); err != nil {
		return err
	}
	w.lastSeal, w.sealed = w.log.options.Now(), true
	if !w.oldest.IsZero() {
		w.log.metrics.delay.Observe(w.lastSeal.Sub(w.oldest).Seconds())
		w.oldest = time.Time{}
	}
	err = w.tree.sweep(w.swept, c.Size)
	w.swept = c.Size
	return err
}
