package fix

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// take looks at what has come: its number first, then what it says.
func (s *session) take(ctx context.Context, a arrival) error {
	if a.err != nil {
		return fmt.Errorf("reading: %w", a.err)
	}
	s.heard, s.tested = a.at, false
	m, bad := a.piece.parse()
	if bad != nil {
		// FIX: garbled messages are passed over; the next one shows that a number is
		// missing. We keep what came.
		s.batch = append(s.batch, rejected(a.piece, bad)...)
		return nil
	}
	number, err := wholeNumber(m.first(tagMsgSeqNum), maxNumber)
	if err == nil {
		err = s.ours(m)
	}
	if err != nil {
		s.batch = append(s.batch, rejected(a.piece, domain.Rejectf(domain.CodeInvalid, "", "not a message of this session: %v", err))...)
		return errors.Join(err, s.send(ctx, "5", field1(tagText, "not a message of this session")))
	}
	kind := m.text(tagMsgType)
	if !s.loggedOn && kind != "A" {
		return s.turnedAway(ctx, m, a, kind)
	}
	if kind == "A" {
		return s.onLogon(ctx, m, a, number)
	}
	if kind == "4" && !m.says(tagGapFill) {
		return s.onReset(ctx, m, a)
	}
	switch {
	case number > s.next:
		return s.beyond(ctx, m, a, number, kind)
	case number < s.next:
		return s.before(ctx, m, a)
	default:
		if err := s.onNext(ctx, m, a, kind); err != nil {
			return err
		}
		return s.caughtUp(ctx)
	}
}

// turnedAway is an initiator whose logon was not answered with one.
func (s *session) turnedAway(ctx context.Context, m *Message, a arrival, kind string) error {
	if err := s.say(ctx, m, a); err != nil {
		return err
	}
	return fmt.Errorf("the answer to our logon is a %.8q: %.200s", kind, m.text(tagText))
}

// onNext is the message whose turn it is.
func (s *session) onNext(ctx context.Context, m *Message, a arrival, kind string) error {
	if err := s.say(ctx, m, a); err != nil {
		return err
	}
	next := s.next + 1
	if kind == "4" {
		if to, err := wholeNumber(m.first(tagNewSeqNo), maxNumber); err == nil && to > next {
			next = to
		}
		if err := s.passedOver(ctx, next); err != nil {
			return err
		}
	}
	s.held.take(s.next) // the same, as it came before
	s.advance(next, a.at)
	return s.answer(ctx, m, kind)
}

// advance expects the next number, and notes when a gap is closed.
func (s *session) advance(next int, at time.Time) {
	s.next = next
	s.passed, s.retries, s.askedAt = 0, 0, at
	if s.gap != nil && s.next > s.gap.to {
		s.note(domain.SessionGapFilled, *s.gap, at)
		s.gap, s.asked = nil, false
	}
}

func (s *session) note(t domain.EventType, numbers span, at time.Time) {
	s.batch = append(s.batch, ingest.Item{Event: s.them().noted(t, numbers, at)})
}

// say records what a message means.
func (s *session) say(ctx context.Context, m *Message, a arrival) error {
	return s.insist(ctx, "understanding a message", func() error {
		items, err := s.mapper.items(ctx, m, a.piece, a.at)
		s.batch = append(s.batch, items...)
		return err
	})
}

// answer does what a session message asks for.
func (s *session) answer(ctx context.Context, m *Message, kind string) error {
	switch kind {
	case "1":
		return s.send(ctx, "0", field1(tagTestReqID, m.text(tagTestReqID)))
	case "2":
		return s.fillGap(ctx, m)
	case "5":
		if s.leaving {
			return errLoggedOut
		}
		s.leaving = true
		return errors.Join(errLoggedOut, s.send(ctx, "5", ""))
	default:
		return nil
	}
}

// onLogon begins the session, or begins its numbers again.
func (s *session) onLogon(ctx context.Context, m *Message, a arrival, number int) error {
	if err := s.welcome(m); err != nil {
		return err
	}
	reset := m.says(tagResetSeqNum)
	if reset {
		if err := s.passedOver(ctx, maxNumber+1); err != nil {
			return err
		}
	}
	if reset && number != s.next {
		s.note(domain.SessionSequenceReset, span{s.next, number}, a.at)
		s.next, s.gap, s.asked = number, nil, false
	}
	if number < s.next && !m.says(tagPossDup) {
		return errors.Join(errTooLow, s.say(ctx, m, a), s.send(ctx, "5", field1(tagText, fmt.Sprintf("MsgSeqNum too low, expecting %d but received %d", s.next, number))))
	}
	if err := s.say(ctx, m, a); err != nil {
		return err
	}
	if seconds, err := wholeNumber(m.first(tagHeartBtInt), maxHeartbeat); err == nil && seconds > 0 && s.cfg.Role == Acceptor {
		s.heartbeat = time.Duration(seconds) * time.Second
	}
	first := !s.loggedOn
	s.loggedOn = true
	s.up.Store(true)
	if s.cfg.Role == Acceptor && first || !first && reset {
		if err := s.logon(ctx, reset); err != nil {
			return err
		}
	}
	s.log.InfoContext(ctx, "logged on", slog.Int("expected", s.next), slog.Int("received", number))
	switch {
	case number == s.next:
		s.advance(number+1, a.at)
		return s.caughtUp(ctx)
	case number > s.next:
		s.held.keep(number, waiting{message: m, arrival: a, said: true})
		return s.ask(ctx, number, a.at)
	default:
		return nil
	}
}

// onReset is a SequenceReset that does not fill a gap: from now on other numbers
// count, whatever is missing.
func (s *session) onReset(ctx context.Context, m *Message, a arrival) error {
	if err := s.say(ctx, m, a); err != nil {
		return err
	}
	to, _ := wholeNumber(m.first(tagNewSeqNo), maxNumber) // 0 is low, too
	if to <= s.next {
		s.log.WarnContext(ctx, "a reset of the numbers to lower ones was not followed", slog.Int("expected", s.next))
		return nil
	}
	if err := s.passedOver(ctx, to); err != nil {
		return err
	}
	s.next, s.gap, s.asked, s.passed, s.retries = to, nil, false, 0, 0
	return s.caughtUp(ctx)
}

// beyond is a message with a number that is too high: those before it are asked
// for, and it is held until they have come.
func (s *session) beyond(ctx context.Context, m *Message, a arrival, number int, kind string) error {
	// Waiting for each other's missing messages would never end, who asks whether we
	// are there wants to know now, and who logs out is gone.
	now := kind == "1" || kind == "2" || kind == "5"
	if now {
		if err := errors.Join(s.say(ctx, m, a), s.answer(ctx, m, kind)); err != nil {
			return err
		}
	}
	s.held.keep(number, waiting{message: m, arrival: a, said: now})
	if !s.asked {
		return s.ask(ctx, number, a.at)
	}
	switch stuck := a.at.Sub(s.askedAt) > resendPatience; {
	case stuck:
		// Nobody answers, or not to the end.
	case !m.says(tagPossDup), s.passed != 0 && number > s.passed:
		return nil // what was under way when we asked, or comes behind what is missing
	}
	// The missing messages have come, but not all of them: the one we wait for was
	// broken, or was left out.
	s.passed = number
	if s.retries++; s.retries < giveUpAfter {
		return s.request(ctx, a.at)
	}
	s.log.WarnContext(ctx, "messages were asked for again and again and never came whole: going on without them",
		slog.Int("from", s.next), slog.Int("below", number))
	return s.goOn(ctx)
}

// ask notes a gap and asks for what is missing.
func (s *session) ask(ctx context.Context, number int, at time.Time) error {
	s.gap = &span{s.next, number - 1}
	s.note(domain.SessionGapDetected, *s.gap, at)
	return s.request(ctx, at)
}

func (s *session) request(ctx context.Context, at time.Time) error {
	s.asked, s.askedAt = true, at
	return s.send(ctx, "2", field1(tagBeginSeqNo, strconv.Itoa(s.next))+field1(tagEndSeqNo, "0"))
}

// before is a message with a number that was used: one that is sent again, which
// the recorder knows if it is recorded, or a fault of the counterparty's.
func (s *session) before(ctx context.Context, m *Message, a arrival) error {
	if err := s.say(ctx, m, a); err != nil {
		return err
	}
	if m.says(tagPossDup) {
		return nil
	}
	s.leaving = true
	return errors.Join(errTooLow, s.send(ctx, "5", field1(tagText, fmt.Sprintf("MsgSeqNum too low, expecting %d", s.next))))
}
