package fix

import (
	"context"
	"maps"
	"slices"

	"github.com/tradetrail/tradetrail/domain"
)

// The bounds of what is held behind a gap.
const (
	maxHeld      = 4096
	maxHeldBytes = 16 << 20
)

// held are the messages that have come behind a gap, by number: taken when their
// turn comes, whether or not they are sent again. They outlive a connection, since
// the counterparty may begin its numbers again on the next one. What has no room is
// not lost either: it is a gap of its own, which is asked for next.
type held struct {
	behind map[int]waiting
	bytes  int
}

type waiting struct {
	message *Message
	arrival arrival
	said    bool // and answered: only its number waits
}

func (h *held) keep(number int, w waiting) {
	if _, known := h.behind[number]; known || len(h.behind) == maxHeld || h.bytes+len(w.arrival.piece.Raw) > maxHeldBytes {
		return
	}
	if h.behind == nil {
		h.behind = make(map[int]waiting)
	}
	h.behind[number] = w
	h.bytes += len(w.arrival.piece.Raw)
}

func (h *held) take(number int) (waiting, bool) {
	w, ok := h.behind[number]
	if ok {
		delete(h.behind, number)
		h.bytes -= len(w.arrival.piece.Raw)
	}
	return w, ok
}

// numbers are those that are held, in order.
func (h *held) numbers() []int { return slices.Sorted(maps.Keys(h.behind)) }

// caughtUp takes what was held as far as nothing is missing before it.
func (s *session) caughtUp(ctx context.Context) error {
	for {
		w, ok := s.held.take(s.next)
		if !ok {
			return nil
		}
		if err := s.inTurn(ctx, w); err != nil {
			return err
		}
		if s.full() {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// inTurn is onNext for what was held.
func (s *session) inTurn(ctx context.Context, w waiting) error {
	if w.said {
		s.advance(s.next+1, w.arrival.at)
		return nil
	}
	return s.onNext(ctx, w.message, w.arrival, w.message.text(tagMsgType))
}

// passedOver records what is held below a number, where the numbers go on without
// it: it came, and will not be sent again.
func (s *session) passedOver(ctx context.Context, below int) error {
	for _, number := range s.held.numbers() {
		if number >= below {
			break
		}
		if w, _ := s.held.take(number); !w.said {
			if err := s.say(ctx, w.message, w.arrival); err != nil {
				return err
			}
		}
	}
	return nil
}

// goOn leaves what never came: everything that is held is taken, and each further
// stretch that is missing is noted as a gap, which stays open.
func (s *session) goOn(ctx context.Context) error {
	s.gap, s.asked = nil, false // it stays noted as open
	for first := true; ; first = false {
		numbers := s.held.numbers()
		if len(numbers) == 0 {
			return nil
		}
		if missing := (span{s.next, numbers[0] - 1}); !first && missing.from <= missing.to {
			s.note(domain.SessionGapDetected, missing, s.held.behind[numbers[0]].arrival.at)
		}
		s.next, s.passed, s.retries = numbers[0], 0, 0
		if err := s.caughtUp(ctx); err != nil {
			return err
		}
	}
}
