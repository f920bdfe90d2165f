package eventstoretest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
)

// Difference is a way in which a store is known not to be as EventStoreDB is.
// Each is a case of the suite that says how EventStoreDB is: the stores that list
// the difference must fail it. So a difference that vanishes is noticed, and
// leaves the list and the documentation.
type Difference string

// The known differences.
const (
	// RemembersIDs: after a restart, an append with Any is still recognised as
	// repeated if it was among the last thousands. EventStoreDB forgets, and
	// writes it again.
	RemembersIDs Difference = "ids of appends with Any are remembered over a restart"
	// NoLookaround: filters take Go's regular expressions. EventStoreDB's are .NET's.
	NoLookaround Difference = "filters have no lookaround"
	// NoPersistentSubscriptions: they can't be made.
	NoPersistentSubscriptions Difference = "there are no persistent subscriptions"
)

// asEventStoreDB runs a check that EventStoreDB passes.
func (s *suite) asEventStoreDB(t *testing.T, d Difference, check func() error) {
	t.Helper()
	err := check()
	if !slices.Contains(s.traits.Differs, d) {
		require.NoError(t, err, "not as EventStoreDB: %s", d)
		return
	}
	require.Error(t, err, "the difference has vanished, and must leave the list: %s", d)
	t.Logf("expected difference: %v", err)
}

func (s *suite) differenceCases() cases {
	return cases{
		string(NoLookaround): func(t *testing.T) {
			store := s.store(t)
			s.asEventStoreDB(t, NoLookaround, func() error {
				sub, err := store.client.SubscribeToAll(store.context(), esdb.SubscribeToAllOptions{
					From: esdb.End{}, Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "^(?!order).*"},
				})
				if err != nil {
					return err
				}
				return sub.Close()
			})
		},
		string(NoPersistentSubscriptions): func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			s.asEventStoreDB(t, NoPersistentSubscriptions, func() error {
				err := store.client.CreatePersistentSubscription(store.context(), stream, "group", esdb.PersistentStreamSubscriptionOptions{})
				if err != nil {
					return err
				}
				return store.client.DeletePersistentSubscription(store.context(), stream, "group", esdb.DeletePersistentSubscriptionOptions{})
			})
		},
	}
}

// restartDifferenceCases need a restart.
func (s *suite) restartDifferenceCases() cases {
	return cases{
		string(RemembersIDs): func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(2)
			store.append(stream, esdb.Any{}, events...)
			require.NoError(t, store.client.Close())
			s.traits.Restart(t)
			store = s.store(t)
			store.append(stream, esdb.Any{}, events...)
			s.asEventStoreDB(t, RemembersIDs, func() error {
				if n := len(store.whole(stream)); n != 4 {
					return fmt.Errorf("the stream has %d events instead of 4: %w", n, errRecognised)
				}
				return nil
			})
		},
	}
}

var errRecognised = errors.New("the append was recognised as repeated")
