package simulator

import "time"

// between draws from low to high, both included.
func (s *Simulator) between(low, high int64) int64 { return low + s.random.Int64N(high-low+1) }

// oneIn is true once in n draws on average.
func (s *Simulator) oneIn(n int) bool { return s.random.IntN(n) == 0 }

// latency draws how long something takes that typically takes so long: most
// often half to one and a half times as much, but the tail is heavy, up to some
// hundred times. It is never 0.
func (s *Simulator) latency(typical time.Duration) time.Duration {
	d := typical/2 + time.Duration(s.random.Int64N(int64(typical)))
	for tail := 0; tail < 4 && s.oneIn(8); tail++ {
		d *= 3
	}
	return d + 1
}

// within draws a duration below d.
func (s *Simulator) within(d time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(max(int64(d), 1)))
}

func pick[T any](s *Simulator, from []T) T { return from[s.random.IntN(len(from))] }

// fate is how a decision is going to end.
type fate int

const (
	fateFilled fate = iota
	fateSuppressed
	fateRiskRejected
	fateApproved // big enough to need it; then filled
	fateApprovalRejected
	fateApprovalExpired
	fateBrokerRejected
	fateDuplicate // sent twice, kept once; then filled
	fateCancelled
	fateCancelTooLate
	fateReplaced
	fateReplaceRejected
	fateStalled  // filled in part; the rest expires at the close
	fateUnfilled // expires at the close, whole
)

// big reports whether the fate needs an order that needs an approval.
func (f fate) big() bool {
	return f == fateApproved || f == fateApprovalRejected || f == fateApprovalExpired
}

// deck deals the fates. Cards instead of dice: also a short day sees every
// ending, in a mix that does not depend on the seed.
type deck struct{ cards []fate }

func freshDeck() []fate {
	var cards []fate
	for _, c := range []struct {
		fate  fate
		count int
	}{
		{fateFilled, 14},
		{fateSuppressed, 4},
		{fateRiskRejected, 4},
		{fateApproved, 4},
		{fateApprovalRejected, 1},
		{fateApprovalExpired, 1},
		{fateBrokerRejected, 2},
		{fateDuplicate, 2},
		{fateCancelled, 3},
		{fateCancelTooLate, 1},
		{fateReplaced, 3},
		{fateReplaceRejected, 1},
		{fateStalled, 1},
		{fateUnfilled, 1},
	} {
		for range c.count {
			cards = append(cards, c.fate)
		}
	}
	return cards
}

func (s *Simulator) deal() fate {
	d := &s.deck
	if len(d.cards) == 0 {
		d.cards = freshDeck()
		s.random.Shuffle(len(d.cards), func(i, j int) { d.cards[i], d.cards[j] = d.cards[j], d.cards[i] })
	}
	card := d.cards[0]
	d.cards = d.cards[1:]
	return card
}

// putBack returns a fate that could not be: it is dealt again next.
func (s *Simulator) putBack(f fate) { s.deck.cards = append([]fate{f}, s.deck.cards...) }
