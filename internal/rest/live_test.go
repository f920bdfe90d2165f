package rest_test

import (
	"bufio"
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// message is one server-sent event.
type message struct{ id, event, data, retry, comment string }

// stream reads a live feed.
type stream struct {
	t     testing.TB
	lines *bufio.Reader
	close func()
}

func (d *desk) follow(query string, header ...string) *stream {
	d.Helper()
	ctx, cancel := context.WithCancel(d.Context())
	d.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/audit/live?"+query, nil)
	require.NoError(d, err)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // closed by the stream, or with its context
	require.NoError(d, err)
	require.Equal(d, http.StatusOK, response.StatusCode)
	require.Equal(d, "text/event-stream", response.Header.Get("Content-Type"))
	return &stream{d, bufio.NewReader(response.Body), func() {
		cancel()
		_ = response.Body.Close()
	}}
}

// next reads a message; ok is false at the end.
func (s *stream) next() (m message, ok bool) {
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return m, false
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "\n":
			return m, true
		case name == "":
			m.comment = value
		case name == "id":
			m.id = value
		case name == "event":
			m.event = value
		case name == "data":
			m.data = value
		case name == "retry":
			m.retry = value
		}
	}
}

// event reads the next event and returns its id and its position.
func (s *stream) event() (id, position string) {
	for {
		m, ok := s.next()
		require.True(s.t, ok, "the feed ended")
		if m.event == "event" {
			e := reply{body: []byte(m.data)}.json(s.t)
			assert.Equal(s.t, m.id, field(e, "position"))
			return field(e, "event_id"), m.id
		}
	}
}

func TestLive_ResumesWithoutGapOrDuplicate(t *testing.T) {
	t.Parallel()
	d := openDesk(t, viewstest.Log(viewstest.History(7, 400)), deskOptions{})
	account := mostFrequent(d.log, func(e *domain.Event) string { return e.AccountID })
	d.apply(50)
	query := "account=" + url.QueryEscape(account) + "&after=C:0/P:0"
	var got []string
	var last string
	feed := d.follow(query)
	resume := func() {
		feed.close()
		feed = d.follow(query, "Last-Event-ID", last) // as a browser does, with the same address
		opened, ok := feed.next()
		require.True(t, ok)
		assert.Equal(t, last, opened.id)
	}
	for d.applied < len(d.log) {
		d.apply(50)
		page, err := d.set.OwnerEvents(t.Context(), "accounts", account, 0, 1000)
		require.NoError(t, err)
		for len(got) < int(page.Total) {
			var id string
			id, last = feed.event()
			got = append(got, id)
			if len(got)%7 == 0 {
				resume()
			}
		}
	}
	page, err := d.set.OwnerEvents(t.Context(), "accounts", account, 0, 1000)
	require.NoError(t, err)
	var want []string
	for _, e := range page.Items {
		want = append(want, e.ID)
	}
	assert.Greater(t, len(want), 50)
	assert.Equal(t, want, got)
}

// Without a cursor a feed begins now, and says where that is: who breaks off before
// the first event misses none.
func TestLive_TellsWhereItBegins(t *testing.T) {
	t.Parallel()
	log := viewstest.Log(viewstest.History(7, 200))
	d := openDesk(t, log, deskOptions{})
	d.apply(100)
	for _, subject := range []string{"account", "user", "strategy", "instrument", "order", "entity"} {
		query := subject + "=nobody"
		if subject == "entity" {
			query = "entity=venue:nobody"
		}
		feed := d.follow(query)
		opened, ok := feed.next()
		require.True(t, ok)
		assert.Equal(t, message{id: log[99].Position.String(), event: "open", data: "{}", retry: "1000"}, opened)
		feed.close()
	}
	account := mostFrequent(log, func(e *domain.Event) string { return e.AccountID })
	resumed := d.follow("account="+account, "Last-Event-ID", log[99].Position.String())
	d.apply(100)
	before, err := d.set.OwnerIndexAfter(t.Context(), "accounts", account, log[99].Position)
	require.NoError(t, err)
	page, err := d.set.OwnerEvents(t.Context(), "accounts", account, before, before+1)
	require.NoError(t, err)
	id, _ := resumed.event()
	assert.Equal(t, page.Items[0].ID, id)
}

func TestLive_KeepsAliveAndSaysGoodbye(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	d := openDesk(t, nil, deskOptions{
		limits: func(l *rest.AuditLimits) { l.KeepAlive = time.Millisecond },
		wrap:   func(v rest.Views) rest.Views { return stoppable{v, stop} },
	})
	d.apply(0)
	feed := d.follow("order=o1")
	_, ok := feed.next()
	require.True(t, ok)
	for range 3 {
		alive, ok := feed.next()
		require.True(t, ok)
		require.Equal(t, message{comment: "alive"}, alive)
	}
	close(stop)
	var m message
	for ok = true; ok && m.event == ""; {
		m, ok = feed.next()
	}
	assert.Equal(t, message{event: "bye", data: "{}", retry: "1000"}, m)
	_, ok = feed.next()
	assert.False(t, ok, "the feed goes on")
}

// stoppable are views whose readers end as they do when the server stops.
type stoppable struct {
	rest.Views

	stop <-chan struct{}
}

func (s stoppable) FollowChain(ctx context.Context, _ string, _ *domain.Position) (iter.Seq2[domain.Located, error], error) {
	return func(func(domain.Located, error) bool) {
		select {
		case <-s.stop:
		case <-ctx.Done():
		}
	}, nil
}

// flood are views with more news than anybody reads.
type flood struct{ rest.Views }

func (f flood) FollowOwner(ctx context.Context, _, _ string, _ *domain.Position) (iter.Seq2[domain.Located, error], error) {
	return func(yield func(domain.Located, error) bool) {
		data := []byte(`{"x":"` + strings.Repeat("x", 64<<10) + `"}`)
		for n := uint64(1); ctx.Err() == nil; n++ {
			e := &domain.Event{ID: "e", Type: domain.UserAction, OccurredAt: time.Unix(0, 0), SchemaVersion: 1, Data: data}
			if !yield(domain.Located{Event: e, Position: domain.Position{Commit: n, Prepare: n}}, nil) {
				return
			}
		}
	}, nil
}

func TestLive_NeverReadingClients(t *testing.T) {
	t.Parallel()
	d := openDesk(t, nil, deskOptions{
		patience: 500 * time.Millisecond,
		limits:   func(l *rest.AuditLimits) { l.FeedsEach = 2 },
		wrap:     func(v rest.Views) rest.Views { return flood{v} },
	})
	d.follow("account=A")
	d.follow("account=A")
	crowded := d.get("/audit/live?account=A")
	assert.Equal(t, http.StatusTooManyRequests, crowded.status)
	assert.Equal(t, "too_many_feeds", field(crowded.json(t), "code"))
	<-d.ended
	<-d.ended
	<-d.ended // the two that did not read, and the one that was refused
	id, _ := d.follow("account=A").event()
	assert.Equal(t, "e", id)
}

// A failure that does not pass ends the feed in the middle, so that the client comes
// back.
func TestLive_IsCutWhenItFails(t *testing.T) {
	t.Parallel()
	d := openDesk(t, nil, deskOptions{wrap: func(v rest.Views) rest.Views { return damagedViews{v} }})
	feed := d.follow("account=A&after=C:0/P:0")
	_, ok := feed.next()
	require.True(t, ok)
	m, ok := feed.next()
	assert.False(t, ok, "%v", m)
}

type damagedViews struct{ rest.Views }

func (damagedViews) FollowOwner(context.Context, string, string, *domain.Position) (iter.Seq2[domain.Located, error], error) {
	return func(yield func(domain.Located, error) bool) {
		yield(domain.Located{}, &domain.Error{Class: domain.ClassIntegrity, Code: "view_damaged", Message: "damaged"})
	}, nil
}
