package audit

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/tiles"
)

const everything = math.MaxUint64

// Events is the store that is verified.
type Events interface {
	Forwards(ctx context.Context, from domain.Position, count uint64) iter.Seq2[eventstore.Record, error]
}

// Subject is what is verified. One verification waits for another, also for that of
// another process.
type Subject struct {
	Events  Events
	Dir     string // of the log
	SaltKey []byte
	Now     func() time.Time
	// FirstKey is the public key with which the log began. Empty: that of the log's
	// own folder, which whoever can write there can exchange.
	FirstKey string
	// Authorities are the roots of time-stamping authorities; nil: tokens are not checked.
	Authorities *x509.CertPool
	// Witnesses are those whose cosignatures are asked for; nil: cosignatures are not checked.
	Witnesses *tlog.Witnesses
	// Views compares the read models with the events; nil: they are not looked at.
	Views func(ctx context.Context) (Views, []Finding, error)
}

// Scope says how much a verification covers.
type Scope struct {
	Full bool // from the first event on, whatever was verified earlier
	// Outside are checkpoints that somebody kept, by name.
	Outside map[string]string
	// Round goes on with the verification that begins anew whenever it is through, by so
	// many events: the views and the history are left out. 0: it is none.
	Round uint64
	// Rate bounds the events that are read in a second; 0: as fast as it goes.
	Rate int
	// Progress is told now and then how many leaves of how many are verified. Nil: nobody.
	Progress func(done, total uint64)
}

// Verify verifies a subject. An error says that it could not be verified, which is
// not a verdict; whatever is damaged is in the report.
func Verify(ctx context.Context, s Subject, scope Scope) (Report, error) {
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return Report{}, fmt.Errorf("opening the log in %s: %w", s.Dir, err)
	}
	defer func() { _ = root.Close() }() // nothing is open in it
	unlock, err := lock(ctx, root)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	source, err := tiles.OpenFolder(s.Dir)
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = source.Close() }() // it was only read
	v := &verification{subject: s, scope: scope, root: root, source: source, found: new(findings)}
	v.report.Began = s.Now().UTC()
	if err := v.run(ctx); err != nil {
		return Report{}, err
	}
	if s.Views != nil && scope.Round == 0 {
		views, differing, err := s.Views(ctx)
		if err != nil {
			return Report{}, fmt.Errorf("comparing the views: %w", err)
		}
		v.report.Views = &views
		for _, f := range differing {
			v.found.add(f)
		}
		v.found.many(View, uint64(max(views.Differing-int64(len(differing)), 0)))
	}
	v.found.reorder()
	v.report.Findings, v.report.Counts = v.found.list, v.found.counts
	v.report.Intact = !v.found.any()
	v.report.Took = s.Now().Sub(v.report.Began)
	return v.report, nil
}

// verification is one under way.
type verification struct {
	subject Subject
	scope   Scope
	root    *os.Root
	source  *tiles.Folder
	found   *findings
	report  Report

	keys    tlog.Keys
	history history
	outside []seen
	newest  tlog.Checkpoint // the newest that was signed

	certified certified // the newest certificate
	before    state     // of an earlier verification; zero if there is none
}

func (v *verification) run(ctx context.Context) error {
	readable, err := v.readKeys()
	if err != nil || !readable {
		return err
	}
	if err := v.loadState(); err != nil {
		return err
	}
	if err := v.readWitnessed(); err != nil {
		return err
	}
	if err := v.readCertificates(); err != nil {
		return err
	}
	size, err := v.readNewest()
	if err != nil {
		return err
	}
	v.report.Size = size
	v.checkState(size)
	v.dropLonger(size)
	if v.scope.Round > 0 && v.before.Head.Size == 0 {
		return nil // nothing was verified yet that could be verified again
	}
	if err := v.readTimestamps(size); err != nil {
		return err
	}
	v.readOutside(size)
	p, err := v.begin(ctx, size)
	if err != nil {
		return err
	}
	if err := p.run(ctx); err != nil {
		return err
	}
	if err := v.compareDay(ctx, p); err != nil {
		return err
	}
	if err := v.compareBeginning(); err != nil {
		return err
	}
	if v.found.any() {
		return nil
	}
	if v.scope.Round > 0 {
		v.before.Round = p.progress()
		return v.before.write(v.root, v.subject.SaltKey)
	}
	v.before.Origin, v.before.Keys, v.before.Head, v.before.Marks = v.report.Origin, verifiers(v.keys), p.progress(), v.history.marks
	v.before.Certified = v.certified.day
	return v.before.write(v.root, v.subject.SaltKey)
}

func verifiers(keys tlog.Keys) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.Verifier)
	}
	return out
}

// readKeys reads the public keys; without any nothing that was signed can be judged.
func (v *verification) readKeys() (readable bool, err error) {
	v.keys, err = tlog.ReadKeys(v.subject.Dir)
	if errors.Is(err, os.ErrNotExist) || domain.ClassOf(err) == domain.ClassIntegrity {
		v.found.add(Finding{Kind: Signature, Where: "keys", Text: err.Error()})
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if first := v.keys[0].Verifier; v.subject.FirstKey != "" && first != v.subject.FirstKey {
		v.found.add(Finding{Kind: Signature, Where: "keys", Text: fmt.Sprintf("the log began with the key %s, not with %s", first, v.subject.FirstKey)})
	}
	if v.subject.FirstKey == "" {
		v.report.Notes = append(v.report.Notes, "with which key the log began is what its own folder says: name the key, for whoever can write there can exchange it")
	}
	return true, nil
}

// readNewest finds how long the log says that it is, by what is published and by the
// history.
func (v *verification) readNewest() (size uint64, err error) {
	v.history = history{root: v.root, keys: v.keys, found: v.found}
	e, err := newestOf(v.published, v.history.newest)
	if err != nil {
		return 0, err
	}
	before, problem, last, previous, ok := e.shown, e.problem, e.last, e.previous, e.ok
	v.newest, v.report.Origin = last, last.Origin
	if problem != nil {
		v.found.add(*problem)
		return last.Size, nil
	}
	wrong := func(kind Kind, text string) {
		v.found.add(Finding{Kind: kind, Where: "checkpoint", Text: text})
	}
	v.report.Origin = before.Origin
	switch {
	case !ok:
		v.newest = before
		wrong(History, fmt.Sprintf("a checkpoint of %d leaves is published, and the history has none", before.Size))
		return before.Size, nil
	case before.Size > last.Size:
		v.newest = before
		wrong(History, fmt.Sprintf("a checkpoint of %d leaves is published, and the history ends at one of %d: its end was cut off", before.Size, last.Size))
		return before.Size, nil
	case before.Size == last.Size && before.Root != last.Root:
		wrong(Rewritten, fmt.Sprintf("two checkpoints of %d leaves were signed: one with root %s, and one with %s", before.Size, before.Root, last.Root))
	case before.Note == previous.Note && previous.Note != "" && before.Note != last.Note:
		v.report.Notes = append(v.report.Notes, fmt.Sprintf("the newest signed checkpoint, of %d leaves, is not published yet", last.Size))
	case before.Note != last.Note && before.Size < last.Size:
		wrong(Published, fmt.Sprintf("the published checkpoint is of %d leaves, and %d are signed: it is an older one", before.Size, last.Size))
	case before.Note != last.Note:
		wrong(Published, fmt.Sprintf("the published checkpoint of %d leaves is written otherwise than it was signed", before.Size))
	}
	return last.Size, nil
}

// ends are the newest checkpoints by what is published, and by the history.
type ends struct {
	shown          tlog.Checkpoint
	problem        *Finding // with the published one
	last, previous tlog.Checkpoint
	ok             bool // the history has any
}

// newestOf reads the published checkpoint and then the history, which is written first.
// Where several were signed in between it reads both again, as long as the published
// one grows.
func newestOf(published func() (tlog.Checkpoint, *Finding), newest func() (last, before tlog.Checkpoint, ok bool, err error)) (e ends, err error) {
	e.shown, e.problem = published()
	for {
		e.last, e.previous, e.ok, err = newest()
		if err != nil || !e.ok || e.shown.Note == e.last.Note || e.shown.Note == e.previous.Note {
			return e, err
		}
		size := e.shown.Size
		if e.shown, e.problem = published(); e.problem != nil || e.shown.Size <= size {
			return e, nil
		}
	}
}

// published reads the checkpoint file.
func (v *verification) published() (tlog.Checkpoint, *Finding) {
	text, err := readBounded(v.root, "checkpoint")
	if err != nil {
		return tlog.Checkpoint{}, &Finding{Kind: Published, Where: "checkpoint", Text: err.Error()}
	}
	c, err := v.keys.Check(string(text))
	switch {
	case c.Origin == "":
		return c, &Finding{Kind: Published, Where: "checkpoint", Text: err.Error()}
	case err != nil:
		return c, &Finding{Kind: Signature, Where: "checkpoint", Text: err.Error()}
	}
	return c, nil
}

// loadState reads what an earlier verification left.
func (v *verification) loadState() error {
	before, ok, err := readState(v.root, v.subject.SaltKey)
	if errors.Is(err, errForged) {
		v.found.add(Finding{Kind: State, Where: stateFile, Text: fmt.Sprintf("what an earlier verification left can't be trusted: %v", err)})
		return nil
	}
	if ok {
		v.before = before
	}
	return err
}

// checkState looks whether what an earlier verification left can be gone on from.
func (v *verification) checkState(size uint64) {
	before := v.before
	if before.Origin == "" {
		return
	}
	wrong := func(format string, args ...any) {
		v.found.add(Finding{Kind: State, Where: stateFile, Text: fmt.Sprintf(format, args...)})
	}
	now := verifiers(v.keys)
	switch {
	case len(now) < len(before.Keys) || !slices.Equal(now[:len(before.Keys)], before.Keys):
		wrong("an earlier verification saw other keys: %v", before.Keys)
	case before.Head.Size > size:
		wrong("an earlier verification saw %d leaves, and now there are %d: the end of the log was cut off", before.Head.Size, size)
	}
	v.history.marks, v.history.full = before.Marks, v.scope.Full
}

// readOutside reads the checkpoints that were brought along.
func (v *verification) readOutside(size uint64) {
	for _, name := range slices.Sorted(mapKeys(v.scope.Outside)) {
		c, err := v.keys.Check(v.scope.Outside[name])
		switch {
		case c.Origin == "":
			v.found.add(Finding{Kind: Signature, Where: name, Text: err.Error()})
		case c.Origin != v.report.Origin:
			v.found.add(Finding{Kind: Signature, Where: name, Text: fmt.Sprintf("it is a checkpoint of the log %q, and this one is %q", c.Origin, v.report.Origin)})
		case err != nil:
			v.found.add(Finding{Kind: Signature, Where: name, Text: err.Error()})
		case c.Size > size:
			v.found.add(Finding{Kind: Truncated, Where: name, Text: fmt.Sprintf("it is of %d leaves, and the log has %d: its end was cut off", c.Size, size)})
		default:
			v.outside = append(v.outside, seen{c, name})
			continue
		}
		v.report.Outside = append(v.report.Outside, Outside{Name: name, Size: c.Size})
	}
	slices.SortFunc(v.outside, func(a, b seen) int {
		switch {
		case a.Size < b.Size:
			return -1
		case a.Size > b.Size:
			return 1
		default:
			return 0
		}
	})
}

func mapKeys(m map[string]string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// begin makes the pass over the log: from where an earlier verification came to, if
// that is still there.
func (v *verification) begin(ctx context.Context, size uint64) (*pass, error) {
	p := &pass{verification: v, size: size, tree: tiles.New(v.source).At(size), stop: size, edge: newEdge(v.source, v.found)}
	p.shelf = shelf{source: v.source, size: size, found: v.found}
	if v.scope.Rate > 0 {
		p.limiter = rate.NewLimiter(rate.Limit(v.scope.Rate), max(v.scope.Rate/4, batchEvents))
	}
	from := v.before.Head
	if v.scope.Round > 0 {
		from, p.stop = v.before.Round, min(v.before.Head.Size, size)
		if from.Size >= p.stop {
			from = progress{} // the next round
		}
		p.stop = min(p.stop, from.Size+v.scope.Round)
		v.history.marks = nil
	}
	if v.scope.Full || from.Size == 0 || from.Size > size {
		v.history.full = true
		return p, nil
	}
	edge, ok, err := resumeEdge(ctx, v.source, v.found, size, from)
	if err != nil {
		return nil, err
	}
	if !ok {
		v.found.add(Finding{Kind: Tile, Where: "tile/", Text: fmt.Sprintf(
			"the tiles are not those of the first %d leaves, which an earlier verification saw; everything is read again", from.Size)}.at(from.Size - 1))
		v.history.full = true
		return p, nil
	}
	p.edge, p.resumed = edge, from
	return p, nil
}
