package redisstream_test

import (
	"context"
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

// leave has a consumer that does not come back read an entry.
func leave(t *testing.T, s *viewstest.Redis, config redisstream.Config) (id string) {
	t.Helper()
	id, err := s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "fills", Values: []any{"event", "left"}}).Result()
	require.NoError(t, err)
	config.Consumer, config.TakeOver = "dead", time.Hour
	dead, err := config.Open(t.Context(), nil)
	require.NoError(t, err)
	defer dead.Close()
	_, err = dead.Fetch(t.Context())
	require.NoError(t, err)
	return id
}

// awaitOffset reads on until an entry comes, of streams in which something new is
// there for every read.
func awaitOffset(t *testing.T, s *viewstest.Redis, config redisstream.Config, id string) (found broker.Message) {
	t.Helper()
	reader, err := config.Open(t.Context(), nil)
	require.NoError(t, err)
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for found.Offset != id {
		require.NoError(t, s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "fills", Values: []any{"event", "new"}}).Err())
		batch, err := reader.Fetch(ctx)
		require.NoError(t, err)
		for _, m := range batch.Messages {
			if m.Offset == id {
				found = m
			}
		}
		require.NoError(t, batch.Commit(ctx))
	}
	return found
}

func TestReader_TakesOverWhileItsStreamIsBusy(t *testing.T) {
	s := viewstest.Own(t)
	config := redisstream.Config{URL: s.URL, Streams: []string{"fills"}, TakeOver: 200 * time.Millisecond}
	id := leave(t, s, config)
	assert.Equal(t, "left", string(awaitOffset(t, s, config, id).Body))
	pending, err := s.Client.XPending(t.Context(), "fills", "tradetrail").Result()
	require.NoError(t, err)
	assert.Zero(t, pending.Count)
}

func TestReader_TrimmedEntriesOfOthersLeaveARecord(t *testing.T) {
	s := viewstest.Own(t)
	config := redisstream.Config{URL: s.URL, Streams: []string{"fills"}, TakeOver: time.Millisecond}
	id := leave(t, s, config)
	require.NoError(t, s.Client.XDel(t.Context(), "fills", id).Err())
	require.NotNil(t, awaitOffset(t, s, config, id).Err)
}

func TestReader_LooksThroughAllThatIsPending(t *testing.T) {
	s := viewstest.Own(t)
	config := redisstream.Config{URL: s.URL, Streams: []string{"fills"}, TakeOver: time.Millisecond}
	const mine = 200 // more than one look sees, and in hand
	for range mine {
		require.NoError(t, s.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: "fills", Values: []any{"event", "mine"}}).Err())
	}
	reader, err := config.Open(t.Context(), nil)
	require.NoError(t, err)
	defer reader.Close()
	for read := 0; read < mine; {
		batch, err := reader.Fetch(t.Context())
		require.NoError(t, err)
		read += len(batch.Messages)
	}
	id := leave(t, s, config)
	for found := false; !found; {
		batch, err := reader.Fetch(t.Context())
		require.NoError(t, err)
		for _, m := range batch.Messages {
			require.NotEqual(t, "mine", string(m.Body), "what is in hand comes once")
			found = found || m.Offset == id
		}
	}
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
