package nats_test

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest/broker"
	"github.com/tradetrail/tradetrail/ingest/brokertest"
	"github.com/tradetrail/tradetrail/ingest/nats"
)

// largest is below what JetStream keeps: from 32 MiB on, newer servers refuse a
// message and older ones take it and can't give it back.
const largest = 31 << 20

// server is a nats-server of the test's own.
type server struct {
	program, config string
	port            int
	process         *brokertest.Process
	streams         atomic.Int64
}

func start(t testing.TB) *server {
	t.Helper()
	s := &server{program: brokertest.Program(t, "nats-server", "/usr/sbin/nats-server")}
	dir := t.TempDir()
	s.config = filepath.Join(dir, "nats.conf")
	var err error
	for range 5 { // a port that was free may be taken by now
		s.port, err = brokertest.FreePort()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(s.config, fmt.Appendf(nil,
			"listen: 127.0.0.1:%d\nmax_payload: %d\njetstream { store_dir: %q, max_memory_store: 64MB, max_file_store: 2GB }\n",
			s.port, largest+1<<20, dir), 0o600))
		if err = s.up(); err == nil {
			break
		}
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.process.Kill()) })
	return s
}

func (s *server) up() (err error) {
	s.process, err = brokertest.Launch(exec.Command(s.program, "-c", s.config), "Server is ready")
	return err
}

func (s *server) restart(t testing.TB) {
	t.Helper()
	require.NoError(t, s.process.Kill())
	require.NoError(t, s.up())
}

func (s *server) url() string { return "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

func (s *server) place(t testing.TB) brokertest.Place {
	t.Helper()
	stream := fmt.Sprint("fills-", s.streams.Add(1))
	conn, err := client.Connect(s.url(), client.MaxReconnects(-1), client.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(1000))
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream, Subjects: []string{stream + ".>"}})
	require.NoError(t, err)
	return brokertest.Place{
		Partitions: 2,
		Reader: func(n int) broker.Broker {
			return nats.Config{URL: s.url(), Stream: stream, AckWait: time.Second, Shared: n > 0}
		},
		Publish: func(t testing.TB, partition int, bodies ...[]byte) {
			t.Helper()
			subject := fmt.Sprint(stream, ".", partition)
			require.Eventually(t, func() bool { return conn.IsConnected() }, time.Minute, 10*time.Millisecond)
			futures := make([]jetstream.PubAckFuture, len(bodies))
			for i, body := range bodies {
				futures[i], err = js.PublishAsync(subject, body)
				require.NoError(t, err)
			}
			for _, future := range futures {
				select {
				case <-future.Ok():
				case err := <-future.Err():
					require.NoError(t, err)
				}
			}
		},
	}
}

func TestContract(t *testing.T) {
	brokertest.Run(t, func(t testing.TB) brokertest.Server {
		s := start(t)
		return brokertest.Server{Place: s.place, Restart: s.restart, Largest: largest, Numbers: true}
	})
}

func TestSource_WaitsForABrokerThatIsAway(t *testing.T) {
	port, err := brokertest.FreePort()
	require.NoError(t, err)
	brokertest.Away(t, nats.Config{URL: "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Stream: "fills"})
}

func TestSource_SaysThatThereIsNoStream(t *testing.T) {
	brokertest.Away(t, nats.Config{URL: start(t).url(), Stream: "none"})
}

func TestConfig_ConsumersKeepTheirSubjects(t *testing.T) {
	s := start(t)
	conn, err := client.Connect(s.url())
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "trading", Subjects: []string{"trading.>"}})
	require.NoError(t, err)
	for _, subject := range []string{"trading.risk", "trading.fills"} {
		_, err = js.Publish(t.Context(), subject, []byte(subject))
		require.NoError(t, err)
	}
	config := func(name, subject string) nats.Config {
		return nats.Config{Name: name, URL: s.url(), Stream: "trading", Subjects: []string{subject}}
	}
	for _, name := range []string{"fills", "risk"} {
		reader, err := config(name, "trading."+name).Open(t.Context(), slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		batch, err := reader.Fetch(t.Context())
		require.NoError(t, err)
		require.Len(t, batch.Messages, 1)
		assert.Equal(t, "trading."+name, string(batch.Messages[0].Body))
		require.NoError(t, batch.Commit(t.Context()))
		reader.Close()
	}
	_, err = config("fills", "trading.risk").Open(t.Context(), slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "name another durable")
	brokertest.Opens(t, config("fills", "trading.fills"))
}

func TestConfig_Validate(t *testing.T) {
	good := nats.Config{URL: "nats://127.0.0.1:4222", Stream: "fills"}
	require.NoError(t, good.Validate())
	for name, spoil := range map[string]func(*nats.Config){
		"no url":      func(c *nats.Config) { c.URL = "" },
		"no stream":   func(c *nats.Config) { c.Stream = "" },
		"ack_wait":    func(c *nats.Config) { c.AckWait = -1 },
		"certificate": func(c *nats.Config) { c.TLS = &broker.TLS{CA: "does-not-exist"} },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			spoil(&c)
			assert.Error(t, c.Validate())
		})
	}
}

func BenchmarkSource(b *testing.B) {
	brokertest.Benchmark(b, start(b).place)
}
