package client_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"

	"github.com/tradetrail/tradetrail/client"
	"github.com/tradetrail/tradetrail/domain"
)

// The life of an order, from the recommendation to the position.
func Example() {
	door := &fakeDoor{known: make(map[string]bool)} // stands for a server
	server := httptest.NewServer(door)
	defer server.Close()
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	ctx := context.Background()
	audit, err := client.Open(ctx, client.Config{Dir: dir, Server: server.URL, Name: "oms", Environment: "production"})
	if err != nil {
		panic(err)
	}
	refs := client.Refs{RecommendationID: "rec_1", StrategyID: "momentum", AccountID: "ACC-1", Ticker: "MSFT"}
	order := refs
	order.OrderID, order.ClientOrderID = "ord_501", "mom_001"
	for _, e := range []client.Event{
		client.Recommendation{Action: "buy", Mode: "live", Confidence: client.Exact("0.82")}.Event(refs),
		client.Risk{Eligible: true, AllowedMode: "live", Checks: 9}.Event(refs),
		client.Submission{Side: "buy", OrderType: "limit", Quantity: client.Fixed(100, 0), LimitPrice: client.Fixed(41250, 2)}.Event(order),
		client.OrderStep{Step: domain.OrderAccepted, Leaves: client.Fixed(100, 0)}.Event(order),
		client.Fill{ID: "fill_88", Side: "buy", Quantity: client.Fixed(100, 0), Price: client.Fixed(41244, 2)}.Event(order),
		client.Position{Side: "long", QuantityBefore: client.Fixed(0, 0), QuantityAfter: client.Fixed(100, 0)}.Event(order),
	} {
		if err := audit.Record(ctx, &e); err != nil {
			panic(err)
		}
	}
	if err := audit.Close(ctx); err != nil { // delivers the rest
		panic(err)
	}
	for _, e := range door.got() {
		fmt.Println(e.Type, string(e.Data))
	}
	// Output:
	// recommendation.generated {"action":"buy","mode":"live","confidence":"0.82","suppressed":false}
	// risk.evaluated {"eligible":true,"allowed_mode":"live","check_count":9}
	// order.submitted {"side":"buy","quantity":"100","order_type":"limit","limit_price":"412.50"}
	// order.accepted {"leaves_quantity":"100"}
	// order.filled {"fill_id":"fill_88","side":"buy","fill_quantity":"100","fill_price":"412.44"}
	// position.opened {"side":"long","quantity_before":"0","quantity_after":"100"}
}

// What the server refuses holds nothing back, and is told.
func ExampleConfig_onReject() {
	_ = client.Config{
		Dir: "/var/lib/oms/audit", Server: "http://127.0.0.1:8080", Full: client.FullBlock, Sync: client.SyncEach,
		OnReject: func(r client.Rejection) { fmt.Printf("event %s: %s: %s\n", r.EventID, r.Field, r.Message) },
	}
	// Output:
}
