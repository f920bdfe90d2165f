package prove

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog/tiles"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// runBytes is how many bytes of payload begin a new run, well below what a
// verifier takes.
const runBytes = 2 << 20

// builder makes one bundle under one checkpoint.
type builder struct {
	*Prover

	to     io.Writer
	out    *verify.Writer
	redact bool
	keys   verify.Keys
	head   verify.Header
	root   verify.Digest
	tree   tiles.Tree

	// Chosen between once it is known what is proven.
	newest, witnessed candidate
	older             *verify.Signed
	kept              string // the note of older
}

// candidate is a checkpoint that something can be proven under.
type candidate struct {
	note   string
	signed verify.Signed
}

// begin looks at the newest checkpoint. The keys are read behind it: whoever takes
// over is among them before it signs.
func (p *Prover) begin(ctx context.Context, to io.Writer, o Options) (*builder, error) {
	newest, err := p.log.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	witnessed, err := p.log.Witnessed(ctx)
	if err != nil {
		return nil, err
	}
	b := &builder{Prover: p, to: to, redact: o.Redact, kept: o.Older}
	if b.keys, err = p.known(); err != nil {
		return nil, err
	}
	if b.newest, err = b.open("the newest checkpoint", newest); err != nil {
		return nil, err
	}
	if len(witnessed) > 0 {
		if b.witnessed, err = b.open("the newest witnessed checkpoint", witnessed); err != nil {
			return nil, err
		}
	}
	b.use(b.newest)
	if o.Older == "" {
		return b, nil
	}
	older, failure := b.keys.Open(o.Older, nil)
	if failure != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "checkpoint", "%s", failure)
	}
	b.older = &older
	return b, nil
}

func (b *builder) open(what string, note []byte) (candidate, error) {
	signed, failure := b.keys.Open(string(note), nil)
	if failure != nil {
		return candidate{}, contradiction("%s: %s", what, failure)
	}
	return candidate{string(note), signed}, nil
}

// use proves under a checkpoint.
func (b *builder) use(c candidate) {
	b.root, b.tree = c.signed.Root, b.log.At(c.signed.Size)
	b.head.Origin, b.head.Checkpoint = c.signed.Origin, c.note
	for _, key := range b.keys {
		if strings.HasPrefix(key.String(), c.signed.Key+"+") {
			b.head.Key = key.String()
		}
	}
}

// choose takes the checkpoint that witnesses have signed if it has all leaves that the
// proof needs, and if the key of the newest one signed it too.
func (b *builder) choose(leaves uint64) {
	c := b.witnessed
	if c.note == "" || c.signed.Size < leaves || c.signed.Key != b.newest.signed.Key || b.older != nil && c.signed.Size < b.older.Size {
		return
	}
	b.use(c)
}

// settle chooses the checkpoint for a proof that needs so many leaves, and shows what it
// continues.
func (b *builder) settle(ctx context.Context, leaves uint64) error {
	b.choose(leaves)
	if err := b.continues(ctx); err != nil {
		return err
	}
	return b.stamp(ctx, leaves)
}

// continues shows that the log has only grown since the older checkpoint.
func (b *builder) continues(ctx context.Context) error {
	if b.older == nil {
		return nil
	}
	hashes, failure, err := b.grown(ctx, b.older.Checkpoint)
	if err != nil {
		return err
	}
	if failure != nil {
		return &domain.Error{Class: domain.ClassIntegrity, Code: CodeRewritten, Message: "the log does not continue the checkpoint: " + failure.String()}
	}
	b.head.Older = &verify.Older{Checkpoint: b.kept, Hashes: hashes}
	return nil
}

// checkpoint is what the bundle is proven under.
func (b *builder) checkpoint() verify.Checkpoint {
	return verify.Checkpoint{Origin: b.head.Origin, Size: b.tree.Size(), Root: b.root}
}

// grown shows that the tree has only grown since a checkpoint, or tells why it has not.
func (b *builder) grown(ctx context.Context, since verify.Checkpoint) (hashes []verify.Digest, failure *verify.Failure, err error) {
	hashes = []verify.Digest{}
	if since.Size > 0 && since.Size < b.tree.Size() {
		raw, err := b.tree.Consistency(ctx, since.Size)
		if err != nil {
			return nil, nil, err
		}
		for _, h := range raw {
			hashes = append(hashes, verify.Digest(h))
		}
	}
	return hashes, b.checkpoint().Extends(since, hashes), nil
}

func (b *builder) write(kind string, subject verify.Subject, runs func() error) (err error) {
	b.head.Kind, b.head.Subject = kind, subject
	if b.out, err = verify.NewWriter(b.to, b.head); err != nil {
		return fmt.Errorf("writing a bundle: %w", err)
	}
	if err := runs(); err != nil {
		return err
	}
	return b.out.Close()
}

func (b *builder) leaf(ctx context.Context, index uint64) (verify.Leaf, error) {
	text, err := b.tree.Leaf(ctx, index)
	if err != nil {
		return verify.Leaf{}, err
	}
	leaf, err := verify.ParseLeaf(text)
	if err != nil {
		return leaf, contradiction("leaf %d: %v", index, err)
	}
	return leaf, nil
}

// since is the index of the first leaf, of those where the time passes t, that
// was recorded at t or later; the size of the tree if there is none.
func (b *builder) since(ctx context.Context, t time.Time) (uint64, error) {
	low, high := uint64(0), b.tree.Size()
	for low < high {
		middle := low + (high-low)/2
		leaf, err := b.leaf(ctx, middle)
		if err != nil {
			return 0, err
		}
		if leaf.Created.Before(t) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// entry is a leaf, and what the store has for it.
func (b *builder) entry(ctx context.Context, index uint64, record *eventstore.Record) (verify.Entry, error) {
	text, err := b.tree.Leaf(ctx, index)
	if err != nil || record == nil {
		return verify.Entry{Leaf: string(text)}, err
	}
	said := &verify.Said{
		Salt: verify.SaltOf(b.salt, record.Stream, record.Revision, record.ID),
		Type: record.Type, Data: record.Data, Metadata: record.Metadata,
	}
	leaf := verify.Leaf{
		Position: record.Position, Stream: record.Stream, Revision: record.Revision, ID: record.ID, Created: record.Created,
		Digest: verify.DigestOf(said.Salt, said.Payload()),
	}
	if !bytes.Equal(leaf.Marshal(), text) {
		return verify.Entry{}, contradiction("leaf %d is not that of event %s, revision %d of %s", index, record.ID, record.Revision, record.Stream)
	}
	if b.redact {
		said = nil
	}
	return verify.Entry{Leaf: string(text), Said: said}, nil
}

// run writes neighbouring entries and their proof.
func (b *builder) run(ctx context.Context, begin uint64, entries []verify.Entry) error {
	beside, err := b.tree.Run(ctx, begin, begin+uint64(len(entries)))
	if err != nil {
		return err
	}
	root, err := verify.RootOf(begin, b.tree.Size(), verify.Leaves(entries), beside)
	if err != nil {
		return err
	}
	if root != b.root {
		return contradiction("leaf %d and the %d behind it are not under the checkpoint", begin, len(entries)-1)
	}
	if beside == nil {
		beside = []verify.Digest{}
	}
	return b.out.Run(verify.Run{Begin: begin, Beside: beside, Entries: entries})
}

// record reads the event of a leaf.
func (b *builder) record(ctx context.Context, index uint64, at domain.Position) (*eventstore.Record, error) {
	record, err := b.events.At(ctx, at)
	if eventstore.NoEvent(err) {
		return nil, contradiction("leaf %d is of an event at %s, where the store has none", index, at)
	}
	return &record, err
}

// single writes an event as a run of its own, so that a doubt names it.
func (b *builder) single(ctx context.Context, index uint64, at domain.Position) error {
	record, err := b.record(ctx, index, at)
	if err != nil {
		return err
	}
	entry, err := b.entry(ctx, index, record)
	if err != nil {
		return err
	}
	return b.run(ctx, index, []verify.Entry{entry})
}

// window writes the leaves from begin to before end, between their neighbours.
func (b *builder) window(ctx context.Context, begin, end uint64) error {
	first, last := begin, end
	if first > 0 {
		first--
	}
	if last < b.tree.Size() {
		last++
	}
	next, stop, err := b.records(ctx, begin, end)
	if err != nil {
		return err
	}
	defer stop()
	var run []verify.Entry
	taken, started := 0, first
	for index := first; index < last; index++ {
		var record *eventstore.Record
		if index >= begin && index < end {
			if record, err = next(); err != nil {
				return err
			}
			taken += weightOf(record)
		}
		entry, err := b.entry(ctx, index, record)
		if err != nil {
			return err
		}
		run = append(run, entry)
		if len(run) == verify.RunEntries || taken >= runBytes || index+1 == last {
			if err := b.run(ctx, started, run); err != nil {
				return err
			}
			run, taken, started = run[:0], 0, index+1
		}
	}
	return nil
}

// weightOf is about what an event takes in a bundle, where bytes are in base64.
func weightOf(r *eventstore.Record) int {
	return (len(r.Data)+len(r.Metadata))/3*4 + len(r.Type) + 3*len(r.Stream) + 512
}

// records reads the store beside the log. stop must be called.
func (b *builder) records(ctx context.Context, begin, end uint64) (next func() (*eventstore.Record, error), stop func(), err error) {
	if begin == end {
		return nil, func() {}, nil
	}
	leaf, err := b.leaf(ctx, begin)
	if err != nil {
		return nil, nil, err
	}
	pull, stop := iter.Pull2(b.events.Forwards(ctx, leaf.Position, math.MaxInt64))
	return func() (*eventstore.Record, error) {
		for {
			record, err, ok := pull()
			switch {
			case !ok:
				return nil, contradiction("the store ends before leaf %d", end)
			case err != nil:
				return nil, err
			case !record.System():
				return &record, nil
			}
		}
	}, stop, nil
}
