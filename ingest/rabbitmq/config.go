// Package rabbitmq reads a queue of RabbitMQ (AMQP 0-9-1), classic or quorum.
//
// Messages are recorded in the order in which the queue gives them, and
// acknowledged after they are durable. What was given and not acknowledged goes
// back to its place in the queue when the connection ends.
//
// A queue has no offsets. The place of a message is its queue and its message_id;
// without one, what it says: two messages with the same bytes are then one.
package rabbitmq

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/broker"
)

// Config is a source of kind rabbitmq.
type Config struct {
	URL   string `yaml:"url"`   // amqp://USER:PASSWORD@HOST:5672/VHOST; amqps:// for TLS
	Queue string `yaml:"queue"` // must exist: who publishes decides how it is kept
	// Prefetch is how many messages the server gives before they are acknowledged;
	// 4000 if 0. It bounds what is in memory, since the protocol knows no limit in
	// bytes: set it low where messages are large.
	Prefetch int         `yaml:"prefetch"`
	TLS      *broker.TLS `yaml:"tls"`
}

const (
	defaultPrefetch = 2 * broker.MaxBatch // one batch is recorded while the next one comes
	maxPrefetch     = 65535               // of the protocol
	connectTimeout  = 5 * time.Second
	heartbeat       = 10 * time.Second // of the connection, whatever becomes of the messages
	closeTimeout    = 2 * time.Second
)

// Kind implements broker.Broker.
func (Config) Kind() string { return "rabbitmq" }

// Reads implements broker.Broker.
func (c Config) Reads() []string { return []string{broker.Place(c.URL, c.Queue)} }

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	uri, err := amqp.ParseURI(c.URL)
	if err != nil {
		return domain.Rejectf(domain.CodeInvalid, "url", "it is not amqp://USER:PASSWORD@HOST:PORT/VHOST") // not what it is: it may hold a password
	}
	if c.TLS != nil && uri.Scheme != "amqps" {
		return domain.Rejectf(domain.CodeInvalid, "tls", "it has no effect on amqp://: amqps:// is needed")
	}
	if c.Queue == "" {
		return domain.Rejectf(domain.CodeMissing, "queue", "the name of a queue is needed")
	}
	if c.Prefetch < 0 || c.Prefetch > maxPrefetch {
		return domain.Rejectf(domain.CodeInvalid, "prefetch", "%d is not between 1 and %d", c.Prefetch, maxPrefetch)
	}
	_, err = c.TLS.Config()
	return err
}

// Open implements broker.Broker.
func (c Config) Open(ctx context.Context, _ *slog.Logger) (broker.Reader, error) {
	if c.Prefetch == 0 {
		c.Prefetch = defaultPrefetch
	}
	tlsConfig, err := c.TLS.Config()
	if err != nil {
		return nil, err
	}
	r := &reader{queue: c.Queue}
	r.conn, err = amqp.DialConfig(c.URL, amqp.Config{
		Heartbeat: heartbeat, TLSClientConfig: tlsConfig, Properties: amqp.Table{"connection_name": "tradetrail"},
		Dial: func(network, address string) (net.Conn, error) {
			dialing, cancel := context.WithTimeout(ctx, connectTimeout)
			defer cancel()
			conn, err := new(net.Dialer).DialContext(dialing, network, address)
			if err != nil {
				return nil, err
			}
			r.socket = conn
			// Who accepts and says nothing must not hold up the source.
			r.patience = time.AfterFunc(connectTimeout, func() { _ = conn.Close() })
			return conn, nil
		},
	})
	if r.patience != nil {
		r.patience.Stop()
	}
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	if err := r.consume(c.Prefetch); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}
