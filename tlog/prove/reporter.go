package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Awaiting waits until a checkpoint includes the event at a position, as long as it
// finds worth while. That none came is no error.
type Awaiting func(ctx context.Context, p domain.Position) error

// Reporter proves what reports show. Its methods may be called concurrently.
type Reporter struct {
	prover *Prover
	signer note.Signer
	await  Awaiting
}

// NewReporter seals with the key of the log. signer may be nil, in a process that
// only reads the log: reports then are proven, and not sealed. await may be nil.
func NewReporter(prover *Prover, signer note.Signer, await Awaiting) *Reporter {
	return &Reporter{prover, signer, await}
}

// Report begins the proof of a report of what was recorded up to a position: under
// the newest checkpoint, or the newest that witnesses have signed if it has all of that.
// It stays the same for all of the report.
func (r *Reporter) Report(ctx context.Context, upTo domain.Position) (*Report, error) {
	if r.await != nil {
		if err := r.await(ctx, upTo); err != nil {
			return nil, err
		}
	}
	b, err := r.prover.begin(ctx, nil, Options{})
	if err != nil {
		return nil, err
	}
	leaves, exact, err := b.tree.Find(ctx, upTo)
	if err != nil {
		return nil, err
	}
	if exact {
		leaves++
	}
	b.choose(leaves)
	return &Report{b: b, signer: r.signer}, nil
}

// Report finds the leaves of the events that one report shows, remembers which they
// were, and proves them at its end. It takes 8 bytes for each event. It is for one
// goroutine.
type Report struct {
	b        *builder
	signer   note.Signer
	last     verify.Leaf // found before this one, and its index
	index    uint64
	found    bool
	shown    []uint64
	unsealed uint64
}

// Checkpoint is what the report is proven under.
func (r *Report) Checkpoint() verify.Checkpoint { return r.b.checkpoint() }

// Key is the public key that seals: that in the head of the bundle.
func (r *Report) Key() string { return r.b.head.Key }

// Seals reports whether the report can be sealed.
func (r *Report) Seals() bool { return r.signer != nil }

// SealedTo is the position of the last event that the checkpoint includes; zero if it
// has none.
func (r *Report) SealedTo(ctx context.Context) (domain.Position, error) {
	if r.b.tree.Size() == 0 {
		return domain.Position{}, nil
	}
	leaf, err := r.b.leaf(ctx, r.b.tree.Size()-1)
	return leaf.Position, err
}

// Leaf is the index and the hash of the leaf of the event at a position, which the
// report shows. ok is false if it is not sealed yet.
func (r *Report) Leaf(ctx context.Context, at domain.Position) (index uint64, hash verify.Digest, ok bool, err error) {
	leaf, index, err := r.find(ctx, at)
	if err != nil {
		return 0, hash, false, err
	}
	if index == r.b.tree.Size() {
		r.unsealed++
		return 0, hash, false, nil
	}
	r.last, r.index, r.found = leaf, index, true
	if n := len(r.shown); n == 0 || r.shown[n-1] != index {
		r.shown = append(r.shown, index)
	}
	return index, verify.LeafHash(leaf.Marshal()), true, nil
}

// find looks behind the last one first: most reports are in the order of the log.
func (r *Report) find(ctx context.Context, at domain.Position) (leaf verify.Leaf, index uint64, err error) {
	if index = r.index + 1; r.found && index < r.b.tree.Size() {
		if leaf, err = r.b.leaf(ctx, index); err != nil || leaf.Position == at {
			return leaf, index, err
		}
	}
	index, exact, err := r.b.tree.Find(ctx, at)
	if err != nil || index == r.b.tree.Size() {
		return leaf, index, err
	}
	if !exact {
		return leaf, index, contradiction("the event at %s has no leaf", at)
	}
	leaf, err = r.b.leaf(ctx, index)
	return leaf, index, err
}

// Bundle writes the proof of all events that were asked for so far. It keeps at most
// 256 of them in memory, or 2 MiB. name is what the bundle calls the report.
func (r *Report) Bundle(ctx context.Context, to io.Writer, name string) error {
	slices.Sort(r.shown)
	r.shown = slices.Compact(r.shown)
	r.b.to = to
	subject := verify.Subject{Report: name, Events: uint64(len(r.shown)), Unsealed: r.unsealed}
	return r.b.write(verify.KindReport, subject, func() error {
		for part := range slices.Chunk(r.shown, verify.RunEntries) {
			if err := r.b.scatter(ctx, part); err != nil {
				return err
			}
		}
		return nil
	})
}

// Seal signs the seal of a file whose digest without it is known, and which has the
// bundle at a place.
func (r *Report) Seal(created time.Time, offset, length uint64, digest verify.Digest) ([]byte, error) {
	if r.signer == nil {
		return nil, errors.New("sealing a report: this process has no key of the log")
	}
	s := verify.Seal{Checkpoint: r.Checkpoint(), Created: created.UTC(), Offset: offset, Length: length, Digest: digest}
	text, err := note.Sign(&note.Note{Text: s.Text()}, r.signer)
	if err != nil {
		return nil, fmt.Errorf("sealing a report: %w", err)
	}
	if len(text) > verify.MaxSealed/2 {
		return nil, fmt.Errorf("sealing a report: the log's origin has %d bytes, which is too long", len(s.Origin))
	}
	return text, nil
}

// scatter writes some leaves and their proof, in as many parts as their payloads ask
// for.
func (b *builder) scatter(ctx context.Context, indexes []uint64) error {
	next, stop, err := b.scattered(ctx, indexes)
	if err != nil {
		return err
	}
	defer stop()
	var entries []verify.Entry
	taken, begun := 0, 0
	for i, index := range indexes {
		record, err := next(index)
		if err != nil {
			return err
		}
		entry, err := b.entry(ctx, index, record)
		if err != nil {
			return err
		}
		entries = append(entries, entry)
		if taken += weightOf(record); taken >= runBytes || i+1 == len(indexes) {
			if err := b.together(ctx, indexes[begun:i+1], entries); err != nil {
				return err
			}
			entries, taken, begun = entries[:0], 0, i+1
		}
	}
	return nil
}

func (b *builder) together(ctx context.Context, indexes []uint64, entries []verify.Entry) error {
	beside, err := b.tree.Scatter(ctx, indexes)
	if err != nil {
		return err
	}
	root, err := verify.RootOfAll(indexes, b.tree.Size(), verify.Leaves(entries), beside)
	if err != nil {
		return err
	}
	if root != b.root {
		return contradiction("leaf %d and the %d behind it that are shown are not under the newest checkpoint", indexes[0], len(indexes)-1)
	}
	return b.out.Scatter(verify.Scatter{Indexes: indexes, Beside: beside, Entries: entries})
}

// dense is how many events of the store may be read for one that is wanted: reading
// on is that much cheaper than asking for a single one.
const dense = 8

// scattered reads the events of leaves, which must be asked for in their order. stop
// must be called.
func (b *builder) scattered(ctx context.Context, indexes []uint64) (next func(uint64) (*eventstore.Record, error), stop func(), err error) {
	first, behind := indexes[0], indexes[len(indexes)-1]+1
	if behind-first <= dense*uint64(len(indexes)) {
		pull, stop, err := b.records(ctx, first, behind)
		return func(index uint64) (record *eventstore.Record, err error) {
			for ; err == nil && first <= index; first++ {
				record, err = pull()
			}
			return record, err
		}, stop, err
	}
	return func(index uint64) (*eventstore.Record, error) {
		leaf, err := b.leaf(ctx, index)
		if err != nil {
			return nil, err
		}
		return b.record(ctx, index, leaf.Position)
	}, func() {}, nil
}
