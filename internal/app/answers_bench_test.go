package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph"
	"github.com/tradetrail/tradetrail/internal/authz"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// envBenchEvents is how many events are recorded before a benchmark of answers.
const (
	envBenchEvents     = "TRADETRAIL_BENCH_EVENTS"
	defaultBenchEvents = 20_000
	benchReaders       = 16
	benchChunk         = 10_000 // events that are made at a time
)

// What BenchmarkAnswers asks over GraphQL.
const (
	benchChainQuery = `query($id: ID!) { chain(orderId: $id) { orderId status latencyTotal
  events { stage latencyFromPrevious event { eventId eventType occurredAt actor data position } } } }`
	benchPageQuery = `query($id: ID!) { account(id: $id) { events(first: 50) {
  edges { cursor node { eventId eventType occurredAt orderId ticker data } } pageInfo { endCursor hasNextPage } } } }`
)

// BenchmarkAnswers asks for chains and for pages of 50 events over HTTP, 16 readers at
// a time, and for pages at 500 a second, on the read models of a redis-server that is
// started for it. Whoever asks shares the cores with it.
func BenchmarkAnswers(b *testing.B) {
	total := defaultBenchEvents
	if text := os.Getenv(envBenchEvents); text != "" {
		var err error
		total, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	set := views.NewSet(viewstest.Own(b).Client, nil, slog.New(slog.DiscardHandler), views.Options{})
	_, err := set.Start(b.Context())
	require.NoError(b, err)
	orders, accounts := fill(b, set, total)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	watched := make(chan error, 1)
	go func() { watched <- set.Watch(ctx) }()
	defer func() {
		cancel()
		require.NoError(b, <-watched)
	}()
	quiet, guarded := slog.New(slog.DiscardHandler), authz.NewViews(set, authz.AllowAll{})
	mux := http.NewServeMux()
	mux.Handle("/audit/", rest.NewAudit(guarded, nil, nil, quiet, "bench", rest.DefaultAuditLimits()))
	mux.Handle("/graphql", graph.NewServer(nil, guarded, nil, nil, quiet))
	server := httptest.NewServer(rest.Secure(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(authz.With(r.Context(), authz.Developer)))
	})))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchReaders}}
	defer client.CloseIdleConnections()
	order := func(n int64) string { return orders[n*7919%int64(len(orders))] }
	account := func(n int64) string { return accounts[n%int64(len(accounts))] }
	get := func(path string) func(context.Context, int64) error {
		return func(ctx context.Context, n int64) error {
			return ask(ctx, client, http.MethodGet, server.URL+strings.NewReplacer("ORDER", order(n), "ACCOUNT", account(n)).Replace(path), "")
		}
	}
	query := func(text string, id func(int64) string) func(context.Context, int64) error {
		return func(ctx context.Context, n int64) error {
			body, err := json.Marshal(map[string]any{"query": text, "variables": map[string]string{"id": id(n)}})
			if err != nil {
				return err
			}
			return ask(ctx, client, http.MethodPost, server.URL+"/graphql", string(body))
		}
	}
	for _, c := range []struct {
		name     string
		question func(context.Context, int64) error
	}{
		{"rest/chain", get("/audit/chain/ORDER")},
		{"rest/page-of-50", get("/audit/account/ACCOUNT?limit=50")},
		{"rest/last-page-of-50", get("/audit/account/ACCOUNT?limit=50&sort=desc")},
		{"graphql/chain", query(benchChainQuery, order)},
		{"graphql/page-of-50", query(benchPageQuery, account)},
	} {
		b.Run(c.name, func(b *testing.B) { sideBySide(b, c.question) })
	}
	b.Run("graphql/page-of-50-at-500", func(b *testing.B) { atRate(b, 500, query(benchPageQuery, account)) })
	b.Run("chain-without-http", func(b *testing.B) { // what reading alone takes, in the same run
		sideBySide(b, func(ctx context.Context, n int64) error {
			_, _, _, err := set.Chain(ctx, orders[n*7919%int64(len(orders))])
			return err
		})
	})
}

// fill puts total events into the read models; it returns orders and accounts in them.
func fill(b *testing.B, set *views.Set, total int) (orders, accounts []string) {
	b.Helper()
	flow := viewstest.NewFlow(7)
	seenOrder, seenAccount := make(map[string]bool), make(map[string]bool)
	var at domain.Position
	for done := 0; done < total; {
		events := make([]*domain.Event, min(benchChunk, total-done))
		for i := range events {
			events[i] = flow.Next()
			if id := events[i].OrderID; id != "" && !seenOrder[id] {
				seenOrder[id] = true
				orders = append(orders, id)
			}
			if id := events[i].AccountID; id != "" && !seenAccount[id] {
				seenAccount[id] = true
				accounts = append(accounts, id)
			}
		}
		at = applyBehind(b, set, viewstest.Log(events), at)
		done += len(events)
	}
	return orders, accounts
}

// applyBehind applies a log as if it came behind a position; it returns where that
// ends.
func applyBehind(b *testing.B, set *views.Set, log []feed.Event, at domain.Position) domain.Position {
	b.Helper()
	const slice = 500
	for i := range log {
		log[i].Position.Commit += at.Commit
		log[i].Position.Prepare += at.Commit
	}
	for from := 0; from < len(log); from += slice {
		to := min(from+slice, len(log))
		s := viewstest.SliceOf(log, from, to)
		if from == 0 {
			s.After = at
		}
		require.NoError(b, set.Apply(b.Context(), s))
	}
	return log[len(log)-1].Position
}

var errStatus = errors.New("not the answer that was asked for")

func ask(ctx context.Context, client *http.Client, method, url, body string) error {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s", errStatus, response.Status)
	}
	return nil
}

// sideBySide asks b.N questions from all readers, and reports how long each took.
func sideBySide(b *testing.B, question func(ctx context.Context, n int64) error) {
	b.Helper()
	latencies := make([]time.Duration, b.N)
	var next atomic.Int64
	var readers errgroup.Group
	for range benchReaders {
		readers.Go(func() error {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				begun := time.Now()
				if err := question(b.Context(), i); err != nil {
					return err
				}
				latencies[i] = time.Since(begun)
			}
			return nil
		})
	}
	require.NoError(b, readers.Wait())
	reportLatencies(b, latencies)
}

// atRate asks b.N questions at so many a second, whether the last was answered or not,
// 64 at a time at most.
func atRate(b *testing.B, rate int, question func(ctx context.Context, n int64) error) {
	b.Helper()
	latencies := make([]time.Duration, b.N)
	begun := time.Now()
	var readers errgroup.Group
	readers.SetLimit(64)
	for i := range b.N {
		if wait := time.Until(begun.Add(time.Duration(i) * time.Second / time.Duration(rate))); wait > 0 {
			time.Sleep(wait)
		}
		asked := time.Now() // that the sleeper slept too long is nobody's fault
		readers.Go(func() error {
			err := question(b.Context(), int64(i))
			latencies[i] = time.Since(asked)
			return err
		})
	}
	require.NoError(b, readers.Wait())
	reportLatencies(b, latencies)
}

func reportLatencies(b *testing.B, latencies []time.Duration) {
	b.Helper()
	slices.Sort(latencies)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
	b.ReportMetric(milliseconds(latencies[len(latencies)/2]), "p50-ms")
	b.ReportMetric(milliseconds(latencies[len(latencies)*99/100]), "p99-ms")
}
