package eventstoretest

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (s *suite) readCases() cases {
	return cases{
		"a missing stream is not found": func(t *testing.T) {
			store := s.store(t)
			_, err := store.tryRead(newStream("order"), esdb.ReadStreamOptions{}, 10)
			store.requireCode(esdb.ErrorCodeResourceNotFound, err)
		},
		"forwards from the start, from a revision, and up to a count": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(20)
			store.append(stream, esdb.NoStream{}, events...)
			want := proposedIDs(events)
			assert.Equal(t, want, ids(store.whole(stream)))
			assert.Equal(t, want[:7], ids(store.read(stream, esdb.ReadStreamOptions{From: esdb.Start{}}, 7)))
			assert.Equal(t, want[5:8], ids(store.read(stream, esdb.ReadStreamOptions{From: esdb.Revision(5)}, 3)))
			assert.Equal(t, want[19:], ids(store.read(stream, esdb.ReadStreamOptions{From: esdb.Revision(19)}, 10)))
		},
		"beyond the end there is nothing": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(3)...)
			assert.Empty(t, store.read(stream, esdb.ReadStreamOptions{From: esdb.Revision(3)}, 10))
			assert.Empty(t, store.read(stream, esdb.ReadStreamOptions{From: esdb.Revision(300)}, 10))
			assert.Empty(t, store.read(stream, esdb.ReadStreamOptions{From: esdb.End{}}, 10))
		},
		"backwards from the end, from a revision, and up to a count": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(20)
			store.append(stream, esdb.NoStream{}, events...)
			want := reversed(proposedIDs(events))
			backwards := func(from esdb.StreamPosition, count uint64) []*esdb.ResolvedEvent {
				return store.read(stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: from}, count)
			}
			assert.Equal(t, want, ids(backwards(esdb.End{}, 100)))
			assert.Equal(t, want[:1], ids(backwards(esdb.End{}, 1)))
			assert.Equal(t, want[14:], ids(backwards(esdb.Revision(5), 100)))
			assert.Equal(t, want[14:16], ids(backwards(esdb.Revision(5), 2)))
			assert.Equal(t, want[19:], ids(backwards(esdb.Start{}, 100)))
			assert.Equal(t, want, ids(backwards(esdb.Revision(500), 100)))
		},
		"long streams are read whole, both ways": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			var events []esdb.EventData
			for range 3 {
				more := newEvents(700)
				events = append(events, more...)
				store.append(stream, esdb.Any{}, more...)
			}
			want := proposedIDs(events)
			assert.Equal(t, want, ids(store.whole(stream)))
			back := store.read(stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1<<40)
			assert.Equal(t, reversed(want), ids(back))
			part := store.read(stream, esdb.ReadStreamOptions{From: esdb.Revision(100)}, 1500)
			assert.Equal(t, want[100:1600], ids(part))
		},
		"a stream whose name begins another's is another stream": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(2)...)
			store.append(stream+"-2", esdb.NoStream{}, newEvents(3)...)
			assert.Len(t, store.whole(stream), 2)
			assert.Len(t, store.whole(stream+"-2"), 3)
		},
	}
}

func (s *suite) allCases() cases {
	return cases{
		"all has the events in the order of their positions": func(t *testing.T) {
			store, one, two := s.store(t), newStream("order"), newStream("order")
			store.append(one, esdb.NoStream{}, newEvents(1)...)
			begin := position(store.whole(one)[0])
			for range 5 {
				store.append(two, esdb.Any{}, newEvents(2)...)
				store.append(one, esdb.Any{}, newEvents(1)...)
			}
			all := store.readAll(esdb.ReadAllOptions{From: begin}, 1<<30)
			for i := 1; i < len(all); i++ {
				require.Greater(t, position(all[i]).Commit, position(all[i-1]).Commit)
			}
			assert.Equal(t, ids(store.whole(one)), ids(of(one, all)))
			assert.Equal(t, ids(store.whole(two)), ids(of(two, all)))
		},
		"forwards a position is included, backwards it is not": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(5)...)
			events := store.whole(stream)
			middle := events[2]
			forwards := store.readAll(esdb.ReadAllOptions{From: position(middle)}, 1)
			require.Len(t, forwards, 1)
			assert.Equal(t, middle.Event.EventID, forwards[0].Event.EventID)
			backwards := store.readAll(esdb.ReadAllOptions{Direction: esdb.Backwards, From: position(middle)}, 1)
			require.Len(t, backwards, 1)
			assert.Equal(t, events[1].Event.EventID, backwards[0].Event.EventID)
		},
		"backwards is forwards reversed": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			for range 20 {
				store.append(stream, esdb.Any{}, newEvents(30)...)
			}
			events := store.whole(stream)
			first, last := position(events[0]), position(events[len(events)-1])
			forwards := store.readAll(esdb.ReadAllOptions{From: first}, 1<<30)
			for i, e := range forwards {
				if position(e) == last {
					forwards = forwards[:i]
					break
				}
			}
			backwards := store.readAll(esdb.ReadAllOptions{Direction: esdb.Backwards, From: last}, uint64(len(forwards)))
			assert.Equal(t, reversed(ids(forwards)), ids(backwards))
		},
		"the first event has a position greater than zero": func(t *testing.T) {
			store := s.store(t)
			store.append(newStream("order"), esdb.NoStream{}, newEvents(1)...)
			first := store.readAll(esdb.ReadAllOptions{From: esdb.Start{}}, 1)
			require.Len(t, first, 1)
			assert.Positive(t, position(first[0]).Commit)
			assert.Empty(t, store.readAll(esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.Start{}}, 5))
		},
		"from the end there is nothing forwards and the latest backwards": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			written := store.append(stream, esdb.NoStream{}, newEvents(1)...)
			assert.Empty(t, store.readAll(esdb.ReadAllOptions{From: esdb.End{}}, 5))
			latest := store.readAll(esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
			require.Len(t, latest, 1)
			assert.GreaterOrEqual(t, position(latest[0]).Commit, written.CommitPosition)
		},
		"a position that is no event's is refused": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			written := store.append(stream, esdb.NoStream{}, newEvents(1)...)
			off := esdb.Position{Commit: written.CommitPosition + 1, Prepare: written.CommitPosition + 1}
			store.append(stream, esdb.Any{}, newEvents(1)...)
			_, err := store.tryReadAll(esdb.ReadAllOptions{From: off}, 1)
			require.Error(t, err)
		},
	}
}
