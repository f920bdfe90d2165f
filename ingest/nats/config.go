// Package nats reads a JetStream stream through a durable pull consumer.
//
// Messages are recorded in the order of the stream; the place of a message is the
// stream and its sequence. Each is acknowledged after it is durable.
//
// JetStream gives what was delivered and not acknowledged back after a while
// (ack_wait), and meanwhile goes on with later messages. Order is kept all the
// same: a reader that begins while messages are out waits until they are back, and
// one that misses a delivery begins anew. So one process may read from a durable
// consumer; with shared, several may, and there is no order.
package nats

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/broker"
)

// Config is a source of kind nats.
type Config struct {
	Name        string        `yaml:"name"`        // of the source
	URL         string        `yaml:"url"`         // nats://HOST:4222, or several with commas; tls:// for TLS
	Stream      string        `yaml:"stream"`      // must exist: who publishes decides how it is kept
	Subjects    []string      `yaml:"subjects"`    // of the stream; all if empty. Several need a server from 2.10 on. Fixed for a Durable
	Durable     string        `yaml:"durable"`     // name of the consumer, made if need be; "tradetrail-" and Name if empty
	Shared      bool          `yaml:"shared"`      // several processes read from Durable; no order then
	AckWait     time.Duration `yaml:"ack_wait"`    // 10s if 0
	Credentials string        `yaml:"credentials"` // file of a JWT and its seed
	User        string        `yaml:"user"`
	Password    string        `yaml:"password"`
	Token       string        `yaml:"token"`
	TLS         *broker.TLS   `yaml:"tls"`
}

const (
	connectTimeout = 5 * time.Second
	defaultAckWait = 10 * time.Second
	// Of the server's connection: beyond it the client takes a server for gone.
	pingEvery = 5 * time.Second
)

// Kind implements broker.Broker.
func (Config) Kind() string { return "nats" }

// Reads implements broker.Broker.
func (c Config) Reads() []string {
	c = c.withDefaults()
	return []string{broker.Place(c.URL, c.Stream, c.Durable)}
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if c.URL == "" {
		return domain.Rejectf(domain.CodeMissing, "url", "nats://HOST:4222 is needed")
	}
	if _, err := url.Parse(c.URL); err != nil {
		return domain.Rejectf(domain.CodeInvalid, "url", "it is no URL") // not which: it may hold a password
	}
	if c.Stream == "" {
		return domain.Rejectf(domain.CodeMissing, "stream", "the name of a stream is needed")
	}
	if c.AckWait < 0 {
		return domain.Rejectf(domain.CodeInvalid, "ack_wait", "%s is negative", c.AckWait)
	}
	_, err := c.TLS.Config()
	return err
}

func (c Config) withDefaults() Config {
	if c.Durable == "" {
		c.Durable = "tradetrail-" + c.Name
	}
	if c.AckWait == 0 {
		c.AckWait = defaultAckWait
	}
	return c
}

// Open implements broker.Broker.
func (c Config) Open(ctx context.Context, log *slog.Logger) (broker.Reader, error) {
	c = c.withDefaults()
	conn, err := c.connect()
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	r, err := c.read(ctx, conn, log)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return r, nil
}

func (c Config) connect() (*client.Conn, error) {
	options := []client.Option{
		client.Name("tradetrail"), client.Timeout(connectTimeout), client.PingInterval(pingEvery), client.MaxPingsOutstanding(2),
		// A connection that breaks ends the reader: the source connects again, with
		// jitter, and looks after the order.
		client.NoReconnect(),
	}
	config, err := c.TLS.Config()
	if err != nil {
		return nil, err
	}
	if config != nil {
		options = append(options, client.Secure(config))
	}
	if c.Credentials != "" {
		options = append(options, client.UserCredentials(c.Credentials))
	}
	if c.User != "" {
		options = append(options, client.UserInfo(c.User, c.Password))
	}
	if c.Token != "" {
		options = append(options, client.Token(c.Token))
	}
	return client.Connect(c.URL, options...)
}

func (c Config) consumer() jetstream.ConsumerConfig {
	config := jetstream.ConsumerConfig{
		Durable: c.Durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.AckWait,
		MaxAckPending: maxPending, MaxDeliver: -1,
	}
	switch len(c.Subjects) {
	case 0:
	case 1:
		config.FilterSubject = c.Subjects[0]
	default:
		config.FilterSubjects = c.Subjects
	}
	return config
}
