package redisstream_test

import (
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest/broker"
	"github.com/tradetrail/tradetrail/ingest/brokertest"
	"github.com/tradetrail/tradetrail/ingest/redisstream"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

type server struct {
	*viewstest.Redis

	streams atomic.Int64
}

func (s *server) place(t testing.TB) brokertest.Place {
	t.Helper()
	name := fmt.Sprint("fills-", s.streams.Add(1))
	stream := func(partition int) string { return fmt.Sprint(name, "-", partition) }
	client := s.Dial(t)
	return brokertest.Place{
		Partitions: 2,
		Reader: func(n int) broker.Broker {
			return redisstream.Config{
				URL: s.URL, Streams: []string{stream(0), stream(1)}, Consumer: fmt.Sprint("reader-", n), TakeOver: time.Second,
			}
		},
		Publish: func(t testing.TB, partition int, bodies ...[]byte) {
			t.Helper()
			pipe := client.Pipeline()
			for _, body := range bodies {
				pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: stream(partition), Values: []any{"event", body}})
			}
			_, err := pipe.Exec(t.Context())
			require.NoError(t, err)
		},
	}
}

func TestContract(t *testing.T) {
	brokertest.Run(t, func(t testing.TB) brokertest.Server {
		s := &server{Redis: viewstest.Persistent(t)}
		return brokertest.Server{Place: s.place, Restart: s.Server.Restart, Largest: 50 << 20}
	})
}

func TestSource_WaitsForABrokerThatIsAway(t *testing.T) {
	port, err := brokertest.FreePort()
	require.NoError(t, err)
	brokertest.Away(t, redisstream.Config{URL: "redis://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Streams: []string{"fills"}})
}

func TestReader_EntriesWithoutTheFieldAreEvents(t *testing.T) {
	s := viewstest.Real(t)
	if s.URL == "" {
		t.Fatal("no URL")
	}
	stream := "fields-" + t.Name() + strconv.FormatInt(time.Now().UnixNano(), 36)
	require.NoError(t, s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: []any{"event_type", "order.filled", "order_id", "7"}}).Err())
	reader, err := redisstream.Config{URL: s.URL, Streams: []string{stream}}.Open(t.Context(), nil)
	require.NoError(t, err)
	defer reader.Close()
	batch, err := reader.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, batch.Messages, 1)
	assert.JSONEq(t, `{"event_type":"order.filled","order_id":"7"}`, string(batch.Messages[0].Body))
	require.NoError(t, batch.Commit(t.Context()))
}

func TestReader_TrimmedEntriesLeaveARecord(t *testing.T) {
	s := viewstest.Own(t)
	config := redisstream.Config{URL: s.URL, Streams: []string{"fills"}}
	id, err := s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "fills", Values: []any{"event", "{}"}}).Result()
	require.NoError(t, err)
	first, err := config.Open(t.Context(), nil)
	require.NoError(t, err)
	_, err = first.Fetch(t.Context())
	require.NoError(t, err)
	first.Close()
	require.NoError(t, s.Client.XDel(t.Context(), "fills", id).Err())

	second, err := config.Open(t.Context(), nil)
	require.NoError(t, err)
	defer second.Close()
	batch, err := second.Fetch(t.Context())
	require.NoError(t, err)
	require.Len(t, batch.Messages, 1)
	items := broker.Understand("redis:test", batch.Messages[0])
	require.Len(t, items, 1)
	require.NotNil(t, items[0].Err)
	assert.Contains(t, items[0].Err.Message, id)
	assert.Equal(t, "fills "+id, string(items[0].Raw))
}

func TestConfig_Validate(t *testing.T) {
	good := redisstream.Config{URL: "redis://127.0.0.1:6379/0", Streams: []string{"fills"}}
	require.NoError(t, good.Validate())
	for name, spoil := range map[string]func(*redisstream.Config){
		"no url":      func(c *redisstream.Config) { c.URL = "" },
		"no streams":  func(c *redisstream.Config) { c.Streams = nil },
		"no name":     func(c *redisstream.Config) { c.Streams = []string{""} },
		"take_over":   func(c *redisstream.Config) { c.TakeOver = -1 },
		"certificate": func(c *redisstream.Config) { c.TLS = &broker.TLS{CA: "does-not-exist"} },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			spoil(&c)
			assert.Error(t, c.Validate())
		})
	}
}

func BenchmarkSource(b *testing.B) {
	brokertest.Benchmark(b, (&server{Redis: viewstest.Own(b)}).place)
}
