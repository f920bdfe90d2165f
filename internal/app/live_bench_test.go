package app_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// The load of BenchmarkLiveLatency.
const (
	liveFor      = 10 * time.Second
	liveTick     = 10 * time.Millisecond // a request each
	liveAccounts = 100
	liveProbes   = 10 // accounts that are followed
)

// BenchmarkLiveLatency records TRADETRAIL_BENCH_RATE (1,000) events a second over
// HTTP, in requests every 10 ms, and measures how long it takes from the moment at
// which an event's request is due until the event has arrived at a subscriber over
// server-sent events: a tenth of the accounts is followed. The load does not wait
// for answers.
func BenchmarkLiveLatency(b *testing.B) {
	rate := 1000
	if text := os.Getenv("TRADETRAIL_BENCH_RATE"); text != "" {
		var err error
		rate, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	r := viewstest.Real(b)
	r.Flush(b)
	url := serving(b, r.URL)
	each := max(int(float64(rate)*liveTick.Seconds()), 1)
	ticks := int(liveFor / liveTick)
	for b.Loop() {
		var origin atomic.Pointer[time.Time]
		all := make([][]time.Duration, liveProbes)
		var following, recording errgroup.Group
		ctx, cancel := context.WithCancel(b.Context())
		for probe := range liveProbes {
			arrivals := probeAccount(ctx, b, url, probe)
			expected := 0
			for n := range ticks * each {
				if n%liveAccounts == probe {
					expected++
				}
			}
			following.Go(func() error {
				for len(all[probe]) < expected {
					a, ok := <-arrivals
					if !ok {
						return fmt.Errorf("account %d ended after %d of %d events", probe, len(all[probe]), expected)
					}
					all[probe] = append(all[probe], a.at.Sub(origin.Load().Add(time.Duration(a.n/each)*liveTick)))
				}
				return nil
			})
		}
		begun := time.Now()
		origin.Store(&begun)
		recording.SetLimit(lagMost)
		for tick := range ticks {
			<-time.After(time.Until(begun.Add(time.Duration(tick) * liveTick)))
			var body bytes.Buffer
			for n := tick * each; n < (tick+1)*each; n++ {
				fmt.Fprintf(&body, `{"event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"%d","account_id":"L%d","actor":"%d","data":{"quantity":"100","limit_price":"412.50","venue":"NASDAQ"}}`+"\n", n/10, n%liveAccounts, n)
			}
			recording.Go(func() error {
				response, err := http.Post(url+"/v1/events", "application/x-ndjson", &body)
				if err != nil {
					return err
				}
				defer func() { _ = response.Body.Close() }()
				_, err = io.Copy(io.Discard, response.Body)
				return err
			})
		}
		require.NoError(b, recording.Wait())
		took := time.Since(begun)
		require.NoError(b, following.Wait())
		cancel()
		latencies := slices.Concat(all...)
		slices.Sort(latencies)
		b.ReportMetric(milliseconds(latencies[len(latencies)/2]), "p50-ms")
		b.ReportMetric(milliseconds(latencies[len(latencies)*99/100]), "p99-ms")
		b.ReportMetric(milliseconds(latencies[len(latencies)-1]), "max-ms")
		b.ReportMetric(float64(ticks*each)/took.Seconds(), "events/s")
	}
}

// arrival is when an event, by its number, arrived.
type arrival struct {
	n  int
	at time.Time
}

// probeAccount follows an account from now on.
func probeAccount(ctx context.Context, b *testing.B, url string, account int) <-chan arrival {
	b.Helper()
	query := fmt.Sprintf(`{"query":"subscription { accountEvents(accountId: \"L%d\") { cursor event { actor } } }"}`, account)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", strings.NewReader(query))
	require.NoError(b, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // the reader below does
	require.NoError(b, err)
	out := make(chan arrival, 1<<16) // room for everything: a prober that waits would measure itself
	go func() {
		defer close(out)
		defer func() { _ = response.Body.Close() }()
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			_, text, ok := strings.Cut(lines.Text(), `"actor":"`)
			if !ok {
				continue
			}
			at := time.Now()
			text, _, _ = strings.Cut(text, `"`)
			n, err := strconv.Atoi(text)
			if err != nil {
				return
			}
			out <- arrival{n, at}
		}
	}()
	return out
}
