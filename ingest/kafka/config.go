// Package kafka reads Kafka topics as a member of a consumer group.
//
// A partition's messages are recorded in its order; the place of a message is its
// topic, partition and offset. Offsets are committed after the messages are
// durable. While a batch is recorded its partitions may be given to another member
// of the group, which begins where was committed last: both record the same
// messages then, in the same order, and the Recorder keeps each event once.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/broker"
)

// Config is a source of kind kafka.
type Config struct {
	Brokers []string    `yaml:"brokers"` // HOST:PORT of some brokers of the cluster
	Topics  []string    `yaml:"topics"`
	Group   string      `yaml:"group"` // consumer group; "tradetrail" if empty
	Start   string      `yaml:"start"` // where a group that has committed nothing begins: oldest (if empty) or newest
	TLS     *broker.TLS `yaml:"tls"`
	SASL    *SASL       `yaml:"sasl"`
}

const newest = "newest"

// SASL says who we are.
type SASL struct {
	Mechanism string `yaml:"mechanism"` // plain, scram-sha-256 or scram-sha-512
	User      string `yaml:"user"`
	Password  string `yaml:"password"`
}

// What the client may hold in memory: one answer of each broker, as sent and
// unpacked, and one being read. A single message may be as large as maxRead; what
// is larger can't be read, and its partition stands still.
const (
	fetchBytes          = broker.MaxBatchBytes
	fetchPartitionBytes = 1 << 20
	maxRead             = 128 << 20
)

// Kind implements broker.Broker.
func (Config) Kind() string { return "kafka" }

// Reads implements broker.Broker.
func (c Config) Reads() []string {
	brokers := strings.Join(slices.Sorted(slices.Values(c.Brokers)), ",")
	var reads []string
	for _, topic := range c.Topics {
		reads = append(reads, broker.Place(brokers, c.group(), topic))
	}
	return reads
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if len(c.Brokers) == 0 {
		return domain.Rejectf(domain.CodeMissing, "brokers", "at least one HOST:PORT is needed")
	}
	for _, address := range c.Brokers {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return domain.Rejectf(domain.CodeInvalid, "brokers", "%.100q is not HOST:PORT", address)
		}
	}
	if len(c.Topics) == 0 {
		return domain.Rejectf(domain.CodeMissing, "topics", "at least one topic is needed")
	}
	_, err := c.options(slog.New(slog.DiscardHandler))
	return err
}

// Open implements broker.Broker.
func (c Config) Open(ctx context.Context, log *slog.Logger) (broker.Reader, error) {
	options, err := c.options(log)
	if err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if c.Start == newest {
		if err := c.beginAtEnd(asking, options); err != nil {
			return nil, fmt.Errorf("beginning at the newest messages: %w", err)
		}
	}
	client, err := kgo.NewClient(append(options, c.consuming()...)...)
	if err != nil {
		return nil, fmt.Errorf("making the client: %w", err)
	}
	if err := client.Ping(asking); err != nil {
		client.CloseAllowingRebalance()
		return nil, fmt.Errorf("asking the brokers: %w", err)
	}
	return &reader{client: client, admin: kadm.NewClient(client), group: c.group(), log: log}, nil
}

func (c Config) group() string {
	if c.Group == "" {
		return "tradetrail"
	}
	return c.Group
}

// beginAtEnd commits the end of every partition, once for a group that has committed
// nothing: it is where the group goes on, whatever comes before its first batch.
func (c Config) beginAtEnd(ctx context.Context, options []kgo.Opt) error {
	client, err := kgo.NewClient(options...) // no member: members may not commit before they join
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	committed, err := admin.FetchOffsetsForTopics(ctx, c.group(), slices.Clone(c.Topics)...)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return err
	}
	for _, offset := range committed.Sorted() {
		if offset.At >= 0 {
			return nil // a partition without a place came later, and is read from its start
		}
	}
	ends, err := admin.ListCommittedOffsets(ctx, c.Topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return err
	}
	return admin.CommitAllOffsets(ctx, c.group(), ends.Offsets())
}

func (c Config) consuming() []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumerGroup(c.group()), kgo.ConsumeTopics(c.Topics...), kgo.DisableAutoCommit(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		// A group whose place the brokers have thrown away goes on with what is left.
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(fetchBytes), kgo.FetchMaxPartitionBytes(fetchPartitionBytes),
	}
}

// options are those of any client: how it connects.
func (c Config) options(log *slog.Logger) ([]kgo.Opt, error) {
	switch c.Start {
	case "", "oldest", newest:
	default:
		return nil, domain.Rejectf(domain.CodeInvalid, "start", "%.50q is neither oldest nor newest", c.Start)
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.ClientID("tradetrail"),
		kgo.BrokerMaxReadBytes(maxRead), kgo.MaxDecompressBatchBytes(maxRead),
		kgo.WithLogger(logger{log}),
	}
	config, err := c.TLS.Config()
	if err != nil {
		return nil, err
	}
	if config != nil {
		options = append(options, kgo.DialTLSConfig(config))
	}
	if c.SASL != nil {
		mechanism, err := c.SASL.mechanism()
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	if s.User == "" || s.Password == "" {
		return nil, domain.Rejectf(domain.CodeMissing, "sasl", "user and password are needed")
	}
	switch s.Mechanism {
	case "plain":
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism(), nil
	case "scram-sha-256":
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha512Mechanism(), nil
	default:
		return nil, domain.Rejectf(domain.CodeInvalid, "sasl.mechanism", "%.50q is not plain, scram-sha-256 or scram-sha-512", s.Mechanism)
	}
}
