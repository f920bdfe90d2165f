package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const accountSubscription = `subscription($id: ID!, $after: String) { accountEvents(accountId: $id, after: $after) {
	cursor event { eventId orderId occurredAt stream revision position data } } }`

type accountUpdate struct {
	AccountEvents struct {
		Cursor string
		Event  recordedEvent
	}
}

// subscribe opens a subscription over graphql-transport-ws and returns what
// arrives. The channel is closed when the server ends it, or with the test.
// https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
func subscribe(t *testing.T, server *process, query string, variables map[string]any) <-chan json.RawMessage {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}}
	conn, response, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/graphql", nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "graphql-transport-ws", conn.Subprotocol())
	send := func(message any) { require.NoError(t, conn.WriteJSON(message)) }
	send(map[string]any{"type": "connection_init"})
	var ack struct{ Type string }
	require.NoError(t, conn.ReadJSON(&ack))
	require.Equal(t, "connection_ack", ack.Type)
	send(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": query, "variables": variables}})

	updates := make(chan json.RawMessage, 1<<17) // room for everything: a reader that stalls answers no pings
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = conn.Close()
		for range updates { // until the reader has ended
		}
		<-done
	})
	go func() {
		defer close(done)
		defer close(updates)
		for {
			var message struct {
				Type    string
				Payload struct {
					Data   json.RawMessage
					Errors json.RawMessage
				}
			}
			if conn.ReadJSON(&message) != nil {
				return
			}
			switch message.Type {
			case "next":
				updates <- message.Payload.Data
			case "ping":
				_ = conn.WriteJSON(map[string]any{"type": "pong"}) // a broken connection ends the reading
			case "error", "complete":
				return
			}
		}
	}()
	return updates
}

// subscribeSSE opens the same over server-sent events (graphql-sse, distinct
// connections mode).
func subscribeSSE(t *testing.T, server *process, query string, variables map[string]any) <-chan json.RawMessage {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/graphql", bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Contains(t, response.Header.Get("Content-Type"), "text/event-stream")
	updates := make(chan json.RawMessage, 1<<17) // room for everything: a reader that stalls answers no pings
	t.Cleanup(func() {
		_ = response.Body.Close()
		for range updates { // until the reader has ended
		}
	})
	go func() {
		defer close(updates)
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		event := ""
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case name == "event":
				event = value
			case name == "data" && event == "next":
				var payload struct{ Data json.RawMessage }
				if json.Unmarshal([]byte(value), &payload) != nil {
					return
				}
				updates <- payload.Data
			}
		}
	}()
	return updates
}

func readUpdate(t *testing.T, updates <-chan json.RawMessage) accountUpdate {
	t.Helper()
	raw, ok := <-updates
	require.True(t, ok, "the subscription ended")
	var update accountUpdate
	require.NoError(t, json.Unmarshal(raw, &update))
	return update
}

func TestSubscription_ResumesWithoutGapOrDuplicate(t *testing.T) {
	server := startServer(t, t.TempDir(), "")
	day, err := simulatedDay()
	require.NoError(t, err)
	code, _, stderr := tradetrail(day[0], "record", "--server", server.URL)
	require.Zero(t, code, stderr)
	server.caughtUp()

	all := subscribe(t, server, accountSubscription, map[string]any{"id": "acc-1001", "after": "C:0/P:0"})
	want := accountEvents(server, "acc-1001")
	require.NotEmpty(t, want)
	var cursors []string
	for _, event := range want {
		update := readUpdate(t, all)
		require.Equal(t, event.EventID, update.AccountEvents.Event.EventID)
		require.Equal(t, event.Position, update.AccountEvents.Cursor)
		cursors = append(cursors, update.AccountEvents.Cursor)
	}
	// From the middle, over both transports, and on into what is recorded then.
	middle := len(cursors) / 2
	variables := map[string]any{"id": "acc-1001", "after": cursors[middle]}
	resumed := []<-chan json.RawMessage{
		subscribe(t, server, accountSubscription, variables), subscribeSSE(t, server, accountSubscription, variables),
	}
	code, _, stderr = tradetrail(day[1], "record", "--server", server.URL)
	require.Zero(t, code, stderr)
	server.caughtUp()
	want = accountEvents(server, "acc-1001")
	require.Greater(t, len(want), len(cursors))
	for _, updates := range resumed {
		for _, event := range want[middle+1:] {
			require.Equal(t, event.EventID, readUpdate(t, updates).AccountEvents.Event.EventID)
		}
	}
	for _, event := range want[len(cursors):] {
		require.Equal(t, event.EventID, readUpdate(t, all).AccountEvents.Event.EventID)
	}
	assert.Zero(t, server.stop(), server.output())
	for _, updates := range append(resumed, all) {
		_, more := <-updates
		assert.False(t, more, "the stop did not end a subscription")
	}
}

// simulatedDay is a trading day as NDJSON, in two halves.
func simulatedDay() (halves [2]string, err error) {
	code, stdout, stderr := tradetrail("", "simulate", "--seed", "7", "--decisions", "60")
	if code != 0 {
		return halves, &simulateError{stderr}
	}
	lines := strings.SplitAfter(stdout, "\n")
	middle := len(lines) / 2
	return [2]string{strings.Join(lines[:middle], ""), strings.Join(lines[middle:], "")}, nil
}

type simulateError struct{ stderr string }

func (e *simulateError) Error() string { return "simulating: " + e.stderr }

const chainSubscription = `subscription($id: ID!, $after: String) { chainUpdated(orderId: $id, after: $after) {
	cursor event { eventType } chain { status events { stage } } } }`

func TestChain_ThreeShapesAreOneChain(t *testing.T) {
	for _, backend := range []string{"in-process Redis", "redis-server"} {
		t.Run(backend, func(t *testing.T) {
			redis := ""
			if backend == "redis-server" {
				redis = redisURL(t)
			}
			server := startServer(t, t.TempDir(), redis)
			updates := subscribe(t, server, chainSubscription, map[string]any{"id": "ord_501", "after": "C:0/P:0"})
			body := readFile(t, "../../domain/testdata/shapes.ndjson")
			response, err := http.Post(server.URL+"/v1/events", "application/x-ndjson", strings.NewReader(body))
			require.NoError(t, err)
			defer response.Body.Close()
			require.Equal(t, http.StatusOK, response.StatusCode)
			server.caughtUp()

			var answer struct {
				Chain struct {
					Status string
					Stages []string
					Events []struct {
						Stage string
						Event struct {
							EventType  string
							OccurredAt string
						}
					}
				}
			}
			server.query(&answer, `{ chain(orderId: "ord_501") { status stages events { stage event { eventType occurredAt } } } }`, nil)
			assert.Equal(t, "FILLED", answer.Chain.Status)
			assert.Equal(t, []string{"RECOMMENDATION", "RISK", "APPROVAL", "ORDER", "EXECUTION", "POSITION"}, answer.Chain.Stages)
			for range answer.Chain.Events {
				_, ok := <-updates
				require.True(t, ok)
			}
			code, stdout, stderr := tradetrail("", "chain", "ord_501", "--server", server.URL)
			require.Zero(t, code, stderr)
			assert.Contains(t, stdout, "order ord_501  FILLED  buy  MSFT  quantity 100")
			assertEqualsRebuild(t, server)
			assert.Zero(t, server.stop(), server.output())
		})
	}
}
