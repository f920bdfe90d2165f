package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/broker"
)

// What the client holds ready, besides as many that wait for Fetch, and at one pull about as many
// bytes as a batch, or the largest message that the server lets pass.
const (
	readyMessages = broker.MaxBatch
	maxPending    = 5 * broker.MaxBatch // out at the same time: ready, on their way and in two batches
)

type reader struct {
	conn     *client.Conn
	consumer jetstream.Consumer
	pulling  jetstream.ConsumeContext
	stream   string
	shared   bool
	log      *slog.Logger

	messages chan jetstream.Msg
	broken   chan struct{} // closed when no more messages will come
	breaking sync.Once
	why      error // set before broken is closed

	last uint64        // delivery of the consumer, of the last message fetched
	next jetstream.Msg // fetched, for the next batch
}

func (c Config) read(ctx context.Context, conn *client.Conn, log *slog.Logger) (*reader, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("using JetStream: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	consumer, err := c.open(asking, js)
	if err != nil {
		return nil, fmt.Errorf("opening consumer %s of stream %s: %w", c.Durable, c.Stream, err)
	}
	r := &reader{
		conn: conn, consumer: consumer, stream: c.Stream, shared: c.Shared, log: log,
		messages: make(chan jetstream.Msg, broker.MaxBatch), broken: make(chan struct{}),
	}
	if !c.Shared {
		if err := r.awaitReturn(ctx, c.AckWait); err != nil {
			return nil, err
		}
	}
	conn.SetClosedHandler(func(conn *client.Conn) {
		r.end(errors.Join(errors.New("the connection is closed"), conn.LastError()))
	})
	if conn.IsClosed() { // before the handler was there
		return nil, errors.New("the connection is closed")
	}
	bytes := max(broker.MaxBatchBytes, 2*int(conn.MaxPayload())) // headers count, too
	r.pulling, err = consumer.Consume(r.take,
		jetstream.PullMaxMessagesWithBytesLimit(readyMessages, bytes),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { r.notice(ctx, err) }))
	if err != nil {
		return nil, fmt.Errorf("reading consumer %s: %w", c.Durable, err)
	}
	return r, nil
}

// open makes the consumer, or takes the one that is there if it reads the same
// subjects. With others its place would mean other messages: those before it would
// never be delivered.
func (c Config) open(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	there, err := js.Consumer(ctx, c.Stream, c.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return js.CreateConsumer(ctx, c.Stream, c.consumer())
	}
	if err != nil {
		return nil, err
	}
	before, after := subjects(there.CachedInfo().Config), subjects(c.consumer())
	if !slices.Equal(before, after) {
		return nil, domain.Rejectf(domain.CodeInvalid, "subjects", "it reads %q, and not %q: name another durable, or delete this one", before, after)
	}
	return js.UpdateConsumer(ctx, c.Stream, c.consumer())
}

// subjects are those that a consumer reads, sorted; none means all of the stream.
func subjects(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return slices.Sorted(slices.Values(c.FilterSubjects))
}

// awaitReturn waits until no message is out, or has been for longer than the
// server waits: what an earlier reader got and did not acknowledge is delivered
// before anything new then.
func (r *reader) awaitReturn(ctx context.Context, ackWait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, ackWait+ackWait/4)
	defer cancel()
	ticker := time.NewTicker(max(ackWait/20, 10*time.Millisecond))
	defer ticker.Stop()
	for {
		info, err := r.consumer.Info(ctx)
		switch {
		case err == nil && info.NumAckPending == 0:
			return nil
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("asking for the consumer's state: %w", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil
			}
			return ctx.Err()
		}
	}
}

// take is called for one message after the other; while it waits the client pulls
// no more than it may hold ready.
func (r *reader) take(msg jetstream.Msg) {
	select {
	case r.messages <- msg:
	case <-r.broken:
	}
}

// notice sorts what the client reports: some of it ends the reading, the rest it
// mends by itself.
func (r *reader) notice(ctx context.Context, err error) {
	for _, end := range []error{
		jetstream.ErrConsumerDeleted, jetstream.ErrConsumerNotFound, jetstream.ErrNoHeartbeat, jetstream.ErrMaxBytesExceeded,
		jetstream.ErrConnectionClosed, client.ErrConnectionClosed, jetstream.ErrBadRequest,
	} {
		if errors.Is(err, end) {
			r.end(err)
			return
		}
	}
	r.log.DebugContext(ctx, "nats client", slog.Any("error", err))
}

func (r *reader) end(why error) {
	r.breaking.Do(func() {
		r.why = why
		close(r.broken)
	})
}

// Fetch implements broker.Reader.
func (r *reader) Fetch(ctx context.Context) (broker.Batch, error) {
	first := r.next
	r.next = nil
	if first == nil {
		select {
		case first = <-r.messages:
		case <-r.broken:
			return broker.Batch{}, r.why
		case <-ctx.Done():
			return broker.Batch{}, ctx.Err()
		}
	}
	var b batch
	for msg, size := first, 0; msg != nil; msg = r.more() {
		if size += len(msg.Data()); len(b.acks) > 0 && size > broker.MaxBatchBytes {
			r.next = msg
			break
		}
		if err := r.add(&b, msg); err != nil {
			return broker.Batch{}, err
		}
		if len(b.acks) == broker.MaxBatch {
			break
		}
	}
	return broker.Batch{Messages: b.messages, Commit: b.commit}, nil
}

// more is what is there without waiting.
func (r *reader) more() jetstream.Msg {
	select {
	case msg := <-r.messages:
		return msg
	default:
		return nil
	}
}

func (r *reader) add(b *batch, msg jetstream.Msg) error {
	about, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("reading where a message stands: %w", err)
	}
	if !r.shared && r.last != 0 && about.Sequence.Consumer != r.last+1 {
		return fmt.Errorf("deliveries %d to %d of the consumer are missing: they were lost, or somebody else reads from it (shared)",
			r.last+1, about.Sequence.Consumer-1)
	}
	r.last = about.Sequence.Consumer
	b.acks = append(b.acks, msg)
	b.messages = append(b.messages, broker.Message{
		Partition: r.stream, Offset: strconv.FormatUint(about.Sequence.Stream, 10), Body: msg.Data(), At: about.Timestamp,
	})
	return nil
}

type batch struct {
	messages []broker.Message
	acks     []jetstream.Msg
}

// commit does not wait for the server: a message whose acknowledgement is lost is
// delivered again.
func (b *batch) commit(context.Context) error {
	for _, msg := range b.acks {
		if err := msg.Ack(); err != nil {
			return fmt.Errorf("acknowledging: %w", err)
		}
	}
	return nil
}

// Behind implements broker.Reader.
func (r *reader) Behind(ctx context.Context) (int64, error) {
	info, err := r.consumer.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking for the consumer's state: %w", err)
	}
	return int64(info.NumPending) + int64(info.NumAckPending), nil //nolint:gosec // no stream has that many
}

// Close implements broker.Reader.
func (r *reader) Close() {
	r.end(errors.New("the reader is closed"))
	r.pulling.Stop()
	r.conn.Close()
	<-r.pulling.Closed()
}
