package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

const (
	// maxMessageBytes is more than an event takes with all that a feed adds.
	maxMessageBytes = 8 << 20
	// silence is how long a feed may say nothing, three times what the server allows
	// itself; then the connection is dead.
	silence = 45 * time.Second

	firstReturn, lastReturn = 200 * time.Millisecond, 10 * time.Second
)

// Follow hands over every event of a live feed, as JSON, once each and in order, until
// ctx ends or take fails. subject and id are such as account and A; after is the
// position behind which it begins, "" for now. Once it has been connected it comes
// back by itself, behind what it has handed over, however long the server is away.
func (c *Client) Follow(ctx context.Context, subject, id, after string, take func(event []byte) error) error {
	f := following{client: c, path: "/audit/live?" + url.Values{subject: {id}}.Encode(), last: after, take: take}
	for attempt := 0; ; attempt++ {
		before := f.last
		err := f.connect(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // asked to end
		case err != nil && (!f.connected || domain.ClassOf(err) != domain.ClassTransient):
			return err
		case f.last != before:
			attempt = 0
		}
		if backoff.Wait(ctx, attempt, firstReturn, lastReturn) != nil {
			return nil //nolint:nilerr // asked to end while waiting
		}
	}
}

// following is a feed over all its connections.
type following struct {
	client    *Client
	path      string
	last      string // position of what was handed over
	connected bool   // at least once
	take      func(event []byte) error
}

// connect follows until the connection ends, which is not an error.
func (f *following) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	header := map[string]string{"Accept": "text/event-stream"}
	if f.last != "" {
		header["Last-Event-ID"] = f.last
	}
	response, err := f.client.ask(ctx, f.path, header)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it has ended, or is given up
	f.connected = true
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxMessageBytes)
	var id, event, data string
	for lines.Scan() {
		watchdog.Reset(silence)
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			data = value
		case "":
			if lines.Text() != "" { // a comment
				continue
			}
			if event == "event" {
				if err := f.take([]byte(data)); err != nil {
					return fmt.Errorf("handing over the event at %s: %w", id, err)
				}
			}
			// Only now: a message that was cut off comes again.
			if id != "" {
				f.last = id
			}
			id, event, data = "", "", ""
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) { // it would be as long the next time
		return domain.Rejectf(domain.CodeTooLarge, "", "%s sent a message of more than %d bytes", f.client.base, maxMessageBytes)
	}
	return nil // however else it ended, it is taken up again
}
