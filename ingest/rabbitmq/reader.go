package rabbitmq

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/tradetrail/tradetrail/ingest/broker"
)

type reader struct {
	conn       *amqp.Connection
	socket     net.Conn
	patience   *time.Timer
	channel    *amqp.Channel
	deliveries chan amqp.Delivery // what the client has given; closed when no more will come
	ended      chan *amqp.Error   // why the channel was closed
	queue      string
	next       *amqp.Delivery // fetched, for the next batch

	asking  sync.Mutex // one question at a time
	inquiry *amqp.Channel
}

func (r *reader) consume(prefetch int) (err error) {
	if r.channel, err = r.conn.Channel(); err != nil {
		return fmt.Errorf("opening a channel: %w", err)
	}
	// Before anything is consumed, so that no reason is missed.
	r.ended = r.channel.NotifyClose(make(chan *amqp.Error, 1))
	if err := r.channel.Qos(prefetch, 0, false); err != nil {
		return fmt.Errorf("setting the prefetch: %w", err)
	}
	given, err := r.channel.Consume(r.queue, "", false, false, false, false, nil)
	if err != nil {
		return fmt.Errorf("consuming queue %s: %w", r.queue, err)
	}
	// The client hands over one delivery at a time. All that the server gives has
	// room, so that a batch is what has come, and nobody ever waits to hand over.
	r.deliveries = make(chan amqp.Delivery, prefetch)
	go func() { // until Close, or the end of the channel
		defer close(r.deliveries)
		for d := range given {
			r.deliveries <- d
		}
	}()
	return nil
}

// Fetch implements broker.Reader.
func (r *reader) Fetch(ctx context.Context) (broker.Batch, error) {
	first := r.next
	r.next = nil
	if first == nil {
		select {
		case d, ok := <-r.deliveries:
			if !ok {
				return broker.Batch{}, r.why()
			}
			first = &d
		case <-ctx.Done():
			return broker.Batch{}, ctx.Err()
		}
	}
	var batch broker.Batch
	var last uint64
	for d, size := first, 0; d != nil; d = r.more() {
		if size += len(d.Body); len(batch.Messages) > 0 && size > broker.MaxBatchBytes {
			r.next = d
			break
		}
		last = d.DeliveryTag
		batch.Messages = append(batch.Messages, broker.Message{Partition: r.queue, Offset: offset(d), Body: d.Body, At: d.Timestamp})
		if len(batch.Messages) == broker.MaxBatch {
			break
		}
	}
	// Tags count the deliveries of the channel: this and all before it.
	batch.Commit = func(context.Context) error { return r.channel.Ack(last, true) }
	return batch, nil
}

// more is what is there without waiting.
func (r *reader) more() *amqp.Delivery {
	select {
	case d, ok := <-r.deliveries:
		if ok {
			return &d
		}
	default:
	}
	return nil
}

// offset is a message's place in its queue. Both kinds have a prefix, so that no
// sender's id can pass for what somebody else said.
func offset(d *amqp.Delivery) string {
	if d.MessageId != "" {
		return "id:" + d.MessageId
	}
	digest := sha256.Sum256(d.Body)
	return "sha256:" + hex.EncodeToString(digest[:])
}

func (r *reader) why() error {
	if reason := <-r.ended; reason != nil {
		return reason
	}
	return errors.New("the server ended the consumer: its queue may be gone")
}

// Behind implements broker.Reader: the messages that are ready in the queue, and
// not those that were given out.
func (r *reader) Behind(ctx context.Context) (int64, error) {
	// The client's calls end with the connection, not with a context.
	type answer struct {
		n   int
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		n, err := r.ready()
		answered <- answer{n, err}
	}()
	select {
	case a := <-answered:
		return int64(a.n), a.err
	case <-ctx.Done():
		return 0, fmt.Errorf("asking for the length of queue %s: %w", r.queue, ctx.Err())
	}
}

func (r *reader) ready() (int, error) {
	r.asking.Lock()
	defer r.asking.Unlock()
	// A channel of its own: the server closes the channel of a question that it
	// does not like.
	if r.inquiry == nil || r.inquiry.IsClosed() {
		channel, err := r.conn.Channel()
		if err != nil {
			return 0, fmt.Errorf("opening a channel: %w", err)
		}
		r.inquiry = channel
	}
	queue, err := r.inquiry.QueueDeclarePassive(r.queue, false, false, false, false, nil)
	if err != nil {
		return 0, fmt.Errorf("asking for the length of queue %s: %w", r.queue, err)
	}
	return queue.Messages, nil
}

// Close implements broker.Reader.
func (r *reader) Close() {
	impatient := time.AfterFunc(closeTimeout, func() { _ = r.socket.Close() })
	defer impatient.Stop()
	_ = r.conn.Close()
}
