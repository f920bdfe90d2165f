package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
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

// BenchmarkREST asks for chains, for pages of 50 events and for exports over HTTP, 16
// readers at a time, on the read models of a redis-server that is started for it.
func BenchmarkREST(b *testing.B) {
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
	audit := rest.NewAudit(authz.NewViews(set, authz.AllowAll{}), slog.New(slog.DiscardHandler), "bench", rest.DefaultAuditLimits())
	server := httptest.NewServer(rest.Secure(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		audit.ServeHTTP(w, r.WithContext(authz.With(r.Context(), authz.Developer)))
	})))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchReaders}}
	defer client.CloseIdleConnections()
	for _, c := range []struct {
		name string
		path func(n int64) string
	}{
		{"chain", func(n int64) string { return "/audit/chain/" + orders[n*7919%int64(len(orders))] }},
		{"page-of-50", func(n int64) string { return "/audit/account/" + accounts[n%int64(len(accounts))] + "?limit=50" }},
		{"last-page-of-50", func(n int64) string {
			return "/audit/account/" + accounts[n%int64(len(accounts))] + "?limit=50&sort=desc"
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			sideBySide(b, func(ctx context.Context, n int64) error { return ask(ctx, client, server.URL+c.path(n)) })
		})
	}
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

func ask(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
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
	slices.Sort(latencies)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
	b.ReportMetric(milliseconds(latencies[len(latencies)/2]), "p50-ms")
	b.ReportMetric(milliseconds(latencies[len(latencies)*99/100]), "p99-ms")
}
