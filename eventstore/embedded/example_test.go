package embedded_test

import (
	"context"
	"fmt"
	"os"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	node, err := embedded.Open(dir, embedded.Options{})
	if err != nil {
		panic(err)
	}
	defer node.Close()

	// From here on, everything is the official client.
	cfg, err := node.Configuration()
	if err != nil {
		panic(err)
	}
	client, err := esdb.NewClient(cfg)
	if err != nil {
		panic(err)
	}
	defer client.Close()

	ctx := context.Background()
	accepted := esdb.EventData{EventID: uuid.New(), EventType: "order.accepted", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}
	for range 2 { // the second time it is recognised
		result, err := client.AppendToStream(ctx, "order-42", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, accepted)
		if err != nil {
			panic(err)
		}
		fmt.Println("revision", result.NextExpectedVersion)
	}
	// Output:
	// revision 0
	// revision 0
}
