package broker_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/broker"
)

// queue is a broker of one partition, which delivers what is not committed again to
// each new reader.
type queue struct {
	mu        sync.Mutex
	committed int
	opened    int
	commit    func(opened int) error
}

const length = 6

func (q *queue) Kind() string    { return "queue" }
func (q *queue) Reads() []string { return nil }

func (q *queue) Open(context.Context, *slog.Logger) (broker.Reader, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.opened++
	return &cursor{queue: q, opened: q.opened, next: q.committed}, nil
}

type cursor struct {
	queue        *queue
	opened, next int
}

func (c *cursor) Fetch(ctx context.Context) (broker.Batch, error) {
	if c.next == length {
		<-ctx.Done()
		return broker.Batch{}, ctx.Err()
	}
	at := c.next
	c.next++
	return broker.Batch{
		Messages: []broker.Message{{Partition: "q", Offset: strconv.Itoa(at), Body: []byte(event)}},
		Commit: func(context.Context) error {
			c.queue.mu.Lock()
			defer c.queue.mu.Unlock()
			if c.queue.commit != nil {
				if err := c.queue.commit(c.opened); err != nil {
					return err
				}
			}
			c.queue.committed = max(c.queue.committed, at+1)
			return nil
		},
	}, nil
}

func (c *cursor) Behind(context.Context) (int64, error) { return broker.Unknown, nil }
func (c *cursor) Close()                                {}

// ledger is a recorder that remembers the ids of each call.
type ledger struct {
	mu     sync.Mutex
	ids    []string
	refuse func(calls int) error
	calls  int
}

func (l *ledger) Record(_ context.Context, _ string, items []ingest.Item) ([]ingest.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.refuse != nil {
		if err := l.refuse(l.calls); err != nil {
			return nil, err
		}
	}
	receipts := make([]ingest.Receipt, len(items))
	for i, item := range items {
		l.ids = append(l.ids, item.Event.ID)
		receipts[i] = ingest.Receipt{EventID: item.Event.ID, Status: ingest.Recorded}
	}
	return receipts, nil
}

func newSource(t *testing.T, q *queue, l *ledger) *broker.Source {
	t.Helper()
	s, err := broker.New("test", q, l, slog.New(slog.DiscardHandler), time.Now, prometheus.NewRegistry())
	require.NoError(t, err)
	return s
}

func wanted() []string {
	var ids []string
	for i := range length {
		ids = append(ids, domain.DeriveID("queue:test", "q", strconv.Itoa(i)))
	}
	return ids
}

// run runs the source until the queue is committed.
func run(t *testing.T, s *broker.Source, q *queue) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	assert.Eventually(t, func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.committed == length
	}, time.Minute, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

func TestSource_RefusedBatchIsNotOvertaken(t *testing.T) {
	t.Parallel()
	q, l := new(queue), &ledger{refuse: func(calls int) error {
		if calls == 3 || calls == 4 {
			return &domain.Error{Class: domain.ClassTransient, Code: "unavailable", Message: "away"}
		}
		return nil
	}}
	run(t, newSource(t, q, l), q)
	assert.Equal(t, wanted(), l.ids)
	assert.Equal(t, 1, q.opened, "the broker has nothing to do with it")
}

func TestSource_AfterAFailedCommitItReadsAgainFromWhereTheBrokerIs(t *testing.T) {
	t.Parallel()
	q := &queue{commit: func(opened int) error {
		if opened == 1 {
			return errors.New("lost")
		}
		return nil
	}}
	l := new(ledger)
	run(t, newSource(t, q, l), q)
	assert.GreaterOrEqual(t, q.opened, 2)
	// Some came again; the first time of each is in order.
	var first []string
	seen := map[string]bool{}
	for _, id := range l.ids {
		if !seen[id] {
			first = append(first, id)
		}
		seen[id] = true
	}
	assert.Equal(t, wanted(), first)
	assert.Greater(t, len(l.ids), length)
}

func TestSource_PanicOfTheRecorderIsARefusal(t *testing.T) {
	t.Parallel()
	q, l := new(queue), &ledger{refuse: func(calls int) error {
		if calls == 2 {
			panic("a defect")
		}
		return nil
	}}
	run(t, newSource(t, q, l), q)
	assert.Equal(t, wanted(), l.ids)
}

func TestSource_EndsWhenTheStoreIsDamaged(t *testing.T) {
	t.Parallel()
	q, l := new(queue), &ledger{refuse: func(calls int) error {
		if calls == 3 {
			return &domain.Error{Class: domain.ClassIntegrity, Code: "damaged", Message: "the store contradicts itself"}
		}
		return nil
	}}
	err := newSource(t, q, l).Run(t.Context())
	require.Error(t, err)
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err))
	q.mu.Lock()
	defer q.mu.Unlock()
	assert.Less(t, q.committed, 3, "what was refused is not acknowledged")
}
