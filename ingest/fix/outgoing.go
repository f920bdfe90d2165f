package fix

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// field1 is one field of a message, with its separator.
func field1(tag int, value string) string {
	return strconv.Itoa(tag) + "=" + value + string(soh)
}

// logon says who we are. With reset our numbers begin at 1.
func (s *session) logon(ctx context.Context, reset bool) error {
	body := field1(tagEncryptMethod, "0") + field1(tagHeartBtInt, strconv.Itoa(int(s.heartbeat.Seconds())))
	if reset {
		body += field1(tagResetSeqNum, "Y")
		if err := s.numbers.set(s.numbers.in, 1); err != nil {
			return errors.Join(errFatal, err)
		}
	}
	if s.cfg.BeginString == "FIXT.1.1" {
		body += field1(tagDefaultApplVerID, s.cfg.applVerID())
	}
	if s.cfg.Role == Initiator {
		if s.cfg.Username != "" {
			body += field1(tagUsername, s.cfg.Username)
		}
		if s.password != "" {
			body += field1(tagPassword, s.password)
		}
	}
	return s.send(ctx, "A", body)
}

// fillGap answers a resend request: all that we ever sent are session messages,
// which are not sent again.
func (s *session) fillGap(ctx context.Context, m *Message) error {
	from, err := wholeNumber(m.first(tagBeginSeqNo), maxNumber)
	if err != nil || from < 1 || from >= s.numbers.out {
		return nil //nolint:nilerr // what nobody sent can't be sent again
	}
	return s.write(ctx, "4", from, field1(tagPossDup, "Y")+field1(tagOrigSendingTime, formatTime(s.deps.Now())),
		field1(tagGapFill, "Y")+field1(tagNewSeqNo, strconv.Itoa(s.numbers.out)))
}

// send sends a message under our next number, which is used up before.
func (s *session) send(ctx context.Context, kind, body string) error {
	number := s.numbers.out
	if err := s.numbers.set(s.numbers.in, number+1); err != nil {
		return errors.Join(errFatal, err)
	}
	return s.write(ctx, kind, number, "", body)
}

// write sends a message and keeps it for the record, as what it says about the
// session.
func (s *session) write(ctx context.Context, kind string, number int, header, body string) error {
	now := s.deps.Now()
	raw := build(s.cfg.BeginString, field1(tagMsgType, kind)+field1(tagMsgSeqNum, strconv.Itoa(number))+
		field1(tagSenderCompID, s.cfg.SenderCompID)+field1(tagSendingTime, formatTime(now))+
		field1(tagTargetCompID, s.cfg.TargetCompID)+header+body)
	if err := s.conn.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
		return fmt.Errorf("sending a %s: %w", kind, err)
	}
	if _, err := s.conn.Write(raw); err != nil {
		return fmt.Errorf("sending a %s: %w", kind, err)
	}
	s.spoke = now
	if unrecorded(kind) {
		return nil
	}
	items, err := s.mapper.Items(ctx, Piece{Raw: raw}, now)
	if err != nil {
		return err
	}
	s.batch = append(s.batch, items...)
	return nil
}

// build puts length and checksum around a message.
func build(beginString, body string) []byte {
	raw := []byte(field1(tagBeginString, beginString) + field1(tagBodyLength, strconv.Itoa(len(body))) + body)
	var sum byte
	for _, c := range raw {
		sum += c
	}
	return fmt.Appendf(raw, "10=%03d\x01", sum)
}
