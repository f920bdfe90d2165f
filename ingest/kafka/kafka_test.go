package kafka_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tradetrail/tradetrail/ingest/broker"
	"github.com/tradetrail/tradetrail/ingest/brokertest"
	"github.com/tradetrail/tradetrail/ingest/kafka"
)

// fake is kfake, which speaks Kafka's protocol in this process: there is no Kafka
// without a JVM. The client and its configuration are real.
type fake struct {
	t       testing.TB
	dir     string
	port    int
	cluster *kfake.Cluster
	topics  atomic.Int64
}

const largest = 50<<20 + 1<<10

func newFake(t testing.TB, options ...kfake.Opt) *fake {
	t.Helper()
	f := &fake{t: t, dir: t.TempDir()}
	var err error
	f.port, err = brokertest.FreePort()
	require.NoError(t, err)
	f.up(options...)
	t.Cleanup(func() { f.cluster.Close() })
	return f
}

func (f *fake) up(options ...kfake.Opt) {
	f.t.Helper()
	// Go's client asks the broker how long it may let go of a partition; the short
	// rebalance keeps tests of groups short.
	cluster, err := kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(1), kfake.Ports(f.port), kfake.DataDir(f.dir),
		kfake.BrokerConfigs(map[string]string{
			"message.max.bytes": strconv.Itoa(largest), "group.initial.rebalance.delay.ms": "0",
		}),
	}, options...)...)
	require.NoError(f.t, err)
	f.cluster = cluster
}

func (f *fake) restart(t testing.TB) {
	t.Helper()
	f.cluster.Close()
	f.up()
}

func (f *fake) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(f.port)) }

func (f *fake) server() brokertest.Server {
	return brokertest.Server{Place: f.place, Restart: f.restart, Largest: 50 << 20, SharedInOrder: true, Numbers: true}
}

const partitions = 3

func (f *fake) place(t testing.TB) brokertest.Place {
	t.Helper()
	topic := fmt.Sprint("fills-", f.topics.Add(1))
	client, err := kgo.NewClient(kgo.SeedBrokers(f.address()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(largest), kgo.BrokerMaxWriteBytes(2*largest))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	_, err = kadm.NewClient(client).CreateTopic(t.Context(), partitions, 1, nil, topic)
	require.NoError(t, err)
	return brokertest.Place{
		Partitions: partitions,
		Reader: func(int) broker.Broker {
			return kafka.Config{Brokers: []string{f.address()}, Topics: []string{topic}, Group: topic}
		},
		Publish: func(t testing.TB, partition int, bodies ...[]byte) {
			t.Helper()
			records := make([]*kgo.Record, len(bodies))
			for i, body := range bodies {
				records[i] = &kgo.Record{Topic: topic, Partition: int32(partition), Value: body}
			}
			require.NoError(t, client.ProduceSync(t.Context(), records...).FirstErr())
		},
	}
}

func TestContract(t *testing.T) {
	brokertest.Run(t, func(t testing.TB) brokertest.Server { return newFake(t).server() })
}

func TestSource_WaitsForABrokerThatIsAway(t *testing.T) {
	port, err := brokertest.FreePort()
	require.NoError(t, err)
	brokertest.Away(t, kafka.Config{Brokers: []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}, Topics: []string{"fills"}})
}

// next is what a new reader reads first.
func next(t *testing.T, config kafka.Config) []string {
	t.Helper()
	reader, err := config.Open(t.Context(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	batch, err := reader.Fetch(ctx)
	require.NoError(t, err)
	require.NoError(t, batch.Commit(ctx))
	var bodies []string
	for _, m := range batch.Messages {
		bodies = append(bodies, string(m.Body))
	}
	return bodies
}

func TestConfig_NewestIsWhereAGroupBeganOnce(t *testing.T) {
	f := newFake(t)
	place := f.place(t)
	config, ok := place.Reader(0).(kafka.Config)
	require.True(t, ok)
	config.Start = "newest"
	place.Publish(t, 0, []byte("before"))
	brokertest.Opens(t, config) // and reads nothing
	place.Publish(t, 0, []byte("while it was down"))
	assert.Equal(t, []string{"while it was down"}, next(t, config))

	client, err := kgo.NewClient(kgo.SeedBrokers(f.address()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer client.Close()
	_, err = kadm.NewClient(client).CreatePartitions(t.Context(), 1, config.Topics...)
	require.NoError(t, err)
	added := &kgo.Record{Topic: config.Topics[0], Partition: partitions, Value: []byte("of a partition that was added")}
	require.NoError(t, client.ProduceSync(t.Context(), added).FirstErr())
	assert.Equal(t, []string{"of a partition that was added"}, next(t, config))
}

func TestConfig_NewestWaitsForItsTopics(t *testing.T) {
	config := kafka.Config{Brokers: []string{newFake(t).address()}, Topics: []string{"none"}, Start: "newest"}
	_, err := config.Open(t.Context(), slog.New(slog.DiscardHandler))
	require.Error(t, err)
}

func TestReader_BatchesAreBoundedInBytes(t *testing.T) {
	place := newFake(t).place(t)
	const n, each = 60, 1 << 20
	for i := range n {
		place.Publish(t, i%partitions, bytes.Repeat([]byte{'a' + byte(i%26)}, each))
	}
	reader, err := place.Reader(0).Open(t.Context(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer reader.Close()
	seen := make(map[string]int)
	for read := 0; read < n; {
		batch, err := reader.Fetch(t.Context())
		require.NoError(t, err)
		assert.LessOrEqual(t, len(batch.Messages), broker.MaxBatchBytes/each)
		for _, m := range batch.Messages {
			require.Equal(t, strconv.Itoa(seen[m.Partition]), m.Offset)
			seen[m.Partition]++
		}
		read += len(batch.Messages)
		require.NoError(t, batch.Commit(t.Context()))
	}
	behind, err := reader.Behind(t.Context())
	require.NoError(t, err)
	assert.Zero(t, behind)
}

func TestConfig_SASL(t *testing.T) {
	f := newFake(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "audit", "secret"))
	config := kafka.Config{Brokers: []string{f.address()}, Topics: []string{"fills"}, SASL: &kafka.SASL{Mechanism: "scram-sha-256", User: "audit", Password: "secret"}}
	require.NoError(t, config.Validate())
	brokertest.Opens(t, config)
	config.SASL.Password = "wrong"
	_, err := config.Open(t.Context(), slog.New(slog.DiscardHandler))
	require.Error(t, err)
}

func TestConfig_Validate(t *testing.T) {
	good := kafka.Config{Brokers: []string{"127.0.0.1:9092"}, Topics: []string{"fills"}}
	require.NoError(t, good.Validate())
	for name, spoil := range map[string]func(*kafka.Config){
		"no brokers":  func(c *kafka.Config) { c.Brokers = nil },
		"no port":     func(c *kafka.Config) { c.Brokers = []string{"kafka"} },
		"no topics":   func(c *kafka.Config) { c.Topics = nil },
		"start":       func(c *kafka.Config) { c.Start = "yesterday" },
		"mechanism":   func(c *kafka.Config) { c.SASL = &kafka.SASL{Mechanism: "magic", User: "u", Password: "p"} },
		"no password": func(c *kafka.Config) { c.SASL = &kafka.SASL{Mechanism: "plain", User: "u"} },
		"certificate": func(c *kafka.Config) { c.TLS = &broker.TLS{CA: "does-not-exist"} },
		"half a key":  func(c *kafka.Config) { c.TLS = &broker.TLS{Cert: "some"} },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			spoil(&c)
			assert.Error(t, c.Validate())
		})
	}
}

func BenchmarkSource(b *testing.B) {
	brokertest.Benchmark(b, newFake(b).place)
}
