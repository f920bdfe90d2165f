// Package eventstoretest says, as tests, what Tradetrail expects of an event
// store: of the embedded node and of a real EventStoreDB or KurrentDB alike.
// A store passes if the official client finds in it what the tests expect.
package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
)

// Traits say what a store can do, or what can be done to it.
type Traits struct {
	// Dial opens a bare connection, closed when t ends, for what the official
	// client doesn't offer (BatchAppend). Without it those cases are skipped.
	Dial func(t *testing.T) *grpc.ClientConn
	// Restart stops the store and starts it again over the same data. Clients
	// must connect anew. Without it those cases are skipped.
	Restart func(t *testing.T)
	// MaxAppendSize is the store's limit in bytes; 0 is the default of 1 MiB.
	MaxAppendSize int
	// Differs lists how the store is known not to be as EventStoreDB is.
	Differs []Difference
}

// Run runs the suite. connect gives a new client, closed when t ends. The
// store may be in use by others: the suite writes to streams of its own.
func Run(t *testing.T, connect func(t *testing.T) *esdb.Client, traits Traits) {
	if traits.MaxAppendSize == 0 {
		traits.MaxAppendSize = 1 << 20
	}
	s := &suite{connect: connect, traits: traits}
	// The restarts come last and alone: they would disturb the others.
	t.Run("running", func(t *testing.T) {
		s.group(t, "append", s.appendCases())
		s.group(t, "repeat", s.repeatCases())
		s.group(t, "concurrent", s.concurrentCases())
		s.group(t, "read", s.readCases())
		s.group(t, "all", s.allCases())
		s.group(t, "subscribe", s.subscribeCases())
		s.group(t, "filter", s.filterCases())
		s.group(t, "delete", s.deleteCases())
		s.group(t, "metadata", s.metadataCases())
		s.group(t, "link", s.linkCases())
		s.group(t, "batch", s.batchCases())
		s.group(t, "difference", s.differenceCases())
	})
	t.Run("restarting", func(t *testing.T) {
		if traits.Restart == nil {
			t.Skip("this store can't be restarted from a test")
		}
		for _, of := range []cases{s.restartCases(), s.restartDifferenceCases()} {
			for name, run := range of {
				t.Run(name, run)
			}
		}
	})
}

type suite struct {
	connect func(t *testing.T) *esdb.Client
	traits  Traits
}

type cases map[string]func(t *testing.T)

func (s *suite) group(t *testing.T, name string, of cases) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		for name, run := range of {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t)
			})
		}
	})
}

// patience bounds every single call, so that a store which doesn't answer
// fails the test that noticed instead of hanging all of them.
const patience = time.Minute

// store is a client in the hands of one test.
type store struct {
	t      *testing.T
	client *esdb.Client
}

func (s *suite) store(t *testing.T) *store {
	t.Helper()
	return &store{t: t, client: s.connect(t)}
}

func (s *store) context() context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	s.t.Cleanup(cancel)
	return ctx
}

// newStream is a stream that nobody else uses.
func newStream(kind string) string { return kind + "-" + uuid.NewString() }

// newEvents are n events with data that tells them apart.
func newEvents(n int) []esdb.EventData {
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = esdb.EventData{
			EventID:     uuid.New(),
			EventType:   "order.accepted",
			ContentType: esdb.ContentTypeJson,
			Data:        fmt.Appendf(nil, `{"n":%d}`, i),
			Metadata:    fmt.Appendf(nil, `{"$correlationId":"%d"}`, i),
		}
	}
	return events
}

func typed(eventType string, events []esdb.EventData) []esdb.EventData {
	for i := range events {
		events[i].EventType = eventType
	}
	return events
}

func (s *store) try(stream string, expected esdb.ExpectedRevision, events ...esdb.EventData) (*esdb.WriteResult, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	deadline := patience
	return s.client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: expected, Deadline: &deadline}, events...)
}

func (s *store) append(stream string, expected esdb.ExpectedRevision, events ...esdb.EventData) *esdb.WriteResult {
	s.t.Helper()
	result, err := s.try(stream, expected, events...)
	require.NoError(s.t, err)
	return result
}

// requireCode: err must carry the client's code, however it is wrapped.
func (s *store) requireCode(want esdb.ErrorCode, err error) {
	s.t.Helper()
	var coded *esdb.Error
	require.ErrorAs(s.t, err, &coded)
	require.Equal(s.t, want, coded.Code(), "error: %v", err)
}

func (s *store) requireWrongVersion(stream string, expected esdb.ExpectedRevision, events ...esdb.EventData) {
	s.t.Helper()
	_, err := s.try(stream, expected, events...)
	s.requireCode(esdb.ErrorCodeWrongExpectedVersion, err)
}

func (s *store) tryRead(stream string, opts esdb.ReadStreamOptions, count uint64) ([]*esdb.ResolvedEvent, error) {
	reader, err := s.client.ReadStream(s.context(), stream, opts, count)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return receive(reader)
}

func (s *store) read(stream string, opts esdb.ReadStreamOptions, count uint64) []*esdb.ResolvedEvent {
	s.t.Helper()
	events, err := s.tryRead(stream, opts, count)
	require.NoError(s.t, err)
	return events
}

// whole reads a stream from its start.
func (s *store) whole(stream string) []*esdb.ResolvedEvent {
	s.t.Helper()
	return s.read(stream, esdb.ReadStreamOptions{}, 1<<30)
}

func (s *store) tryReadAll(opts esdb.ReadAllOptions, count uint64) ([]*esdb.ResolvedEvent, error) {
	reader, err := s.client.ReadAll(s.context(), opts, count)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return receive(reader)
}

func (s *store) readAll(opts esdb.ReadAllOptions, count uint64) []*esdb.ResolvedEvent {
	s.t.Helper()
	events, err := s.tryReadAll(opts, count)
	require.NoError(s.t, err)
	return events
}

func receive(reader *esdb.ReadStream) ([]*esdb.ResolvedEvent, error) {
	var events []*esdb.ResolvedEvent
	for {
		event, err := reader.Recv()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, event)
	}
}

func ids(events []*esdb.ResolvedEvent) []uuid.UUID {
	out := make([]uuid.UUID, len(events))
	for i, e := range events {
		out[i] = e.OriginalEvent().EventID
	}
	return out
}

func proposedIDs(events []esdb.EventData) []uuid.UUID {
	out := make([]uuid.UUID, len(events))
	for i, e := range events {
		out[i] = e.EventID
	}
	return out
}

func reversed[T any](in []T) []T {
	out := slices.Clone(in)
	slices.Reverse(out)
	return out
}

// of keeps the events of one stream: $all has everybody's.
func of(stream string, events []*esdb.ResolvedEvent) []*esdb.ResolvedEvent {
	var own []*esdb.ResolvedEvent
	for _, e := range events {
		if e.OriginalEvent().StreamID == stream {
			own = append(own, e)
		}
	}
	return own
}

func position(e *esdb.ResolvedEvent) esdb.Position { return e.OriginalEvent().Position }
