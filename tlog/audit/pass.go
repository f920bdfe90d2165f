package audit

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/time/rate"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog/tiles"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

const (
	// saltSample is after how many events it is said that the salt key is wrong, when
	// they all differ in their digest alone.
	saltSample = 16
	// maxUnreadable is how many events in a row may be unreadable before nothing more of
	// the store is read.
	maxUnreadable = 1000
	// toldEvery is how many leaves are between two words of progress.
	toldEvery = 4096
)

// pass walks along the store and the log side by side, both in the order of positions,
// and grows the tree. It belongs to one goroutine.
//
// The tree is that of the log: as long as nothing was found it is that of the events
// too, and after something was, it tells whether the log is as it was signed.
type pass struct {
	*verification

	size    uint64     // of the tree that the files are of
	tree    tiles.Tree // of that size
	stop    uint64     // where this pass ends
	resumed progress   // what it goes on from; zero from the beginning
	limiter *rate.Limiter
	shelf   shelf
	edge    *edge
	lost    bool // a leaf is in no file: there is no tree any more

	next     func() (seen, error, bool)
	awaited  *seen  // of the history, not met yet
	good     uint64 // size of the last checkpoint that was met with its root
	first    *Place
	last     *verify.Leaf
	lastHash verify.Digest
	compared uint64
	digests  uint64 // events that differ in their digest alone
	strange  bool   // the salt key is another log's
	inARow   int    // unreadable events
}

func (p *pass) run(ctx context.Context) error {
	p.next = func() (seen, error, bool) { return seen{}, nil, false }
	if p.scope.Round == 0 {
		next, stop := iter.Pull2(p.history.checkpoints(p.size))
		defer stop()
		p.next = next
	}
	if err := p.await(); err != nil {
		return err
	}
	if err := p.meet(ctx); err != nil {
		return err
	}
	from, more := p.resumed.Position, true
	for more {
		var err error
		if from, more, err = p.read(ctx, from); err != nil {
			return err
		}
	}
	if p.strange {
		p.found.list, p.found.counts = nil, nil
		p.found.add(Finding{Kind: SaltKey, Text: fmt.Sprintf(
			"each of the first %d events differs from its leaf in its digest, and in nothing else: the salt key is not that of this log (or everything was changed)", p.compared)})
		return nil
	}
	if err := p.rest(ctx); err != nil {
		return err
	}
	return p.finish(ctx)
}

// read compares events from a position on, until the store ends or reading it fails.
// more says that reading can go on, and where.
func (p *pass) read(ctx context.Context, from domain.Position) (next domain.Position, more bool, err error) {
	h := newHasher(ctx, p.subject.Events, p.subject.SaltKey, from, p.limiter)
	defer h.close()
	delivered := false
	for b := range h.ordered {
		<-b.done
		for i := range b.events {
			delivered, p.inARow = true, 0
			if err := p.take(ctx, &b.events[i]); err != nil {
				return next, false, err
			}
			if p.strange || p.scope.Round > 0 && p.edge.size() == p.stop {
				return next, false, nil
			}
		}
		if b.err != nil {
			return p.unreadable(ctx, from, delivered, b.err)
		}
	}
	return next, false, ctx.Err()
}

// unreadable finds out which event could not be read, and where the next one is.
func (p *pass) unreadable(ctx context.Context, from domain.Position, delivered bool, cause error) (next domain.Position, more bool, err error) {
	e, classified := errorOf(cause)
	what := Finding{Kind: Unreadable, Text: cause.Error()}
	switch {
	case ctx.Err() != nil:
		return next, false, ctx.Err()
	case classified && e.Class == domain.ClassIntegrity:
	case !from.IsZero() && !delivered && classified && (e.Code == eventstore.CodeUnclassified || e.Code == eventstore.CodeRefused):
		what.Kind, what.Text = Missing, "the store has no event at this position"
		if !p.gone(ctx, from, e.Code) {
			return next, false, cause
		}
	default:
		return next, false, cause
	}
	if p.junction() { // it is the event up to which was verified earlier
		what.Position, p.resumed.Position = p.resumed.Position.String(), domain.Position{}
		p.found.add(what.at(p.resumed.Size - 1))
	} else if p.edge.size() == p.stop {
		what.Text += "; it is not sealed yet, and what comes behind it was not looked at"
		p.found.add(what)
		return next, false, nil
	} else if err := p.skip(ctx, what); err != nil {
		return next, false, err
	}
	for p.edge.size() < p.stop && !p.lost {
		if p.inARow++; p.inARow > maxUnreadable {
			return next, false, nil
		}
		leaf, err := p.shelf.at(ctx, p.edge.size())
		if err != nil {
			return next, false, err
		}
		parsed, err := verify.ParseLeaf(leaf.text)
		if err == nil {
			return parsed.Position, true, nil
		}
		if err := p.skip(ctx, Finding{Kind: Unreadable, Text: "neither the store nor the log can say what stands here"}); err != nil {
			return next, false, err
		}
	}
	return next, false, nil
}

// gone says whether a store that refused a position answers, and refuses it again: one
// in trouble may refuse everything, which is no verdict.
func (p *pass) gone(ctx context.Context, at domain.Position, code string) bool {
	for _, err := range p.subject.Events.Forwards(ctx, domain.Position{}, 1) {
		if err != nil {
			return false
		}
	}
	for _, err := range p.subject.Events.Forwards(ctx, at, 1) {
		e, classified := errorOf(err)
		return classified && e.Code == code && ctx.Err() == nil
	}
	return false
}

// skip goes past a leaf whose event could not be compared.
func (p *pass) skip(ctx context.Context, what Finding) error {
	leaf, err := p.shelf.at(ctx, p.edge.size())
	if err != nil {
		return err
	}
	if parsed, err := verify.ParseLeaf(leaf.text); err == nil {
		what = what.of(&parsed)
		what.leaf = &parsed
	}
	p.found.add(what.at(p.edge.size()))
	return p.advanceBy(ctx, leaf)
}

func errorOf(err error) (*domain.Error, bool) {
	for err != nil {
		if e, ok := err.(*domain.Error); ok { //nolint:errorlint // the outermost, which the store made
			return e, true
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			break
		}
		err = u.Unwrap()
	}
	return nil, false
}

// junction says whether the next event is the one up to which was verified earlier.
func (p *pass) junction() bool {
	return !p.resumed.Position.IsZero() && p.edge.size() == p.resumed.Size
}

// take compares an event with the log.
func (p *pass) take(ctx context.Context, e *hashed) error {
	if p.junction() {
		at := p.resumed
		p.resumed.Position = domain.Position{} // it comes once
		if e.leaf.Position == at.Position {
			if e.hash != at.LastLeaf {
				p.found.add(Finding{Kind: Changed, Text: "it is not what an earlier verification saw"}.of(&e.leaf).at(at.Size - 1))
			}
			return nil
		}
		p.found.add(Finding{Kind: Missing, Position: at.Position.String(), Text: "an earlier verification saw it"}.at(at.Size - 1))
	}
	for {
		index := p.edge.size()
		if index == p.stop || p.lost {
			p.report.Unsealed++
			return nil
		}
		leaf, err := p.shelf.at(ctx, index)
		if err != nil {
			return err
		}
		if bytes.Equal(leaf.text, e.text) && bytes.Equal(leaf.hash, e.hash[:]) {
			p.compared++
			return p.accept(ctx, e)
		}
		settled, err := p.judge(ctx, index, &leaf, e)
		if settled || err != nil {
			return err
		}
	}
}

// accept takes an event's own leaf into the tree.
func (p *pass) accept(ctx context.Context, e *hashed) error {
	if p.first == nil {
		p.first = placeOf(p.edge.size(), &e.leaf)
	}
	p.last, p.lastHash = &e.leaf, e.hash
	return p.advance(ctx, e.hash)
}

// judge finds out who is at fault where event, entry and hash are not one. settled says
// that the event has found its place; otherwise the next leaf is for it.
func (p *pass) judge(ctx context.Context, index uint64, leaf *stored, e *hashed) (settled bool, err error) {
	sameText, sameHash := bytes.Equal(leaf.text, e.text), bytes.Equal(leaf.hash, e.hash[:])
	switch {
	case sameText: // and its hash is another one, or can't be read, which was found
		if leaf.hash != nil {
			p.found.add(Finding{Kind: Tile, Text: "the tile has another hash for this leaf than the event and the entry"}.of(&e.leaf).at(index))
		}
		p.compared++
		return true, p.accept(ctx, e)
	case sameHash:
		if leaf.text != nil {
			p.found.add(Finding{Kind: Entry, Text: "the entry in the log is damaged; the event and the hash in the tile agree"}.of(&e.leaf).at(index))
		}
		p.compared++
		return true, p.accept(ctx, e)
	case leaf.text == nil && leaf.hash == nil: // found already: the event is all there is
		return true, p.accept(ctx, e)
	}
	parsed, parseErr := verify.ParseLeaf(leaf.text)
	if parseErr != nil {
		if leaf.text != nil {
			p.found.add(Finding{Kind: Entry, Text: "the entry can't be read: " + parseErr.Error()}.at(index))
		}
		p.found.add(Finding{Kind: Changed, Text: "the event has another hash than the tile says"}.of(&e.leaf).at(index))
		return true, p.advanceBy(ctx, *leaf)
	}
	if leaf.hash != nil {
		if hash := leaf.leafHash(); !bytes.Equal(hash[:], leaf.hash) {
			p.found.add(Finding{Kind: Entry, Text: "neither the event nor the tile agrees with this entry"}.of(&parsed).at(index))
		}
	}
	switch order := e.leaf.Position.Compare(parsed.Position); {
	case order < 0:
		p.found.add(Finding{Kind: Inserted, Text: "the log has nothing here: the event was put between sealed ones", found: &e.leaf}.of(&e.leaf))
		return true, nil
	case order > 0:
		p.found.add(Finding{Kind: Missing, Text: "the store does not have it any more", leaf: &parsed}.of(&parsed).at(index))
		return false, p.advanceBy(ctx, *leaf)
	}
	p.compared++
	text, digestOnly := difference(&parsed, &e.leaf)
	if digestOnly {
		p.digests++
		p.strange = p.digests == saltSample && p.compared == saltSample && p.resumed.Size == 0
	}
	p.found.add(Finding{Kind: Changed, Text: text, leaf: &parsed, found: &e.leaf}.of(&parsed).at(index))
	return true, p.advanceBy(ctx, *leaf)
}

// difference says what is not as the log has it.
func difference(logged, found *verify.Leaf) (text string, digestOnly bool) {
	var words []string
	if logged.Stream != found.Stream {
		words = append(words, fmt.Sprintf("its stream is %q now", found.Stream))
	}
	if logged.Revision != found.Revision {
		words = append(words, fmt.Sprintf("its revision is %d now", found.Revision))
	}
	if logged.ID != found.ID {
		words = append(words, fmt.Sprintf("its id is %s now", found.ID))
	}
	if !logged.Created.Equal(found.Created) {
		words = append(words, "the store took it at "+found.Created.UTC().Format(time.RFC3339Nano)+" now, "+logged.Created.UTC().Format(time.RFC3339Nano)+" before")
	}
	digestOnly = len(words) == 0
	if logged.Digest != found.Digest {
		words = append(words, "its type, data or metadata is not what was sealed")
	}
	return strings.Join(words, "; "), digestOnly
}

// advanceBy takes the log's own leaf into the tree.
func (p *pass) advanceBy(ctx context.Context, leaf stored) error {
	switch {
	case leaf.hash != nil:
		return p.advance(ctx, verify.Digest(leaf.hash))
	case leaf.text != nil:
		return p.advance(ctx, leaf.leafHash())
	default:
		p.lost = true
		return nil
	}
}

func (p *pass) advance(ctx context.Context, hash verify.Digest) error {
	if err := p.edge.append(ctx, hash); err != nil {
		return err
	}
	p.report.Verified++
	if size := p.edge.size(); p.scope.Progress != nil && size%toldEvery == 0 {
		p.scope.Progress(size, p.size)
	}
	return p.meet(ctx)
}

// await reads the next checkpoint of the history.
func (p *pass) await() error {
	c, err, ok := p.next()
	if err != nil {
		return err
	}
	p.awaited = nil
	if ok {
		p.awaited = &c
	}
	return nil
}

// meet compares the checkpoints of the size that the tree has now, and smaller ones that
// come late: when a clock was put back.
func (p *pass) meet(ctx context.Context) error {
	size := p.edge.size()
	for p.awaited != nil && p.awaited.Size <= size {
		if p.awaited.Size == size {
			p.edge.sign()
			p.compareRoot(p.awaited)
		} else if _, err := p.consistent(ctx, p.awaited); err != nil {
			return err
		}
		p.report.Compared++
		if err := p.await(); err != nil {
			return err
		}
	}
	for len(p.outside) > 0 && p.outside[0].Size <= size {
		c := p.outside[0]
		p.outside = p.outside[1:]
		var intact bool
		var err error
		if c.Size == size {
			intact = p.compareRoot(&c)
		} else if intact, err = p.consistent(ctx, &c); err != nil {
			return err
		}
		if _, brought := p.scope.Outside[c.where]; brought {
			p.report.Outside = append(p.report.Outside, Outside{c.where, c.Size, intact})
		}
	}
	return nil
}

func (p *pass) compareRoot(c *seen) (same bool) {
	root := p.edge.root()
	if root == c.Root {
		p.good = max(p.good, c.Size)
		return true
	}
	p.rewritten(c, fmt.Sprintf("a checkpoint of %d leaves was signed with root %s, and what is there has root %s: ", c.Size, c.Root, root))
	return false
}

func (p *pass) rewritten(c *seen, text string) {
	text += fmt.Sprintf("something among the leaves %d to %d was changed, left out or put in after it was signed", p.good, max(c.Size, 1)-1)
	p.found.add(Finding{Kind: Rewritten, Where: c.where, Text: text}.at(p.good))
}

// rest goes through leaves whose events the store does not have: its end was cut off.
func (p *pass) rest(ctx context.Context) error {
	begin := p.edge.size()
	if p.junction() {
		p.found.add(Finding{Kind: Truncated, Position: p.resumed.Position.String(), Text: "the store ends before the event up to which was verified earlier"}.at(begin - 1))
	}
	for p.edge.size() < p.stop && !p.lost {
		index := p.edge.size()
		leaf, err := p.shelf.at(ctx, index)
		if err != nil {
			return err
		}
		if index == begin {
			what := Finding{Kind: Truncated, Text: fmt.Sprintf("the store ends before it: the events of the leaves %d to %d are not there", index, p.stop-1)}
			if p.inARow > maxUnreadable {
				what = Finding{Kind: Unreadable, Text: fmt.Sprintf("the events of the leaves %d to %d were not compared: too much of the store can't be read", index, p.stop-1)}
			}
			if parsed, err := verify.ParseLeaf(leaf.text); err == nil {
				what = what.of(&parsed)
			}
			p.found.add(what.at(index))
			p.found.many(what.Kind, p.stop-1-index)
		}
		if err := p.advanceBy(ctx, leaf); err != nil {
			return err
		}
	}
	if p.lost {
		p.report.Notes = append(p.report.Notes, fmt.Sprintf("from leaf %d on nothing could be compared with what was signed: the log has lost that leaf", p.edge.size()))
	}
	return nil
}

// finish compares what is left when the tree has its full size.
func (p *pass) finish(ctx context.Context) error {
	p.report.Root, p.report.Signed = p.edge.root(), p.history.signed
	p.report.From = p.edge.size() - p.report.Verified
	p.report.First = p.first
	if p.last != nil {
		p.report.Last = placeOf(p.edge.size()-1, p.last)
	}
	if p.scope.Round > 0 {
		p.closeRound()
	}
	if p.lost || p.stop < p.size {
		return nil
	}
	if err := p.edge.finish(ctx, p.root); err != nil {
		return err
	}
	// What came late was compared with the newest checkpoint: that must be of this tree.
	if p.newest.Size == p.size && p.newest.Root != p.report.Root && !p.found.any() {
		p.rewritten(&seen{p.newest, "checkpoint"}, fmt.Sprintf("the newest checkpoint was signed with root %s, and what is there has root %s: ", p.newest.Root, p.report.Root))
	}
	if p.scope.Progress != nil {
		p.scope.Progress(p.size, p.size)
	}
	return nil
}

// closeRound compares a round that has come to where the newest verification is, which
// has compared what it found with what was signed.
func (p *pass) closeRound() {
	head := p.before.Head
	if root := p.edge.root(); p.edge.size() == head.Size && root != head.Root {
		p.found.add(Finding{Kind: Rewritten, Text: fmt.Sprintf("the tree of %d leaves has root %s, and an earlier verification found %s", head.Size, root, head.Root)}.at(head.Size - 1))
	}
}

// consistent proves that the log begins with an earlier checkpoint. The proof is made of
// stored hashes, and leads from its root to that of the newest one, which is compared with
// the tree itself.
func (p *pass) consistent(ctx context.Context, c *seen) (bool, error) {
	hasher := rfc6962.DefaultHasher
	if c.Size == 0 {
		same := c.Root == verify.EmptyRoot()
		if !same {
			p.rewritten(c, "a checkpoint of no leaves has a root: ")
		}
		return same, nil
	}
	hashes, err := p.tree.Consistency(ctx, c.Size)
	if err != nil {
		if domain.ClassOf(err) != domain.ClassIntegrity {
			return false, err
		}
		p.found.add(Finding{Kind: Tile, Where: c.where, Text: err.Error()})
		return false, nil
	}
	root := p.newest.Root
	if err := proof.VerifyConsistency(hasher, c.Size, p.size, hashes, c.Root[:], root[:]); err != nil {
		p.rewritten(c, fmt.Sprintf("a checkpoint of %d leaves was signed with root %s, and the log does not begin with it: ", c.Size, c.Root))
		return false, nil //nolint:nilerr // it is a finding
	}
	return true, nil
}

// progress is how far the pass came, when nothing was found.
func (p *pass) progress() progress {
	out := progress{Size: p.edge.size(), Root: p.edge.root(), Hashes: p.edge.tree.Hashes(), Position: p.before.Head.Position, LastLeaf: p.before.Head.LastLeaf}
	if p.last != nil {
		out.Position, out.LastLeaf = p.last.Position, p.lastHash
	}
	return out
}
