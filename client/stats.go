package client

import (
	"errors"
	"sync/atomic"
	"time"
)

// Stats is what recording has cost and what became of the events, since the client
// was opened.
type Stats struct {
	// Recorded is how many calls of Record returned nil, without the dropped ones.
	Recorded uint64
	// P50, P99 and P999 are bounds that so many of the calls kept, at most 7 % above
	// the true ones, and Max is the longest: what the caller waited for, of all calls.
	P50, P99, P999, Max time.Duration

	Pending      uint64 // events that wait to be delivered, whoever recorded them
	SpooledBytes int64  // of the files that hold them
	Full         bool   // Record may find no room
	OldestWaits  time.Duration

	Delivered  uint64 // answered by the server as recorded or duplicate
	Duplicates uint64 // of these: recorded before, and sent again after a lost answer
	Rejected   uint64 // refused, or not to be sent
	Unkept     uint64 // of these: not in the dead-letter file
	Dropped    uint64 // not kept, since there was no room
	Damaged    uint64 // not readable any more, at least
	Retries    uint64 // requests that brought no receipt

	// Trouble is what keeps delivery or the disk from working now; nil if nothing.
	Trouble error
}

// counters are the deliverer's; anybody may look.
type counters struct {
	delivered, duplicates, rejected, damaged, retries, unkept atomic.Uint64
}

// Stats looks. It may be called at any time and from anywhere.
func (c *Client) Stats() Stats {
	state, cost := c.spool.State(), c.cost.look()
	s := Stats{
		Recorded: cost.total - min(cost.total, state.Dropped), P50: cost.quantile(0.5), P99: cost.quantile(0.99), P999: cost.quantile(0.999), Max: time.Duration(c.cost.max.Load()),
		SpooledBytes: state.Bytes, Full: state.Full, Dropped: state.Dropped,
		Delivered: c.counts.delivered.Load(), Duplicates: c.counts.duplicates.Load(), Rejected: c.counts.rejected.Load(),
		Unkept: c.counts.unkept.Load(), Damaged: c.counts.damaged.Load(), Retries: c.counts.retries.Load(),
		Trouble: state.Trouble,
	}
	if state.Next > state.Delivered {
		s.Pending = state.Next - max(state.Delivered, 1)
	}
	if oldest := c.oldest.Load(); oldest != 0 {
		s.OldestWaits = c.cfg.clock.now().Sub(time.Unix(0, oldest))
	}
	for _, trouble := range []*error{c.trouble.Load(), c.notKept.Load()} {
		if trouble != nil {
			s.Trouble = errors.Join(s.Trouble, *trouble)
		}
	}
	return s
}
