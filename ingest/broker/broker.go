package broker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// The bounds of a batch. The second is soft: a message that is larger comes alone.
const (
	MaxBatch      = 2000
	MaxBatchBytes = 8 << 20
)

// Message is one message of a broker. (Partition, Offset) is its place: the same
// at each delivery, and no other message of the source has it. Ids of events
// derive from it, so what it looks like is a storage format.
type Message struct {
	Partition string // what the broker keeps in order
	Offset    string // within Partition
	Body      []byte
	At        time.Time     // when the broker took it; zero if nobody says
	Err       *domain.Error // why there is no body, if the broker has lost it
}

// Batch is a run of messages, those of one partition in the broker's order.
type Batch struct {
	Messages []Message
	// Commit tells the broker that all of Messages are recorded. Batches are
	// committed in the order in which they were fetched, while the next one may be
	// fetched already. After an error the broker delivers them again.
	Commit func(ctx context.Context) error
}

// Reader is a connection that messages are read from. Fetch is called by one
// goroutine, everything else by any.
type Reader interface {
	// Fetch waits for messages and returns at least one, MaxBatch and about
	// MaxBatchBytes at most. An error ends the reader: it is closed, and another
	// one is opened.
	Fetch(ctx context.Context) (Batch, error)
	// Behind counts the messages that wait in the broker, or are delivered and not
	// yet committed. It fails when the broker does not answer; Unknown says that it
	// answers and can't tell.
	Behind(ctx context.Context) (int64, error)
	// Close gives up what was fetched and not committed. It returns within seconds,
	// whatever the broker does.
	Close()
}

// Unknown is a number of messages that a broker does not tell.
const Unknown int64 = -1

// Place is a name made of several, which no others make. It may hold a password,
// and is for comparing only.
func Place(names ...string) string { return fmt.Sprintf("%q", names) }

// Broker is where messages come from, as configured.
type Broker interface {
	// Kind is the name of the folder: kafka, nats, rabbitmq, redis.
	Kind() string
	// Reads are what it takes messages from and says how far it has come: made with
	// Place, from all that tells one from another. Two sources that share one would
	// record its messages under two names.
	Reads() []string
	// Open connects. It fails when the broker is away, or does not know what it is
	// asked for; it does not try for long.
	Open(ctx context.Context, log *slog.Logger) (Reader, error)
}
