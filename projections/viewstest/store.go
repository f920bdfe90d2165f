package viewstest

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/eventstore/eventstoretest"
)

// Discard is a logger for tests that provoke failures.
func Discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// cleanupContext outlives the test's own context, which is over when cleanups
// run.
func cleanupContext(t testing.TB) context.Context { return context.WithoutCancel(t.Context()) }

// Store is an embedded event store that belongs to one test.
type Store struct {
	*eventstore.Store

	Node *embedded.Node

	next map[string]eventstore.Revision // per stream: what the next append expects
}

// OpenStore opens an empty event store; it is closed with the test.
func OpenStore(t testing.TB) *Store {
	t.Helper()
	node := eventstoretest.OpenNode(t, t.TempDir())
	return &Store{Store: eventstoretest.OpenStore(t, node, ""), Node: node, next: make(map[string]eventstore.Revision)}
}

// OpenInProcess is OpenStore without a socket, as the service connects to its own
// node.
func OpenInProcess(t testing.TB) *Store {
	t.Helper()
	node := eventstoretest.OpenNode(t, t.TempDir())
	store := eventstore.Over(node.Conn(), Discard())
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	return &Store{Store: store, Node: node, next: make(map[string]eventstore.Revision)}
}

// Append records events one after another, each in its stream, and returns the
// position of the last. It must be the only writer, and be called from one
// goroutine.
func (s *Store) Append(t testing.TB, events ...*domain.Event) domain.Position {
	t.Helper()
	var last eventstore.Appended
	for _, e := range events {
		stream := e.Stream()
		expected, known := s.next[stream]
		if !known {
			expected = eventstore.NoStream
		}
		var err error
		last, err = s.Store.Append(t.Context(), stream, expected, []*domain.Event{e})
		require.NoError(t, err)
		s.next[stream] = last.Revision
	}
	return last.Position
}
