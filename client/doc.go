// Package client records the steps of trading decisions with a Tradetrail server,
// from within the process that takes them.
//
//	audit, err := client.Open(ctx, client.Config{Dir: "/var/lib/oms/audit", Server: "http://127.0.0.1:8080"})
//	...
//	order := client.Refs{OrderID: "ord_501", AccountID: "ACC-1", Ticker: "MSFT"}
//	fill := client.Fill{Side: "buy", Quantity: client.Fixed(100, 0), Price: client.Fixed(41244, 2)}.Event(order)
//	err = audit.Record(ctx, &fill)
//
// Record copies the event into a file that is mapped into memory and returns. It
// makes no system call and does not wait for the network or the disk. Delivery
// runs behind it, in the order of the calls, for as long as it takes; an event is
// forgotten when the server has answered that it is durable.
//
// What is promised, and what can be lost under which policy, is in docs/sdk.md. In
// short: when Record has returned nil, the end of the process, whichever way it
// ends, loses nothing. The end of the machine loses what was recorded since the
// last sync (Config.Sync). An event keeps the id that it got in Record, so it is
// recorded once, however often it is sent.
package client
