package verify

import "fmt"

// reportClaim: the events that a report shows are in the log.
type reportClaim struct {
	s    Subject
	seen uint64
}

func (c *reportClaim) entry(*Verdict, uint64, *Leaf, *Said) { c.seen++ }

func (c *reportClaim) end(v *Verdict) {
	if c.seen != c.s.Events {
		v.fail(&Failure{What: Missing, Message: fmt.Sprintf("the bundle is of %d events, and %d are in it", c.s.Events, c.seen)})
	}
	v.proven("%d events that the report %s shows are in the log, at their places", c.seen, c.s.Report)
	if c.s.Unsealed > 0 {
		v.notProven(fmt.Sprintf("%d rows of the report are of events that were in no checkpoint when it was made: it says so where they stand", c.s.Unsealed))
	}
	v.notProven("these are all events that there are of its subject: that takes a window")
}
