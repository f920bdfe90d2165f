package eventstoretest

import (
	"errors"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

func (s *suite) restartCases() cases {
	return cases{
		"what was written is read as before": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(10)...)
			before := store.whole(stream)
			require.NoError(t, store.client.Close())
			s.traits.Restart(t)
			store = s.store(t)
			assert.Equal(t, before, store.whole(stream))
			all := store.readAll(esdb.ReadAllOptions{From: position(before[0])}, 10)
			assert.Equal(t, ids(before), ids(all))
			assert.EqualValues(t, 10, store.append(stream, esdb.Revision(9), newEvents(1)...).NextExpectedVersion)
			assert.Greater(t, position(store.whole(stream)[10]).Commit, position(before[9]).Commit)
		},
		"a repeated append is recognised": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			begin, more := newEvents(2), newEvents(2)
			first := store.append(stream, esdb.NoStream{}, begin...)
			second := store.append(stream, esdb.Revision(1), more...)
			require.NoError(t, store.client.Close())
			s.traits.Restart(t)
			store = s.store(t)
			assert.Equal(t, second, store.append(stream, esdb.Revision(1), more...))
			assert.Equal(t, first, store.append(stream, esdb.NoStream{}, begin...))
			assert.Len(t, store.whole(stream), 4)
		},
		"a subscription resumes where it was": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			old, fresh := newEvents(3), newEvents(3)
			store.append(stream, esdb.NoStream{}, old...)
			cursor := position(store.whole(stream)[1])
			require.NoError(t, store.client.Close())
			s.traits.Restart(t)
			store = s.store(t)
			follower := store.followAll(esdb.SubscribeToAllOptions{From: cursor})
			store.append(stream, esdb.Revision(2), fresh...)
			want := append(proposedIDs(old[2:]), proposedIDs(fresh)...)
			assert.Equal(t, want, ids(follower.events(4, from(stream))))
		},
		"writers who repeat what they are not sure of write everything once": func(t *testing.T) {
			// Each writer has a client of its own, gives it up at the first
			// doubt and sends the same append through a new one.
			const each = 60
			half := make(chan struct{}, writers)
			var mu sync.Mutex
			written := make(map[string][]uuid.UUID)
			var g errgroup.Group
			for range writers {
				stream := newStream("order")
				g.Go(func() error {
					store := s.store(t)
					defer func() { assert.NoError(t, store.client.Close()) }()
					for i := range uint64(each) {
						if i == each/2 {
							half <- struct{}{}
						}
						var expected esdb.ExpectedRevision = esdb.NoStream{}
						if i > 0 {
							expected = esdb.Revision(i - 1)
						}
						event := newEvents(1)[0]
						_, err := store.try(stream, expected, event)
						for err != nil && t.Context().Err() == nil {
							var coded *esdb.Error
							if errors.As(err, &coded) && coded.Code() == esdb.ErrorCodeWrongExpectedVersion {
								return err
							}
							if err := store.client.Close(); err != nil {
								return err
							}
							store = s.store(t)
							_, err = store.try(stream, expected, event)
						}
						mu.Lock()
						written[stream] = append(written[stream], event.EventID)
						mu.Unlock()
					}
					return nil
				})
			}
			<-half
			s.traits.Restart(t)
			require.NoError(t, g.Wait())
			store := s.store(t)
			assert.Len(t, written, writers)
			for stream, want := range written {
				assert.Len(t, want, each)
				assert.Equal(t, want, ids(store.whole(stream)))
			}
		},
	}
}
