package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
)

// history is n events of one order as a trading system sends them.
func history(n int) []domain.Located {
	at := time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)
	all := make([]domain.Located, n)
	for i := range all {
		all[i] = domain.Located{
			Event: &domain.Event{
				ID: fmt.Sprintf("0190aa00-0000-7000-8000-%012d", i), Type: domain.OrderPartiallyFilled, OccurredAt: at.Add(time.Duration(i) * time.Millisecond), RecordedAt: at,
				OrderID: "ord-471e43-0114", ClientOrderID: "cl-1", AccountID: "acc-1001", UserID: "ana.ruiz", StrategyID: "momentum", Ticker: "AAPL",
				Actor: "oms", Source: "http:oms", SchemaVersion: 1, Data: []byte(`{"fill_quantity":"100","fill_price":"187.4200","venue":"NASDAQ","slippage_bps":"1.2"}`),
			},
			Stream: "order-ord-471e43-0114", Revision: uint64(i), Position: position(uint64(1000 + i)),
		}
	}
	return all
}

// What the GraphQL layer itself costs: the views answer at once.
func benchmarkQuery(b *testing.B, v *fake, query string) {
	b.Helper()
	server := handler(v)
	body, err := json.Marshal(map[string]any{"query": query, "variables": map[string]any{"id": "x"}})
	require.NoError(b, err)
	v.mute = true
	b.ReportAllocs()
	for b.Loop() {
		request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/graphql", strings.NewReader(string(body)))
		request.Header.Set("Content-Type", plain)
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, request)
		if answer.Code != http.StatusOK || strings.Contains(answer.Body.String()[:20], "errors") {
			b.Fatalf("%d %.200s", answer.Code, answer.Body)
		}
	}
}

func BenchmarkQuery_Chain(b *testing.B) {
	chain := domain.BuildChain("ord-471e43-0114", history(12))
	v := &fake{chain: func(string) (domain.Chain, int, bool, error) { return chain, 0, true, nil }}
	benchmarkQuery(b, v, `query($id: ID!) { chain(orderId: $id) { orderId status latencyTotal events { stage latencyFromPrevious event { eventId eventType occurredAt actor data } } } }`)
}

func BenchmarkQuery_AccountPage(b *testing.B) {
	page := views.Page[domain.Located]{Items: history(50), Total: 500}
	v := &fake{events: func(int64, int64) views.Page[domain.Located] { return page }}
	benchmarkQuery(b, v, `query($id: ID!) { account(id: $id) { events(first: 50) { edges { cursor node { eventId eventType occurredAt orderId ticker data } } pageInfo { hasNextPage endCursor } totalCount } } }`)
}
