package client_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/client"
	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/remote"
)

// childVariable makes this test binary a trading system that records until it is
// killed. Its value is a childConfig.
const childVariable = "TRADETRAIL_CLIENT_CHILD"

type childConfig struct {
	Dir, Server, Account string
	Sync                 client.Sync
	From                 int // the first number to record
}

func (c childConfig) client() client.Config {
	return client.WithSegments(client.Config{Dir: c.Dir, Server: c.Server, Sync: c.Sync, Timeout: 5 * time.Second}, 256<<10)
}

// event is the nth of an account: one of ten orders'.
func (c childConfig) event(n int) client.Event {
	e := client.Refs{OrderID: fmt.Sprintf("%s-%d", c.Account, n%10), AccountID: c.Account}.Event(domain.OrderAccepted, fmt.Appendf(nil, `{"n":%d}`, n))
	e.ID = fmt.Sprintf("%s-event-%d", c.Account, n)
	return e
}

// runChild prints the number of each event for which Record has returned nil.
func runChild() int {
	var cfg childConfig
	if err := json.Unmarshal([]byte(os.Getenv(childVariable)), &cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c, err := client.Open(context.Background(), cfg.client())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for n, tick := cfg.From, time.NewTicker(time.Millisecond); ; <-tick.C {
		for range 5 {
			e := cfg.event(n)
			if err := c.Record(context.Background(), &e); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			if _, err := fmt.Println(n); err != nil {
				return 1
			}
			n++
		}
	}
}

// live runs a child for a while, kills it, and returns the last number for which
// it was told that the event is recorded; -1 for none.
func live(t *testing.T, cfg childConfig, life time.Duration) (last int) {
	t.Helper()
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	last = -1
	var killer *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if killer == nil { // a life begins with the first event
			killer = time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
		}
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			break // the last line was cut
		}
		last = n
	}
	err = cmd.Wait()
	require.ErrorContains(t, err, "killed")
	return last
}

// A process that records is killed at random moments; the next one goes on with
// its spool. In the end the service has every event for which Record returned nil,
// once, and those of each order in order.
func TestKill_WhatRecordAcceptedIsDelivered(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes for some seconds: not in short mode")
	}
	rounds := 2
	if os.Getenv("TRADETRAIL_SOAK") != "" {
		rounds = 34
	}
	service := startService(t)
	for _, c := range []struct {
		name   string
		sync   client.Sync
		server func(t *testing.T) string
	}{
		{"up", client.SyncInterval, func(*testing.T) string { return service }},
		{"down", client.SyncNever, func(*testing.T) string { return "http://127.0.0.1:1" }},
		{"flapping", client.SyncInterval, func(t *testing.T) string { return flapping(t, service) }},
		{"each", client.SyncEach, func(t *testing.T) string { return flapping(t, service) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := childConfig{Dir: t.TempDir(), Server: c.server(t), Account: "KILL-" + c.name, Sync: c.sync}
			accepted := make(map[int]bool)
			for range rounds {
				from := cfg.From
				last := live(t, cfg, time.Duration(rand.Int64N(int64(400*time.Millisecond))))
				for n := from; n <= last; n++ {
					accepted[n] = true
				}
				// One more may have been recorded, and nobody been told.
				cfg.From = max(from, last+2)
			}
			require.NotEmpty(t, accepted)

			cfg.Server = service
			c, err := client.Open(t.Context(), cfg.client())
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			require.NoError(t, c.Flush(ctx))
			stats := c.Stats()
			require.NoError(t, c.Close(ctx))
			assert.Zero(t, stats.Damaged)
			assert.Zero(t, stats.Rejected)
			got := recordedNumbers(t, service, cfg.Account)
			t.Logf("%d accepted over %d lives, %d recorded", len(accepted), rounds, len(got))
			seen := make(map[int]bool)
			latest := make(map[int]int) // by order
			for _, n := range got {
				require.False(t, seen[n], "event %d is recorded twice", n)
				seen[n] = true
				require.GreaterOrEqual(t, n, latest[n%10], "event %d overtook another of its order", n)
				latest[n%10] = n
			}
			for n := range accepted {
				require.True(t, seen[n], "event %d was accepted and is lost", n)
			}
			assert.LessOrEqual(t, len(got), len(accepted)+rounds)
		})
	}
}

// startService runs the real service in this process.
func startService(t *testing.T) (url string) {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.DataDir = "127.0.0.1:0", t.TempDir()
	a, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
		http.DefaultClient.CloseIdleConnections()
	})
	server, err := remote.New(a.URL())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return server.Ready(t.Context()) == nil }, time.Minute, 10*time.Millisecond)
	return a.URL()
}

// flapping stands before a service: of its requests some are refused, some are cut
// before they arrive, and of some the answer is lost.
func flapping(t *testing.T, service string) (address string) {
	t.Helper()
	target, err := url.Parse(service)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	transport := &http.Transport{}
	proxy.Transport = transport
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch rand.IntN(5) {
		case 0:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			r.Host = target.Host
			proxy.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.URL
}

// recordedNumbers reads what the service has of an account, in the order of the log.
func recordedNumbers(t *testing.T, service, account string) (numbers []int) {
	t.Helper()
	server, err := remote.New(service)
	require.NoError(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	position := headPosition(t, service, account)
	var after *string
	for {
		var answer struct {
			Account struct {
				Events struct {
					Edges []struct {
						Node struct {
							Data struct {
								N int `json:"n"`
							} `json:"data"`
							EventID string `json:"eventId"`
						} `json:"node"`
					} `json:"edges"`
					PageInfo struct {
						HasNextPage bool    `json:"hasNextPage"`
						EndCursor   *string `json:"endCursor"`
					} `json:"pageInfo"`
				} `json:"events"`
			} `json:"account"`
		}
		require.NoError(t, server.Query(t.Context(), `query($id: ID!, $after: String, $position: String) { account(id: $id, notOlderThan: $position) {
			events(first: 1000, after: $after) { edges { node { eventId data } } pageInfo { hasNextPage endCursor } } } }`,
			map[string]any{"id": account, "after": after, "position": position}, &answer))
		for _, edge := range answer.Account.Events.Edges {
			if edge.Node.EventID != account+"-head" {
				numbers = append(numbers, edge.Node.Data.N)
			}
		}
		if !answer.Account.Events.PageInfo.HasNextPage {
			return numbers
		}
		after = answer.Account.Events.PageInfo.EndCursor
	}
}

// headPosition records an event, and so learns a position behind all the others.
func headPosition(t *testing.T, service, account string) string {
	t.Helper()
	e := client.Refs{AccountID: account}.Event(domain.UserAction, nil)
	e.ID, e.OccurredAt, e.SchemaVersion = account+"-head", time.Now(), domain.SchemaVersion
	line, err := e.Encode()
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, service+"/v1/events", bytes.NewReader(line))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Receipts []struct {
			Position string `json:"position"`
		} `json:"receipts"`
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	require.Len(t, answer.Receipts, 1)
	return answer.Receipts[0].Position
}
