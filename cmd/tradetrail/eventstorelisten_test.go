package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// storeClient connects to the embedded event store by what the log says.
func storeClient(t *testing.T, server *process) *esdb.Client {
	t.Helper()
	url := regexp.MustCompile(`esdb://127\.0\.0\.1:\d+\?tls=false`).FindString(server.output())
	require.NotEmpty(t, url, server.output())
	cfg, err := esdb.ParseConnectionString(url)
	require.NoError(t, err)
	cfg.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func TestServe_LetsOtherClientsIntoTheEmbeddedEventStore(t *testing.T) {
	server := startServer(t, t.TempDir(), "", "--eventstore-listen", "127.0.0.1:0")
	client := storeClient(t, server)
	code, _, stderr := tradetrail("", "record", "--server", server.URL,
		`{"event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o1","account_id":"A"}`)
	require.Zero(t, code, stderr)

	add := func(stream, eventType string, contentType esdb.ContentType, data string) {
		t.Helper()
		_, err := client.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}},
			esdb.EventData{EventID: uuid.New(), EventType: eventType, ContentType: contentType, Data: []byte(data)})
		require.NoError(t, err)
	}
	add("order-o1", "order.accepted", esdb.ContentTypeJson,
		`{"event_id":"e2","event_type":"order.accepted","occurred_at":"2026-03-02T14:30:01Z","recorded_at":"2026-03-02T14:30:01Z","order_id":"o1","account_id":"A","schema_version":1}`)
	for stream, data := range map[string]string{
		"order-o1": `{"event_type":7}`, "order-o3": `[]`, "somebody-else": `{"hello":"world"}`, "order-o4": `none`, "order-o5": ``,
	} {
		add(stream, "order.filled", esdb.ContentTypeJson, data)
		add(stream, "SomethingElse", esdb.ContentTypeBinary, "\x00\xff"+data)
	}
	add("order-o1", "order.filled", esdb.ContentTypeJson,
		`{"event_id":"e3","event_type":"order.filled","occurred_at":"2026-03-02T14:30:02Z","recorded_at":"2026-03-02T14:30:02Z","order_id":"o1","account_id":"A","schema_version":1}`)
	server.caughtUp()

	code, stdout, stderr := tradetrail("", "chain", "--server", server.URL, "o1")
	require.Zero(t, code, stderr)
	for _, eventType := range []string{"order.submitted", "order.accepted", "order.filled"} {
		assert.Equal(t, 1, strings.Count(stdout, eventType), stdout)
	}
	stream, err := client.ReadStream(t.Context(), "order-o1", esdb.ReadStreamOptions{}, 100)
	require.NoError(t, err)
	defer stream.Close()
	first, err := stream.Recv()
	require.NoError(t, err)
	assert.Equal(t, "order.submitted", first.Event.EventType)

	response, err := http.Get(server.URL + "/readyz")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusOK, response.StatusCode, server.output())
	assertEqualsRebuild(t, server)
	assert.Zero(t, server.stop(), server.output())
}

func TestServe_KeepsOtherClientsOutUnlessAsked(t *testing.T) {
	server := startServer(t, t.TempDir(), "")
	assert.NotContains(t, server.output(), "esdb://")
	assert.Zero(t, server.stop(), server.output())
}
