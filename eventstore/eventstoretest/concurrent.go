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

const (
	writers         = 8
	appendsByWriter = 25
)

func (s *suite) concurrentCases() cases {
	return cases{
		"writers of one stream with any don't lose each other's events": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			var mu sync.Mutex
			revisions := make(map[uint64]uuid.UUID)
			var g errgroup.Group
			for range writers {
				g.Go(func() error {
					for range appendsByWriter {
						event := newEvents(1)[0]
						result, err := store.try(stream, esdb.Any{}, event)
						if err != nil {
							return err
						}
						mu.Lock()
						revisions[result.NextExpectedVersion] = event.EventID
						mu.Unlock()
					}
					return nil
				})
			}
			require.NoError(t, g.Wait())
			read := store.whole(stream)
			assert.Len(t, read, writers*appendsByWriter)
			for i, e := range read {
				assert.Equal(t, revisions[uint64(i)], e.Event.EventID)
			}
		},
		"of writers at one revision exactly one wins": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			const rounds = 10
			for round := range uint64(rounds) {
				var expected esdb.ExpectedRevision = esdb.NoStream{}
				if round > 0 {
					expected = esdb.Revision(round - 1)
				}
				var mu sync.Mutex
				won := 0
				var g errgroup.Group
				for range writers {
					g.Go(func() error {
						_, err := store.try(stream, expected, newEvents(1)...)
						var coded *esdb.Error
						if errors.As(err, &coded) && coded.Code() == esdb.ErrorCodeWrongExpectedVersion {
							return nil
						}
						if err == nil {
							mu.Lock()
							won++
							mu.Unlock()
						}
						return err
					})
				}
				require.NoError(t, g.Wait())
				assert.Equal(t, 1, won, "round %d", round)
			}
			assert.Len(t, store.whole(stream), rounds)
		},
		"writers of many streams don't disturb each other": func(t *testing.T) {
			store := s.store(t)
			streams := make([]string, writers)
			var g errgroup.Group
			for i := range streams {
				stream := newStream("order")
				streams[i] = stream
				g.Go(func() error {
					var expected esdb.ExpectedRevision = esdb.NoStream{}
					for range appendsByWriter {
						result, err := store.try(stream, expected, newEvents(2)...)
						if err != nil {
							return err
						}
						expected = esdb.Revision(result.NextExpectedVersion)
					}
					return nil
				})
			}
			require.NoError(t, g.Wait())
			for _, stream := range streams {
				assert.Len(t, store.whole(stream), 2*appendsByWriter)
			}
		},
	}
}
