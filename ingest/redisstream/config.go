// Package redisstream reads Redis Streams as a consumer of a group.
//
// Entries of a stream are recorded in its order; the place of an entry is its
// stream and its id. Each is acknowledged after it is durable. A consumer that
// begins takes first what it got in an earlier life and did not acknowledge; what
// other consumers have left lying is taken over after a while, out of order.
package redisstream

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/broker"
)

// Config is a source of kind redis.
type Config struct {
	URL     string   `yaml:"url"`     // redis://:PASSWORD@HOST:6379/DB; rediss:// for TLS
	Streams []string `yaml:"streams"` // made if need be
	Group   string   `yaml:"group"`   // made if need be, from the beginning of the streams; "tradetrail" if empty
	// Consumer is who reads, of those in the group; "tradetrail" if empty. It must be
	// the same after a restart, and another one for each process.
	Consumer string `yaml:"consumer"`
	// Field holds the event; "event" if empty. An entry without it is an event itself:
	// its fields are the event's.
	Field string `yaml:"field"`
	// TakeOver is after how long an entry that another consumer has not acknowledged
	// is taken over; 1m if 0.
	TakeOver time.Duration `yaml:"take_over"`
	TLS      *broker.TLS   `yaml:"tls"`
}

const (
	connectTimeout  = 5 * time.Second
	block           = 2 * time.Second // of one waiting read
	defaultTakeOver = time.Minute
)

// Kind implements broker.Broker.
func (Config) Kind() string { return "redis" }

// Reads implements broker.Broker.
func (c Config) Reads() []string {
	c = c.withDefaults()
	var reads []string
	for _, stream := range c.Streams {
		reads = append(reads, broker.Place(c.URL, c.Group, stream))
	}
	return reads
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if _, err := c.options(); err != nil {
		return err
	}
	if len(c.Streams) == 0 || slices.Contains(c.Streams, "") {
		return domain.Rejectf(domain.CodeMissing, "streams", "the name of at least one stream is needed")
	}
	if c.TakeOver < 0 {
		return domain.Rejectf(domain.CodeInvalid, "take_over", "%s is negative", c.TakeOver)
	}
	return nil
}

func (c Config) options() (*redis.Options, error) {
	options, err := redis.ParseURL(c.URL)
	if err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "url", "it is not redis://:PASSWORD@HOST:PORT/DB") // not what it is: it may hold a password
	}
	config, err := c.TLS.Config()
	if err != nil {
		return nil, err
	}
	if config != nil {
		options.TLSConfig = config
	}
	options.DialTimeout, options.WriteTimeout = connectTimeout, connectTimeout
	options.ReadTimeout = block + connectTimeout
	options.ContextTimeoutEnabled = true
	options.MaxRetries = -1 // a read that is repeated by the client could lose its first answer until the next session
	options.PoolSize = 3    // fetching, committing, asking
	return options, nil
}

func (c Config) withDefaults() Config {
	if c.Group == "" {
		c.Group = "tradetrail"
	}
	if c.Consumer == "" {
		c.Consumer = "tradetrail"
	}
	if c.Field == "" {
		c.Field = "event"
	}
	if c.TakeOver == 0 {
		c.TakeOver = defaultTakeOver
	}
	return c
}

// Open implements broker.Broker.
func (c Config) Open(ctx context.Context, _ *slog.Logger) (broker.Reader, error) {
	c = c.withDefaults()
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	r := &reader{config: c, client: redis.NewClient(options), count: firstCount, unread: make(map[string]string), unseen: make(map[string]string)}
	r.lookAgain = time.NewTicker(max(c.TakeOver/2, time.Millisecond))
	asking, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	for _, stream := range c.Streams {
		err := r.client.XGroupCreateMkStream(asking, stream, c.Group, "0").Err()
		if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") { // it exists; the protocol has no code but the word
			r.Close()
			return nil, fmt.Errorf("making group %s of stream %s: %w", c.Group, stream, err)
		}
		r.unread[stream] = "0"
	}
	r.look()
	return r, nil
}
