package fix

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/tradetrail/tradetrail/internal/backoff"
)

// errFatal marks what no reconnection mends: the numbers can't be kept.
var errFatal = errors.New("the session can't go on")

func fatal(err error) bool { return errors.Is(err, errFatal) }

// accept is an acceptor's life: those who connect must say who they are first, and
// one of them at a time has the session.
func (s *Source) accept(ctx context.Context) error {
	var knocking sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		_ = s.listener.Close() // it has served
		knocking.Wait()
	}()
	logons := make(chan *session)
	knocking.Go(func() { s.listen(ctx, logons, &knocking) })
	for {
		select {
		case guest := <-logons:
			_, err := guest.run(ctx)
			if err != nil && ctx.Err() == nil {
				if fatal(err) {
					return err
				}
				s.log.WarnContext(ctx, "the session ended", slog.Any("error", err))
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// listen lets in, until ctx ends.
func (s *Source) listen(ctx context.Context, logons chan<- *session, knocking *sync.WaitGroup) {
	doors := make(chan struct{}, maxKnocking)
	for attempt := 0; ; attempt++ {
		conn, err := s.listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close() // too late
			}
			return
		}
		if err != nil {
			s.log.WarnContext(ctx, "accepting a connection", slog.Any("error", err))
			if backoff.Wait(ctx, attempt, firstRetry, mostRetry) != nil {
				return
			}
			continue
		}
		attempt = -1
		select {
		case doors <- struct{}{}:
		default:
			_ = conn.Close() // too many at once
			continue
		}
		knocking.Go(func() {
			defer func() { <-doors }()
			s.knock(ctx, conn, logons)
		})
	}
}

// knock reads the logon of who has connected, and hands the connection over if it
// is the counterparty.
func (s *Source) knock(ctx context.Context, conn net.Conn, logons chan<- *session) {
	if s.tls != nil {
		conn = tls.Server(conn, s.tls)
	}
	guest := newSession(s, conn)
	err := guest.greet(ctx)
	if err != nil {
		s.log.WarnContext(ctx, "a connection was refused", slog.String("from", conn.RemoteAddr().String()), slog.Any("error", err))
		guest.hangUp()
		return
	}
	select {
	case logons <- guest:
	case <-time.After(logonTimeout): // somebody has the session
		s.log.WarnContext(ctx, "a second connection was refused", slog.String("from", conn.RemoteAddr().String()))
		guest.hangUp()
	case <-ctx.Done():
		guest.hangUp()
	}
}

// greet reads until the first message, which must be a logon that is meant for us.
func (s *session) greet(ctx context.Context) error {
	timeout := time.NewTimer(logonTimeout)
	defer timeout.Stop()
	s.read()
	select {
	case a := <-s.arrivals:
		if a.err != nil {
			return a.err
		}
		m, bad := Parse(a.piece.Raw)
		if bad != nil {
			return bad
		}
		s.first = &a
		return s.welcome(m)
	case <-timeout.C:
		return errors.New("no logon came in time")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// welcome holds a logon against the configuration.
func (s *session) welcome(m *Message) error {
	if m.text(tagMsgType) != "A" {
		return fmt.Errorf("the first message is a %.8q, not a logon", m.text(tagMsgType))
	}
	if err := s.ours(m); err != nil {
		return err
	}
	if s.cfg.Role == Acceptor && s.password != "" {
		user := subtle.ConstantTimeCompare([]byte(m.text(tagUsername)), []byte(s.cfg.Username))
		pass := subtle.ConstantTimeCompare([]byte(m.text(tagPassword)), []byte(s.password))
		if user&pass != 1 {
			return errors.New("wrong username or password")
		}
	}
	return nil
}

// ours reports a message of another session.
func (s *session) ours(m *Message) error {
	for _, must := range []struct {
		tag  int
		text string
	}{{tagBeginString, s.cfg.BeginString}, {tagSenderCompID, s.cfg.TargetCompID}, {tagTargetCompID, s.cfg.SenderCompID}} {
		if got := m.text(must.tag); got != must.text {
			return fmt.Errorf("%s is %.80q, not %q", name(must.tag), got, must.text)
		}
	}
	return nil
}
