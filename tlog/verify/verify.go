package verify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
)

// Trust is what whoever verifies knows from elsewhere than from the bundle.
type Trust struct {
	Keys      Keys
	Witnesses []note.Verifier
	Quorum    int           // how many of them must have cosigned
	At        time.Time     // now, for whoever verifies; zero asks nothing
	Tolerance time.Duration // by how much clocks may differ
	MaxAge    time.Duration // of the newest cosignature, at At; zero asks nothing

	// Authorities are the roots of time-stamping authorities. Without them a timestamp is
	// not checked.
	Authorities *x509.CertPool

	// Older is a checkpoint, as a signed note, that the log must continue. A
	// bundle that does not show it itself needs Extension.
	Older string
	// Extension gets the hashes that show that the tree of the larger size begins
	// with that of the smaller one. It may be nil.
	Extension func(smaller, larger uint64) ([]Digest, error)
}

// Bundle verifies a bundle. It reads it once, a run at a time, and keeps no more
// than one; each is called, unless it is nil, for the entries that are shown, in
// their order, before the verdict is known. An error is one of reading, or of
// Extension: then there is no verdict. Everything that is wrong with the bundle
// itself is in the verdict.
func Bundle(from io.Reader, trust Trust, each func(index uint64, leaf Leaf, said *Said)) (Verdict, error) {
	c := check{trust: trust, decoder: newDecoder(from), each: each}
	c.verdict.Proven, c.verdict.NotProven, c.verdict.Failures = []string{}, []string{}, []*Failure{}
	err := c.bundle()
	if broken := c.decoder.from.broken; broken != nil {
		return Verdict{}, fmt.Errorf("reading the bundle: %w", broken)
	}
	if failure, ok := errors.AsType[*doubtError](err); ok {
		c.verdict.fail(failure.Failure)
	} else if err != nil {
		return Verdict{}, err
	}
	c.verdict.close()
	return c.verdict, nil
}

// doubtError is a failure behind which nothing can be checked.
type doubtError struct{ *Failure }

func (d *doubtError) Error() string { return d.String() }

func malformed(err error) error {
	text := err.Error()
	return &doubtError{&Failure{What: Malformed, Message: "this is not a bundle as it must be: " + text[:min(len(text), 300)]}}
}

type check struct {
	trust   Trust
	decoder *decoder
	each    func(index uint64, leaf Leaf, said *Said)
	verdict Verdict
	header  Header
	signed  Signed
	stamped stamped
	claim   claim

	next     uint64 // the least index that the next entry may have
	entries  uint64
	redacted uint64
}

// claim is what one kind of bundle wants of its entries.
type claim interface {
	entry(v *Verdict, index uint64, leaf *Leaf, said *Said)
	end(v *Verdict)
}

func (c *check) bundle() error {
	var err error
	if c.header, err = c.decoder.header(); err != nil {
		return malformed(err)
	}
	switch format := c.header.Format; {
	case format != Format && format != FormatReport:
		return malformed(fmt.Errorf("its format is %.40q, neither %q nor %q", format, Format, FormatReport))
	case (format == FormatReport) != (c.header.Kind == KindReport):
		return malformed(fmt.Errorf("its kind is %.40q, which format %q does not have", c.header.Kind, format))
	}
	if err := c.checkpoint(); err != nil {
		return err
	}
	c.verdict.Kind, c.verdict.Subject = c.header.Kind, &c.header.Subject
	if c.claim, err = claimOf(c.header, c.signed.Size); err != nil {
		return malformed(err)
	}
	next := c.run
	if c.header.Kind == KindReport {
		next = c.scatter
	}
	for err = nil; err == nil; {
		err = next()
	}
	if !errors.Is(err, io.EOF) {
		return malformed(err)
	}
	c.claim.end(&c.verdict)
	c.stamped.end(&c.verdict, c.next)
	c.verdict.Events = c.entries
	c.verdict.proven("%d of %d events shown say what was recorded; of the other %d only the salted digest is shown", c.entries-c.redacted, c.entries, c.redacted)
	return nil
}

// checkpoint checks who signed, and when.
func (c *check) checkpoint() error {
	signed, failure := c.trust.Keys.Open(c.header.Checkpoint, c.trust.Witnesses)
	if failure != nil {
		return &doubtError{failure}
	}
	c.signed = signed
	c.verdict.Checkpoint, c.verdict.Witnesses = &signed.Checkpoint, signed.Witnesses
	if c.header.Origin != signed.Origin {
		c.verdict.fail(&Failure{What: WrongLog, Message: fmt.Sprintf("the bundle says that it is of the log %.80q, and its checkpoint is of %q", c.header.Origin, signed.Origin)})
	}
	if !slices.ContainsFunc(c.trust.Keys, func(k Key) bool { return k.text == c.header.Key }) {
		c.verdict.fail(&Failure{What: WrongKey, Message: "the bundle tells another key than the one that you gave"})
	}
	c.verdict.proven("the checkpoint of %d leaves is signed by %s", signed.Size, signed.Key)
	if signed.Unknown > 0 {
		c.verdict.notProven(fmt.Sprintf("%d signatures of the checkpoint are by keys that you did not name: they were not checked", signed.Unknown))
	}
	c.witnesses()
	if err := c.older(); err != nil {
		return err
	}
	c.timestamp()
	if len(signed.Witnesses) == 0 {
		c.verdict.notProven("nobody but the log itself vouches that it shows the same log to everybody: compare the checkpoint with one that others have, or ask for witnesses")
	}
	return nil
}

func (c *check) witnesses() {
	names := make(map[string]bool)
	var newest time.Time
	for _, w := range c.signed.Witnesses {
		names[w.Witness] = true
		if w.At.After(newest) {
			newest = w.At
		}
		if !c.trust.At.IsZero() && w.At.After(c.trust.At.Add(c.trust.Tolerance)) {
			c.verdict.fail(&Failure{What: Future, Message: fmt.Sprintf("%s cosigned at %s, and it is %s", w.Witness, w.At.Format(time.RFC3339), c.trust.At.Format(time.RFC3339))})
		}
	}
	if len(names) < c.trust.Quorum {
		c.verdict.fail(&Failure{What: NotWitnessed, Message: fmt.Sprintf("%d of the witnesses that you named have cosigned, and %d must", len(names), c.trust.Quorum)})
	}
	if len(names) > 0 {
		c.verdict.proven("%d of %d witnesses have cosigned, the last at %s", len(names), len(c.trust.Witnesses), newest.Format(time.RFC3339))
	}
	if c.trust.MaxAge > 0 && newest.Before(c.trust.At.Add(-c.trust.MaxAge)) {
		c.verdict.fail(&Failure{What: Expired, Message: fmt.Sprintf("no witness has cosigned within %s before %s", c.trust.MaxAge, c.trust.At.Format(time.RFC3339))})
	}
}

// older checks what the bundle shows of the past, and what the trust wants of it.
func (c *check) older() error {
	var shown Signed
	if o := c.header.Older; o != nil {
		var failure *Failure
		if shown, failure = c.trust.Keys.Open(o.Checkpoint, nil); failure == nil {
			failure = c.signed.Extends(shown.Checkpoint, o.Hashes)
		}
		if failure != nil {
			c.verdict.fail(failure)
			return nil
		}
		c.verdict.proven("the log has only grown since it had %d leaves", shown.Size)
	}
	if c.trust.Older == "" {
		return nil
	}
	known, failure := c.trust.Keys.Open(c.trust.Older, nil)
	if failure != nil {
		failure.Message = "the older checkpoint that you gave: " + failure.Message
		return &doubtError{failure}
	}
	if known.Checkpoint == shown.Checkpoint && c.header.Older != nil {
		return nil
	}
	older, newer := known.Checkpoint, c.signed.Checkpoint
	if older.Size > newer.Size {
		older, newer = newer, older
	}
	var hashes []Digest
	if older.Size < newer.Size && older.Size > 0 {
		if c.trust.Extension == nil {
			c.verdict.fail(&Failure{What: Missing, Message: fmt.Sprintf("the bundle does not show that the log of %d leaves begins with what it was at %d: name the log", newer.Size, older.Size)})
			return nil
		}
		var err error
		if hashes, err = c.trust.Extension(older.Size, newer.Size); err != nil {
			return fmt.Errorf("asking the log for the proof from %d to %d leaves: %w", older.Size, newer.Size, err)
		}
	}
	if failure := newer.Extends(older, hashes); failure != nil {
		c.verdict.fail(failure)
		return nil
	}
	c.verdict.proven("it agrees with the checkpoint of %d leaves that you gave", known.Size)
	return nil
}

// run checks the next run. Its error is that of reading it.
func (c *check) run() error {
	run, err := c.decoder.run()
	if err != nil {
		return err
	}
	indexes := make([]uint64, len(run.Entries))
	for i := range indexes {
		indexes[i] = run.Begin + uint64(i)
	}
	root, err := RootOf(run.Begin, c.signed.Size, Leaves(run.Entries), run.Beside)
	c.proven(run.Begin, indexes, run.Entries, root, err)
	return nil
}

// scatter checks the next leaves of a report. Its error is that of reading them.
func (c *check) scatter() error {
	s, err := c.decoder.scatter()
	if err != nil {
		return err
	}
	root, err := RootOfAll(s.Indexes, c.signed.Size, Leaves(s.Entries), s.Beside)
	var begin uint64
	if len(s.Indexes) > 0 {
		begin = s.Indexes[0]
	}
	c.proven(begin, s.Indexes, s.Entries, root, err)
	return nil
}

// Leaves are the leaves of entries, in their order.
func Leaves(entries []Entry) [][]byte {
	leaves := make([][]byte, len(entries))
	for i := range entries {
		leaves[i] = []byte(entries[i].Leaf)
	}
	return leaves
}

// proven checks the entries under a root that was computed from them.
func (c *check) proven(begin uint64, indexes []uint64, entries []Entry, root Digest, err error) {
	if begin < c.next {
		c.verdict.fail(&Failure{What: Reordered, Index: &begin, Message: "it is shown behind leaves that stand behind it, or twice"})
	}
	if err != nil {
		c.verdict.fail(&Failure{What: Malformed, Index: &begin, Message: err.Error()})
		return
	}
	included := root == c.signed.Root
	for i, index := range indexes {
		c.entry(index, &entries[i], included, len(entries))
		c.next = index + 1
	}
}

func (c *check) entry(index uint64, e *Entry, included bool, neighbours int) {
	leaf, err := ParseLeaf([]byte(e.Leaf))
	if err != nil {
		c.verdict.fail(&Failure{What: Malformed, Index: &index, Message: err.Error()})
		return
	}
	at := func(what, format string, args ...any) {
		c.verdict.fail(&Failure{What: what, Index: &index, Stream: leaf.Stream, Event: leaf.ID.String(), Message: fmt.Sprintf(format, args...)})
	}
	if !included {
		at(Changed, "the log has another leaf here, or the proof was changed; it is one of %d that are proven together", neighbours)
	}
	if e.Said != nil && DigestOf(e.Said.Salt, e.Said.Payload()) != leaf.Digest {
		at(Changed, "its type, data, metadata or salt are not those that were recorded")
	}
	if now := c.trust.At; !now.IsZero() && leaf.Created.After(now.Add(c.trust.Tolerance)) {
		at(Future, "it was recorded at %s, and it is %s", leaf.Created.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	if c.stamped.before(index, leaf.Created.Add(-c.trust.Tolerance)) {
		at(Future, "it was recorded at %s, and was there at %s: a clock was wrong, or the time was changed", leaf.Created.Format(time.RFC3339), c.stamped.at.Format(time.RFC3339))
	}
	c.entries++
	if e.Said == nil {
		c.redacted++
	}
	c.claim.entry(&c.verdict, index, &leaf, e.Said)
	if c.each != nil {
		c.each(index, leaf, e.Said)
	}
}

func claimOf(h Header, size uint64) (claim, error) {
	s := h.Subject
	switch h.Kind {
	case KindEvent:
		if s != (Subject{Event: s.Event}) || s.Event == "" {
			return nil, errors.New("the subject of an event's bundle is an event, and nothing else")
		}
		return &eventClaim{id: s.Event}, nil
	case KindChain:
		if s != (Subject{Order: s.Order}) || s.Order == "" {
			return nil, errors.New("the subject of a chain's bundle is an order, and nothing else")
		}
		return &chainClaim{stream: domain.KindOrder + "-" + s.Order}, nil
	case KindWindow:
		if s != (Subject{From: s.From, To: s.To, Begin: s.Begin, End: s.End}) || !s.From.Before(s.To) || s.Begin > s.End || s.End > size {
			return nil, errors.New("the subject of a window's bundle is two times, and where its leaves begin and end")
		}
		return newWindowClaim(s, size), nil
	case KindReport:
		if s != (Subject{Report: s.Report, Events: s.Events, Unsealed: s.Unsealed}) || s.Report == "" {
			return nil, errors.New("the subject of a report's bundle is a report, and how many events it shows")
		}
		return &reportClaim{s: s}, nil
	default:
		return nil, fmt.Errorf("its kind is %.40q", h.Kind)
	}
}
