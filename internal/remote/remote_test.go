package remote_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/remote"
	"github.com/tradetrail/tradetrail/internal/rest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() //nolint:errcheck // it is one
		_ = code
	}))
}

// memory is a recorder that remembers ids, behind the real door.
type memory struct {
	mu       sync.Mutex
	seen     map[string]uint64
	requests int
	sources  map[string]bool
}

func (m *memory) Record(_ context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources[source] = true
	out := make([]ingest.Receipt, len(items))
	for i, item := range items {
		out[i] = ingest.Receipt{Line: item.Line, Status: ingest.Rejected, Stream: "quarantine-x", Err: item.Err}
		if item.Err != nil {
			continue
		}
		revision, ok := m.seen[item.Event.ID]
		out[i].Status = ingest.Duplicate
		if !ok {
			revision = uint64(len(m.seen))
			m.seen[item.Event.ID], out[i].Status = revision, ingest.Recorded
		}
		out[i].EventID, out[i].Stream, out[i].Revision, out[i].Err = item.Event.ID, item.Event.Stream(), revision, nil
		out[i].Position = domain.Position{Commit: revision + 1, Prepare: revision + 1}
	}
	return out, nil
}

func (m *memory) Sequence(_ context.Context, source string) (ingest.Begin, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests++
	return func(ctx context.Context, items []ingest.Item) ingest.Wait {
		receipts, err := m.Record(ctx, source, items)
		return func() ([]ingest.Receipt, error) { return receipts, err }
	}, nil
}

func (m *memory) Available() error { return nil }

// serve runs a server whose requests go through wrap first.
func serve(t *testing.T, wrap func(n int, w http.ResponseWriter, r *http.Request, next http.Handler)) (*remote.Client, *memory) {
	t.Helper()
	m := &memory{seen: map[string]uint64{}, sources: map[string]bool{}}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/events", rest.NewDoor(t.Context(), m, rest.DefaultDoorLimits(), slog.New(slog.DiscardHandler), time.Now, prometheus.NewRegistry()))
	var mu sync.Mutex
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		now := n
		mu.Unlock()
		wrap(now, w, r, mux)
	}))
	t.Cleanup(server.Close)
	client, err := remote.New(server.URL + "/")
	require.NoError(t, err)
	client.SetPatience(time.Minute)
	return client, m
}

func straight(_ int, w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }

func items(n int) []ingest.Item {
	out := make([]ingest.Item, n)
	for i := range out {
		out[i] = ingest.Understand(i+1, fmt.Appendf(nil,
			`{"event_id":"%d","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o"}`, i))
	}
	return out
}

func TestRecord_Receipts(t *testing.T) {
	t.Parallel()
	client, m := serve(t, straight)
	in := items(3)
	in[1] = ingest.Understand(2, []byte("{\"event_id\":\"\xff\"}"))
	receipts, err := client.Record(t.Context(), "file", in)
	require.NoError(t, err)
	require.Len(t, receipts, 3)
	assert.Equal(t, ingest.Receipt{
		Line: 3, EventID: "2", Status: ingest.Recorded, Stream: "order-o", Revision: 2, Position: domain.Position{Commit: 3, Prepare: 3},
	}, receipts[2])
	assert.Equal(t, ingest.Rejected, receipts[1].Status, "recorded, as what could not be read")
	assert.Equal(t, in[1].Err, receipts[1].Err)
	assert.Equal(t, map[string]bool{"http:file": true}, m.sources)

	receipts, err = client.Record(t.Context(), "file", in)
	require.NoError(t, err)
	assert.Equal(t, ingest.Duplicate, receipts[0].Status)
	assert.Len(t, m.seen, 3)

	receipts, err = client.Record(t.Context(), "file", nil)
	require.NoError(t, err)
	assert.Empty(t, receipts)
}

func TestRecord_RejectionsOfTheServer(t *testing.T) {
	t.Parallel()
	client, _ := serve(t, straight)
	in := items(2)
	in[0].Event.OrderID = strings.Repeat("x", 1000) // something the client let through
	receipts, err := client.Record(t.Context(), "file", in)
	require.NoError(t, err)
	assert.Equal(t, ingest.Rejected, receipts[0].Status)
	assert.Equal(t, "order_id", receipts[0].Err.Field)
	assert.Equal(t, ingest.Recorded, receipts[1].Status)
}

func TestRecord_TriesAgain(t *testing.T) {
	t.Parallel()
	problem := func(status int) func(int, http.ResponseWriter, *http.Request, http.Handler) {
		return func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if n == 1 {
				w.WriteHeader(status)
				return
			}
			next.ServeHTTP(w, r)
		}
	}
	for _, tc := range []struct {
		name string
		wrap func(int, http.ResponseWriter, *http.Request, http.Handler)
		want ingest.Status
	}{
		{"after 503", problem(http.StatusServiceUnavailable), ingest.Recorded},
		{"after 429", problem(http.StatusTooManyRequests), ingest.Recorded},
		{"after a proxy's 502", problem(http.StatusBadGateway), ingest.Recorded},
		{"after a proxy's 504", problem(http.StatusGatewayTimeout), ingest.Recorded},
		{"after the connection broke before", func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if n == 1 {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		}, ingest.Recorded},
		{"after the connection broke behind it", func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if n == 1 {
				next.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		}, ingest.Duplicate},
		{"after half an answer", func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
			if n == 1 {
				next.ServeHTTP(httptest.NewRecorder(), r)
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, `{"receipts":[`)
				return
			}
			next.ServeHTTP(w, r)
		}, ingest.Duplicate},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			client, m := serve(t, tc.wrap)
			receipts, err := client.Record(t.Context(), "file", items(2))
			require.NoError(t, err)
			assert.Equal(t, []ingest.Status{tc.want, tc.want}, []ingest.Status{receipts[0].Status, receipts[1].Status})
			assert.Len(t, m.seen, 2)
		})
	}
}

func TestRecord_AnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	good := `{"event_id":"0","status":"recorded","stream":"s","revision":0,"position":"C:1/P:1"}`
	for _, tc := range []struct {
		name, body string
		status     int
	}{
		{"a page", "<html>welcome</html>", 200},
		{"empty", "", 200},
		{"too few receipts", `{"receipts":[` + good + `]}`, 200},
		{"too many receipts", `{"receipts":[` + good + "," + good + "," + good + `]}`, 200},
		{"unknown status", `{"receipts":[` + good + "," + strings.Replace(good, "recorded", "maybe", 1) + `]}`, 200},
		{"no status", `{"receipts":[` + good + "," + strings.Replace(good, "recorded", "", 1) + `]}`, 200},
		{"no position", `{"receipts":[` + good + "," + strings.Replace(good, "C:1/P:1", "here", 1) + `]}`, 200},
		{"refused as a whole", `{"detail":"no"}`, 415},
		{"not found", "404 page not found", 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			client, _ := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			receipts, err := client.Record(t.Context(), "file", items(2))
			require.Error(t, err)
			assert.NotEqual(t, domain.ClassTransient, domain.ClassOf(err), "no use in trying again")
			assert.Empty(t, receipts)
			assert.Less(t, len(err.Error()), 1000)
		})
	}
}

func TestRecord_GivesUp(t *testing.T) {
	t.Parallel()
	client, _ := serve(t, func(_ int, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	client.SetPatience(50 * time.Millisecond)
	_, err := client.Record(t.Context(), "file", items(1))
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
	require.ErrorContains(t, err, "away for too long")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client.SetPatience(time.Hour)
	_, err = client.Record(ctx, "file", items(1))
	assert.ErrorIs(t, err, context.Canceled)
}

func TestRecord_InPieces(t *testing.T) {
	t.Parallel()
	client, m := serve(t, func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n == 3 {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		next.ServeHTTP(w, r)
	})
	n := 2*remote.MaxRequestEvents + 1
	in := items(n)
	receipts, err := client.Record(t.Context(), "file", in)
	require.Error(t, err)
	assert.Len(t, receipts, n-1, "what was answered is known")
	receipts, err = client.Record(t.Context(), "file", in)
	require.NoError(t, err)
	require.Len(t, receipts, n)
	assert.Equal(t, ingest.Recorded, receipts[n-1].Status)
	assert.Equal(t, ingest.Duplicate, receipts[n-2].Status)
	assert.Equal(t, n, receipts[n-1].Line)
	assert.Len(t, m.seen, n)

	// The same words twice, in different requests: two events, once each.
	said := ingest.Understand(1, []byte(`{"event_type":"user.action","occurred_at":"2026-03-02T14:30:00Z","user_id":"u"}`))
	many := make([]ingest.Item, remote.MaxRequestEvents+1)
	for i := range many {
		many[i] = said
	}
	for _, want := range []ingest.Status{ingest.Recorded, ingest.Duplicate} {
		receipts, err = client.Record(t.Context(), "file", many)
		require.NoError(t, err)
		for _, r := range receipts {
			require.Equal(t, want, r.Status)
		}
	}
	assert.Empty(t, said.Event.ID)

	big := items(30)
	for i := range big {
		big[i].Event.Raw = make([]byte, 300<<10)
	}
	before := m.requests
	_, err = client.Record(t.Context(), "large", big)
	require.NoError(t, err)
	assert.Equal(t, 2, m.requests-before, "12 MB in two requests")
}

func TestClient_Health(t *testing.T) {
	t.Parallel()
	client, _ := serve(t, func(_ int, w http.ResponseWriter, r *http.Request, _ http.Handler) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "not yet\n")
		}
	})
	assert.True(t, client.Reachable(t.Context()))
	err := client.Ready(t.Context())
	require.ErrorContains(t, err, "not yet")
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))

	gone := httptest.NewServer(http.NotFoundHandler())
	other, err := remote.New(gone.URL)
	require.NoError(t, err)
	assert.True(t, other.Reachable(t.Context()), "something listens there: it must not be taken for nothing")
	gone.Close()
	assert.False(t, other.Reachable(t.Context()))
}

func TestClient_Query(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"fine":    `{"data":{"n":7}}`,
		"refused": `{"errors":[{"message":"no such order","extensions":{"code":"not_found"}}]}`,
		"later":   `{"errors":[{"message":"not now","extensions":{"code":"views_behind","class":"transient"}}]}`,
		"broken":  `{"errors":[{"message":"damaged","extensions":{"code":"view_damaged","class":"integrity"}}]}`,
		"garbage": `<html>`,
	}
	client, _ := serve(t, func(_ int, w http.ResponseWriter, r *http.Request, _ http.Handler) {
		body, _ := io.ReadAll(r.Body)
		for name, answer := range answers {
			if strings.Contains(string(body), name) {
				_, _ = io.WriteString(w, answer)
			}
		}
	})
	var out struct {
		N int `json:"n"`
	}
	require.NoError(t, client.Query(t.Context(), "fine", nil, &out))
	assert.Equal(t, 7, out.N)
	err := client.Query(t.Context(), "refused", nil, &out)
	require.ErrorContains(t, err, "no such order")
	assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(client.Query(t.Context(), "later", nil, &out)))
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(client.Query(t.Context(), "broken", nil, &out)))
	assert.Error(t, client.Query(t.Context(), "garbage", nil, &out))
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "127.0.0.1:8080", "ftp://h", "http://", "http://%zz", "esdb://h"} {
		_, err := remote.New(base)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), base)
	}
}

func TestRecord_Compressed(t *testing.T) {
	t.Parallel()
	sent := make(chan string, 1)
	client, m := serve(t, func(_ int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		sent <- r.Header.Get("Content-Encoding")
		next.ServeHTTP(w, r)
	})
	require.NoError(t, client.Compress())
	receipts, err := client.Record(t.Context(), "file", items(500))
	require.NoError(t, err)
	assert.Len(t, receipts, 500)
	assert.Len(t, m.seen, 500)
	assert.Equal(t, "zstd", <-sent)
}

func TestNew_PacksForOtherMachinesOnly(t *testing.T) {
	t.Parallel()
	for base, packs := range map[string]bool{
		"http://127.0.0.1:8080": false, "http://localhost": false, "http://[::1]:1": false, "https://audit.example": true, "http://10.0.0.1": true,
	} {
		client, err := remote.New(base)
		require.NoError(t, err)
		assert.Equal(t, packs, client.Packs(), base)
	}
}
