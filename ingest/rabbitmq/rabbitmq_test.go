package rabbitmq_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest/broker"
	"github.com/tradetrail/tradetrail/ingest/brokertest"
	"github.com/tradetrail/tradetrail/ingest/rabbitmq"
)

var queues atomic.Int64

// place is a durable queue with publisher confirms.
func (s *server) place(t testing.TB) brokertest.Place {
	t.Helper()
	queue := fmt.Sprint("fills-", queues.Add(1))
	s.with(t, func(channel *amqp.Channel) {
		_, err := channel.QueueDeclare(queue, true, false, false, false, nil)
		require.NoError(t, err)
	})
	return brokertest.Place{
		Partitions: 1,
		Reader:     func(int) broker.Broker { return rabbitmq.Config{URL: s.url(), Queue: queue, Prefetch: 500} },
		Publish:    func(t testing.TB, _ int, bodies ...[]byte) { s.publish(t, queue, bodies) },
	}
}

// with has a connection of its own: the server may have been restarted.
func (s *server) with(t testing.TB, do func(*amqp.Channel)) {
	t.Helper()
	conn, err := amqp.Dial(s.url())
	require.NoError(t, err)
	defer conn.Close()
	channel, err := conn.Channel()
	require.NoError(t, err)
	do(channel)
}

func (s *server) publish(t testing.TB, queue string, bodies [][]byte) {
	t.Helper()
	s.with(t, func(channel *amqp.Channel) {
		require.NoError(t, channel.Confirm(false))
		confirmed := make([]*amqp.DeferredConfirmation, len(bodies))
		for i, body := range bodies {
			var err error
			confirmed[i], err = channel.PublishWithDeferredConfirmWithContext(t.Context(), "", queue, true, false,
				amqp.Publishing{DeliveryMode: amqp.Persistent, Body: body})
			require.NoError(t, err)
		}
		for _, c := range confirmed {
			ok, err := c.WaitContext(t.Context())
			require.NoError(t, err)
			require.True(t, ok)
		}
	})
}

func TestContract(t *testing.T) {
	brokertest.Run(t, func(t testing.TB) brokertest.Server {
		s := start(t)
		return brokertest.Server{Place: s.place, Restart: s.restart, Largest: 50 << 20}
	})
}

func TestReader_MessageIDsArePlaces(t *testing.T) {
	s := start(t)
	queue := t.Name()
	s.with(t, func(channel *amqp.Channel) {
		_, err := channel.QueueDeclare(queue, true, false, false, false, nil)
		require.NoError(t, err)
		for _, id := range []string{"7", "7", "8", "", ""} {
			require.NoError(t, channel.PublishWithContext(t.Context(), "", queue, true, false, amqp.Publishing{MessageId: id, Body: []byte("{}")}))
		}
	})
	reader, err := rabbitmq.Config{URL: s.url(), Queue: queue}.Open(t.Context(), nil)
	require.NoError(t, err)
	defer reader.Close()
	var offsets []string
	for len(offsets) < 5 {
		batch, err := reader.Fetch(t.Context())
		require.NoError(t, err)
		for _, m := range batch.Messages {
			assert.Equal(t, queue, m.Partition)
			offsets = append(offsets, m.Offset)
		}
	}
	digest := sha256.Sum256([]byte("{}"))
	same := "sha256:" + hex.EncodeToString(digest[:])
	assert.Equal(t, []string{"id:7", "id:7", "id:8", same, same}, offsets)
}

func TestSource_WaitsForABrokerThatIsAway(t *testing.T) {
	port, err := brokertest.FreePort()
	require.NoError(t, err)
	brokertest.Away(t, rabbitmq.Config{URL: "amqp://guest:guest@" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + "/", Queue: "fills"})
}

func TestSource_SaysThatThereIsNoQueue(t *testing.T) {
	brokertest.Away(t, rabbitmq.Config{URL: start(t).url(), Queue: "none"})
}

func TestConfig_Validate(t *testing.T) {
	good := rabbitmq.Config{URL: "amqp://127.0.0.1/", Queue: "fills"}
	require.NoError(t, good.Validate())
	for name, spoil := range map[string]func(*rabbitmq.Config){
		"no url":      func(c *rabbitmq.Config) { c.URL = "" },
		"no queue":    func(c *rabbitmq.Config) { c.Queue = "" },
		"prefetch":    func(c *rabbitmq.Config) { c.Prefetch = 1 << 16 },
		"no effect":   func(c *rabbitmq.Config) { c.TLS = &broker.TLS{} },
		"certificate": func(c *rabbitmq.Config) { c.URL, c.TLS = "amqps://127.0.0.1/", &broker.TLS{CA: "does-not-exist"} },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			spoil(&c)
			assert.Error(t, c.Validate())
		})
	}
}

func BenchmarkSource(b *testing.B) { brokertest.Benchmark(b, start(b).place) }
