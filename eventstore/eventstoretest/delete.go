package eventstoretest

import (
	"fmt"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (s *store) tryDelete(stream string, expected esdb.ExpectedRevision) (*esdb.DeleteResult, error) {
	return s.client.DeleteStream(s.context(), stream, esdb.DeleteStreamOptions{ExpectedRevision: expected})
}

func (s *store) delete(stream string, expected esdb.ExpectedRevision) *esdb.DeleteResult {
	s.t.Helper()
	result, err := s.tryDelete(stream, expected)
	require.NoError(s.t, err)
	return result
}

func (s *store) tryTombstone(stream string, expected esdb.ExpectedRevision) (*esdb.DeleteResult, error) {
	return s.client.TombstoneStream(s.context(), stream, esdb.TombstoneStreamOptions{ExpectedRevision: expected})
}

func (s *store) tombstone(stream string, expected esdb.ExpectedRevision) *esdb.DeleteResult {
	s.t.Helper()
	result, err := s.tryTombstone(stream, expected)
	require.NoError(s.t, err)
	return result
}

func (s *store) requireNotFound(stream string) {
	s.t.Helper()
	_, err := s.tryRead(stream, esdb.ReadStreamOptions{}, 10)
	s.requireCode(esdb.ErrorCodeResourceNotFound, err)
}

func (s *store) setMetadata(stream string, set func(*esdb.StreamMetadata)) {
	s.t.Helper()
	var metadata esdb.StreamMetadata
	set(&metadata)
	_, err := s.client.SetStreamMetadata(s.context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, metadata)
	require.NoError(s.t, err)
}

func (s *store) getMetadata(stream string) *esdb.StreamMetadata {
	s.t.Helper()
	metadata, err := s.client.GetStreamMetadata(s.context(), stream, esdb.ReadStreamOptions{})
	require.NoError(s.t, err)
	return metadata
}

func (s *suite) deleteCases() cases {
	return cases{
		"a deleted stream is not found": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			written := store.append(stream, esdb.NoStream{}, newEvents(3)...)
			result := store.delete(stream, esdb.Revision(2))
			assert.Greater(t, result.Position.Commit, written.CommitPosition)
			store.requireNotFound(stream)
			store.requireNotFound(stream)
		},
		"a deleted stream comes back with the next revision": func(t *testing.T) {
			for name, expected := range map[string]esdb.ExpectedRevision{
				"any": esdb.Any{}, "no stream": esdb.NoStream{}, "revision": esdb.Revision(2),
			} {
				t.Run(name, func(t *testing.T) {
					store, stream := s.store(t), newStream("order")
					store.append(stream, esdb.NoStream{}, newEvents(3)...)
					store.delete(stream, esdb.Any{})
					fresh := newEvents(2)
					assert.EqualValues(t, 4, store.append(stream, expected, fresh...).NextExpectedVersion)
					read := store.whole(stream)
					assert.Equal(t, proposedIDs(fresh), ids(read))
					assert.EqualValues(t, 3, read[0].Event.EventNumber)
					assert.EqualValues(t, 5, store.append(stream, esdb.Revision(4), newEvents(1)...).NextExpectedVersion)
					assert.Len(t, store.whole(stream), 3)
				})
			}
		},
		"a deleted stream does not exist": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(1)...)
			store.delete(stream, esdb.StreamExists{})
			_, err := store.try(stream, esdb.StreamExists{}, newEvents(1)...)
			store.requireCode(esdb.ErrorCodeStreamDeleted, err)
		},
		"coming back keeps the other metadata": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(3)...)
			store.delete(stream, esdb.Any{})
			store.setMetadata(stream, func(m *esdb.StreamMetadata) {
				m.SetTruncateBefore(1<<63 - 1)
				m.AddCustomProperty("desk", "rates")
			})
			store.append(stream, esdb.Any{}, newEvents(1)...)
			metadata := store.getMetadata(stream)
			require.NotNil(t, metadata.TruncateBefore())
			assert.EqualValues(t, 3, *metadata.TruncateBefore())
			assert.Equal(t, "rates", metadata.CustomProperties()["desk"])
		},
		"deleting at a wrong revision is refused": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(3)...)
			_, err := store.tryDelete(stream, esdb.Revision(1))
			require.Error(t, err)
			_, err = store.tryDelete(stream, esdb.Revision(9))
			require.Error(t, err)
			_, err = store.tryTombstone(stream, esdb.Revision(9))
			require.Error(t, err)
			assert.Len(t, store.whole(stream), 3)
		},
		"deleting a missing stream is refused": func(t *testing.T) {
			store := s.store(t)
			_, err := store.tryDelete(newStream("order"), esdb.StreamExists{})
			require.Error(t, err)
		},
		"a tombstone ends a stream for ever": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			written := store.append(stream, esdb.NoStream{}, newEvents(3)...)
			result := store.tombstone(stream, esdb.Revision(2))
			assert.Greater(t, result.Position.Commit, written.CommitPosition)
			for _, expected := range []esdb.ExpectedRevision{esdb.Any{}, esdb.NoStream{}, esdb.StreamExists{}, esdb.Revision(2)} {
				_, err := store.try(stream, expected, newEvents(1)...)
				store.requireCode(esdb.ErrorCodeStreamDeleted, err)
			}
			_, err := store.tryRead(stream, esdb.ReadStreamOptions{}, 10)
			store.requireCode(esdb.ErrorCodeStreamDeleted, err)
			_, err = store.tryDelete(stream, esdb.Any{})
			store.requireCode(esdb.ErrorCodeStreamDeleted, err)
			_, err = store.tryTombstone(stream, esdb.Any{})
			store.requireCode(esdb.ErrorCodeStreamDeleted, err)
		},
		"a tombstone ends the subscriptions to its stream": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(1)...)
			follower := store.followStream(stream, esdb.Start{})
			caught, _ := follower.untilCaughtUp()
			require.Len(t, caught, 1)
			store.tombstone(stream, esdb.Any{})
			for {
				if event := follower.sub.Recv(); event.SubscriptionDropped != nil {
					require.ErrorContains(t, event.SubscriptionDropped.Error, "deleted")
					break
				}
			}
		},
		"all still has what was deleted, and the tombstone": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(2)...)
			begin := position(store.whole(stream)[0])
			store.tombstone(stream, esdb.Any{})
			own := of(stream, store.readAll(esdb.ReadAllOptions{From: begin}, 1<<30))
			require.Len(t, own, 3)
			assert.Equal(t, "$streamDeleted", own[2].Event.EventType)
		},
	}
}

func (s *suite) metadataCases() cases {
	return cases{
		"the newest metadata are the ones": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			for i := range uint64(3) {
				store.setMetadata(stream, func(m *esdb.StreamMetadata) { m.SetMaxCount(10 + i) })
			}
			metadata := store.getMetadata(stream)
			require.NotNil(t, metadata.MaxCount())
			assert.EqualValues(t, 12, *metadata.MaxCount())
			assert.Len(t, store.whole("$$"+stream), 1)
		},
		"metadata alone make a stream exist": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.setMetadata(stream, func(m *esdb.StreamMetadata) { m.SetMaxCount(10) })
			store.requireNotFound(stream)
			assert.Zero(t, store.append(stream, esdb.StreamExists{}, newEvents(1)...).NextExpectedVersion)
		},
		"max count shows the latest": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(10)
			store.append(stream, esdb.NoStream{}, events...)
			store.setMetadata(stream, func(m *esdb.StreamMetadata) { m.SetMaxCount(3) })
			want := proposedIDs(events[7:])
			assert.Equal(t, want, ids(store.whole(stream)))
			back := store.read(stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 100)
			assert.Equal(t, reversed(want), ids(back))
			more := newEvents(1)
			store.append(stream, esdb.Revision(9), more...)
			assert.Equal(t, append(want[1:], more[0].EventID), ids(store.whole(stream)))
		},
		"truncate before hides what is before": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(10)
			store.append(stream, esdb.NoStream{}, events...)
			store.setMetadata(stream, func(m *esdb.StreamMetadata) { m.SetTruncateBefore(6) })
			assert.Equal(t, proposedIDs(events[6:]), ids(store.whole(stream)))
			assert.Equal(t, proposedIDs(events[8:]), ids(store.read(stream, esdb.ReadStreamOptions{From: esdb.Revision(8)}, 10)))
			assert.Empty(t, store.read(stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.Revision(5)}, 10))
			caught, _ := store.followStream(stream, esdb.Start{}).untilCaughtUp()
			assert.Equal(t, proposedIDs(events[6:]), ids(caught))
		},
		"a stream with everything truncated is empty, not missing": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(3)...)
			store.setMetadata(stream, func(m *esdb.StreamMetadata) { m.SetTruncateBefore(100) })
			assert.Empty(t, store.whole(stream))
		},
		"max age lets young events through": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(3)
			store.append(stream, esdb.NoStream{}, events...)
			store.setMetadata(stream, func(m *esdb.StreamMetadata) { m.SetMaxAge(time.Hour) })
			assert.Equal(t, proposedIDs(events), ids(store.whole(stream)))
		},
	}
}

func (s *suite) linkCases() cases {
	link := func(target string, revision int) esdb.EventData {
		return esdb.EventData{EventID: uuid.New(), EventType: "$>", ContentType: esdb.ContentTypeBinary, Data: fmt.Appendf(nil, "%d@%s", revision, target)}
	}
	return cases{
		"a link is followed if that is asked for": func(t *testing.T) {
			store, stream, index := s.store(t), newStream("order"), newStream("index")
			events := newEvents(3)
			store.append(stream, esdb.NoStream{}, events...)
			links := []esdb.EventData{link(stream, 2), link(stream, 0)}
			store.append(index, esdb.NoStream{}, links...)
			assert.Equal(t, proposedIDs(links), ids(store.whole(index)))
			resolved := store.read(index, esdb.ReadStreamOptions{ResolveLinkTos: true}, 10)
			require.Len(t, resolved, 2)
			for i, revision := range []int{2, 0} {
				require.NotNil(t, resolved[i].Event)
				require.NotNil(t, resolved[i].Link)
				assert.Equal(t, events[revision].EventID, resolved[i].Event.EventID)
				assert.Equal(t, stream, resolved[i].Event.StreamID)
				assert.Equal(t, links[i].EventID, resolved[i].Link.EventID)
				require.NotNil(t, resolved[i].Commit)
				assert.Equal(t, resolved[i].Link.Position.Commit, *resolved[i].Commit)
			}
		},
		"a broken link has no event": func(t *testing.T) {
			store, stream, index := s.store(t), newStream("order"), newStream("index")
			store.append(stream, esdb.NoStream{}, newEvents(1)...)
			store.append(index, esdb.NoStream{}, link(newStream("nowhere"), 0), link(stream, 7), link(stream, 0))
			resolved := store.read(index, esdb.ReadStreamOptions{ResolveLinkTos: true}, 10)
			require.Len(t, resolved, 3)
			assert.Nil(t, resolved[0].Event)
			assert.NotNil(t, resolved[0].Link)
			assert.Nil(t, resolved[1].Event)
			assert.NotNil(t, resolved[2].Event)
		},
		"subscriptions follow links too": func(t *testing.T) {
			store, stream, index := s.store(t), newStream("order"), newStream("index")
			events := newEvents(1)
			store.append(stream, esdb.NoStream{}, events...)
			sub, err := store.client.SubscribeToStream(store.context(), index, esdb.SubscribeToStreamOptions{From: esdb.Start{}, ResolveLinkTos: true})
			follower := newFollower(t, sub, err)
			store.append(index, esdb.NoStream{}, link(stream, 0))
			got := follower.events(1, every)[0]
			require.NotNil(t, got.Event)
			assert.Equal(t, events[0].EventID, got.Event.EventID)
		},
	}
}
