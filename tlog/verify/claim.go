package verify

import (
	"fmt"
	"time"
)

func failure(what string, index uint64, leaf *Leaf, format string, args ...any) *Failure {
	return &Failure{What: what, Index: &index, Stream: leaf.Stream, Event: leaf.ID.String(), Message: fmt.Sprintf(format, args...)}
}

// eventClaim: this event is in the log.
type eventClaim struct {
	id   string
	seen bool
	leaf Leaf
}

func (c *eventClaim) entry(v *Verdict, index uint64, leaf *Leaf, _ *Said) {
	if c.seen || leaf.ID.String() != c.id {
		v.fail(failure(Inserted, index, leaf, "the bundle is of the event %.40s alone", c.id))
	}
	if leaf.ID.String() == c.id {
		c.seen, c.leaf = true, *leaf
	}
}

func (c *eventClaim) end(v *Verdict) {
	if !c.seen {
		v.fail(&Failure{What: Missing, Event: c.id, Message: "the event of which the bundle is, is not in it"})
	}
	v.proven("the event %s is in the log, at its place: it is revision %d of %.300q, recorded at %s", c.id, c.leaf.Revision, c.leaf.Stream, rfc3339(c.leaf.Created))
	v.notProven("no other event has this id: one in each stream may")
	v.notProven("what its sender says is true: the log shows that it was said, and not changed since")
}

// chainClaim: the first events of an order's stream, none left out, in the order
// of the log, and others that they refer to.
type chainClaim struct {
	stream  string
	next    uint64 // revision
	related uint64
}

func (c *chainClaim) entry(v *Verdict, index uint64, leaf *Leaf, _ *Said) {
	switch {
	case leaf.Stream != c.stream:
		c.related++
	case leaf.Revision > c.next:
		v.fail(failure(Missing, index, leaf, "it has revision %d, and %d must come first", leaf.Revision, c.next))
		c.next = leaf.Revision + 1
	case leaf.Revision < c.next:
		v.fail(failure(Reordered, index, leaf, "it has revision %d, and stands behind revision %d", leaf.Revision, c.next-1))
	default:
		c.next++
	}
}

func (c *chainClaim) end(v *Verdict) {
	if c.next == 0 {
		v.fail(&Failure{What: Missing, Stream: c.stream, Message: "no event of the order's own stream is shown"})
		return
	}
	v.proven("the first %d events of %s are in the log, in this order and with none left out between them", c.next, c.stream)
	if c.related > 0 {
		v.proven("%d events of other streams are in the log, at their places", c.related)
	}
	v.notProven("nothing came behind the last event shown: that takes a window that reaches to the end")
	v.notProven("the events of other streams are all that the order refers to")
}

// windowClaim: all leaves between two places, and the neighbours that show that
// these places are where the times of the window begin and end.
type windowClaim struct {
	s           Subject
	size        uint64
	first, last uint64 // shown, with the neighbours; the index behind the last
	next        uint64
	newest      time.Time
	back        *uint64 // where the store's clock went back
}

func newWindowClaim(s Subject, size uint64) *windowClaim {
	c := &windowClaim{s: s, size: size, first: s.Begin, last: s.End}
	if c.first > 0 {
		c.first--
	}
	if c.last < size {
		c.last++
	}
	c.next = c.first
	return c
}

func (c *windowClaim) entry(v *Verdict, index uint64, leaf *Leaf, said *Said) {
	switch {
	case index < c.first:
		v.fail(failure(Inserted, index, leaf, "the window and its neighbour begin behind it"))
	case index > c.next:
		v.fail(failure(Missing, index, leaf, "leaf %d must come first: something was left out", c.next))
	case index >= c.last:
		v.fail(failure(Inserted, index, leaf, "the window ends before it"))
	}
	c.next = max(c.next, index+1)
	created := leaf.Created
	before, behind := index < c.s.Begin, index >= c.s.End
	switch {
	case before && !created.Before(c.s.From):
		v.fail(failure(Truncated, index, leaf, "it stands before the window, and was recorded at %s, which is not before %s", rfc3339(created), rfc3339(c.s.From)))
	case behind && created.Before(c.s.To):
		v.fail(failure(Truncated, index, leaf, "it stands behind the window, and was recorded at %s, which is before %s", rfc3339(created), rfc3339(c.s.To)))
	case index == c.s.Begin && !behind && created.Before(c.s.From):
		v.fail(failure(Inserted, index, leaf, "the window begins with it, and it was recorded at %s, before %s", rfc3339(created), rfc3339(c.s.From)))
	case index+1 == c.s.End && !before && !created.Before(c.s.To):
		v.fail(failure(Inserted, index, leaf, "the window ends with it, and it was recorded at %s, not before %s", rfc3339(created), rfc3339(c.s.To)))
	case (before || behind) && said != nil:
		v.fail(failure(Inserted, index, leaf, "it shows only where the window ends, and must be redacted"))
	}
	if created.Before(c.newest) && c.back == nil {
		c.back = &index
	}
	if created.After(c.newest) {
		c.newest = created
	}
}

func (c *windowClaim) end(v *Verdict) {
	if c.next < c.last {
		v.fail(&Failure{What: Truncated, Index: &c.next, Message: fmt.Sprintf("the leaves from here to before %d are not shown", c.last)})
	}
	v.proven("all %d events between leaf %d and before leaf %d are shown, none left out", c.s.End-c.s.Begin, c.s.Begin, c.s.End)
	if c.s.Begin > 0 {
		v.proven("the event before them was recorded before %s", rfc3339(c.s.From))
	} else {
		v.proven("no event came before them: the log begins there")
	}
	if c.s.End < c.size {
		v.proven("the event behind them was recorded at %s or later", rfc3339(c.s.To))
	} else {
		v.notProven("no event of the window came behind them: the checkpoint was signed when the log ended there")
	}
	if c.back != nil {
		v.notProven(fmt.Sprintf("the store's clock went back at leaf %d: events with times of the window may stand outside of it", *c.back))
	} else {
		v.notProven("the store's clock was right, and was never put back outside of the window")
	}
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
