package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph"
)

// chains are views whose chains are read by a function.
type chains struct {
	tape

	chain func() (domain.Chain, error)
}

func (c *chains) FollowChain(ctx context.Context, order string, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
	return c.FollowOwner(ctx, "", order, after)
}

func (c *chains) Chain(context.Context, string) (domain.Chain, int, bool, error) {
	chain, err := c.chain()
	return chain, 0, err == nil, err
}

const followChain = `subscription { chainUpdated(orderId: \"o\", after: \"C:0/P:0\") { cursor chain { orderId } } }`

// A chain that can't be read for a moment is read again; when it can't be read at
// all the subscription ends, and does not go past the event.
func TestChainUpdated_LosesNoUpdate(t *testing.T) {
	var reads atomic.Int64
	v := &chains{tape: tape{events: 2}}
	v.chain = func() (domain.Chain, error) {
		if reads.Add(1) <= 2 {
			return domain.Chain{}, &domain.Error{Class: domain.ClassTransient, Code: "views_unavailable", Message: "away"}
		}
		return domain.Chain{Order: domain.Order{ID: "o"}}, nil
	}
	url, _ := liveServer(t, v, nil)
	c := greeted(t, url)
	say := func(id string) {
		c.say(`{"type":"subscribe","id":"` + id + `","payload":{"query":"` + followChain + `"}}`)
	}
	say("1")
	for n := 1; n <= 2; n++ {
		c.hear(fmt.Sprintf(`{"type":"next","id":"1","payload":{"data":{"chainUpdated":{"cursor":"C:%d/P:%d","chain":{"orderId":"o"}}}}}`, n, n))
	}

	v.chain = func() (domain.Chain, error) {
		return domain.Chain{}, &domain.Error{Class: domain.ClassIntegrity, Code: "view_damaged", Message: "a row is damaged"}
	}
	say("2")
	_, text, err := c.conn.ReadMessage()
	require.NoError(t, err)
	assert.Contains(t, string(text), `"type":"error","id":"2"`)
	assert.Contains(t, string(text), `"code":"view_damaged"`)
	rest, err := stream(t, url, followChain, nil).rest()
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(rest, "event: next"), rest)
	assert.Contains(t, rest, `"code":"view_damaged"`)
	assert.NotContains(t, rest, `"chainUpdated":null`)
}

// What subscriptions compute takes turns with queries.
func TestLive_ComputesInTurn(t *testing.T) {
	v := &chains{tape: tape{events: 20}}
	var inside, most atomic.Int64
	v.chain = func() (domain.Chain, error) {
		now := inside.Add(1)
		defer inside.Add(-1)
		if now > most.Load() {
			most.Store(now)
		}
		for range 50 {
			runtime.Gosched()
		}
		return domain.Chain{}, nil
	}
	url, _ := liveServerOf(t, v, 1, nil)
	c := greeted(t, url)
	const subscriptions = 20
	for id := range subscriptions {
		c.say(fmt.Sprintf(`{"type":"subscribe","id":"%d","payload":{"query":"%s"}}`, id, followChain))
	}
	for range subscriptions * v.events {
		_, text, err := c.conn.ReadMessage()
		require.NoError(t, err)
		require.Contains(t, string(text), `"type":"next"`)
	}
	assert.Equal(t, int64(1), most.Load())

	// An expression is not matched while another has the only turn.
	v.played.Store(0)
	begun, release := make(chan struct{}), make(chan struct{})
	v.chain = func() (domain.Chain, error) {
		close(begun)
		<-release
		return domain.Chain{}, nil
	}
	other := greeted(t, url)
	other.say(`{"type":"subscribe","id":"q","payload":{"query":"{ chain(orderId: \"o\") { orderId } }"}}`)
	<-begun
	c.say(`{"type":"subscribe","id":"x","payload":{"query":"subscription { anomalyDetected(after: \"C:0/P:0\", filter: {expression: \"false\"}) { cursor } }"}}`)
	for range 100 {
		c.say(`{"type":"ping"}`)
		c.hear(`{"type":"pong"}`)
	}
	assert.LessOrEqual(t, v.played.Load(), int64(1))
	close(release)
	require.Eventually(t, func() bool { return v.played.Load() == int64(v.events) }, patience, time.Millisecond)
}

// What a subscription that was completed has left to say is not said to the next
// one of its id.
func TestSocket_StaleUpdateIsNotTheNextOnes(t *testing.T) {
	v := &tape{events: -1, size: 10_000}
	url, _ := liveServer(t, v, nil)
	c := greeted(t, url)
	say := func(id, after string) {
		c.say(`{"type":"subscribe","id":"` + id + `","payload":{"query":"subscription { accountEvents(accountId: \"A\", after: \"` + after + `\") { cursor event { data } } }"}}`)
	}
	say("full", "C:0/P:0")
	stands := func() bool {
		before := v.played.Load()
		<-time.After(100 * time.Millisecond)
		return before > 0 && v.played.Load() == before
	}
	require.Eventually(t, stands, patience, time.Millisecond) // the network holds no more
	full := v.played.Load()
	say("a", "C:100/P:100")
	require.Eventually(t, func() bool { return v.played.Load() > full }, patience, time.Millisecond)
	require.Eventually(t, stands, patience, time.Millisecond) // it waits until it may write
	c.say(`{"type":"complete","id":"a"}`)
	say("a", "C:200/P:200")
	require.Eventually(t, func() bool { return v.begun.Load() == 3 }, patience, time.Millisecond)
	for {
		var m struct {
			ID      string
			Payload struct {
				Data struct{ AccountEvents struct{ Cursor string } }
			}
		}
		_, text, err := c.conn.ReadMessage()
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &m))
		if m.ID == "a" {
			assert.Equal(t, "C:201/P:201", m.Payload.Data.AccountEvents.Cursor)
			return
		}
	}
}

// defective are views that fail in other ways than by an error.
type defective struct {
	graph.Views

	follow func(ctx context.Context, yield func(domain.Located, error) bool)
}

func (b *defective) FollowOwner(ctx context.Context, _, _ string, _ *domain.Position) (iter.Seq2[domain.Located, error], error) {
	return func(yield func(domain.Located, error) bool) {
		b.follow(ctx, yield)
	}, nil
}

// A panic while events are followed ends that subscription alone.
func TestLive_FollowerPanics(t *testing.T) {
	url, _ := liveServer(t, &defective{follow: func(context.Context, func(domain.Located, error) bool) { panic("a defect") }}, nil)
	c := greeted(t, url)
	c.say(subscribe("1"))
	_, text, err := c.conn.ReadMessage()
	require.NoError(t, err)
	assert.Contains(t, string(text), `"type":"error","id":"1"`)
	assert.Contains(t, string(text), `"code":"internal"`)
	assert.NotContains(t, string(text), "defect")
}

// A large message has more time than a small one: a client that takes 64 KiB within
// WriteWithin is not cut off.
func TestLive_LargeMessagesHaveMoreTime(t *testing.T) {
	limits := graph.DefaultLiveLimits()
	now := time.Now()
	limits.Now = func() time.Time { return now }
	assert.Equal(t, now.Add(limits.WriteWithin), graph.WriteBy(limits, 100))
	assert.Equal(t, now.Add(9*limits.WriteWithin), graph.WriteBy(limits, 512<<10))
}

func TestSocket_CloseReasonsAreTexts(t *testing.T) {
	url, _ := liveServer(t, &tape{}, nil)
	for shift := range 3 {
		c := greeted(t, url)
		id := strings.Repeat("x", shift) + strings.Repeat("\u20ac", 60)
		c.say(subscribe(id))
		c.say(subscribe(id))
		var closed *websocket.CloseError
		_, _, err := c.conn.ReadMessage()
		require.ErrorAs(t, err, &closed)
		assert.Equal(t, 4409, closed.Code)
		assert.True(t, utf8.ValidString(closed.Text), "%q", closed.Text)
	}
}
