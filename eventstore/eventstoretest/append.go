package eventstoretest

import (
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (s *suite) appendCases() cases {
	return cases{
		"no stream begins a stream": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			result := store.append(stream, esdb.NoStream{}, newEvents(1)...)
			assert.Zero(t, result.NextExpectedVersion)
			assert.Positive(t, result.CommitPosition)
			assert.Equal(t, result.CommitPosition, result.PreparePosition)
		},
		"no stream refuses an existing stream": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(1)...)
			_, err := store.try(stream, esdb.NoStream{}, newEvents(1)...)
			store.requireCode(esdb.ErrorCodeWrongExpectedVersion, err)
			assert.Contains(t, err.Error(), "expecting 'no_stream' but got '0'")
			assert.Len(t, store.whole(stream), 1)
		},
		"a revision continues the stream": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			first := store.append(stream, esdb.NoStream{}, newEvents(3)...)
			second := store.append(stream, esdb.Revision(2), newEvents(2)...)
			assert.EqualValues(t, 2, first.NextExpectedVersion)
			assert.EqualValues(t, 4, second.NextExpectedVersion)
			assert.Greater(t, second.CommitPosition, first.CommitPosition)
		},
		"a past or future revision is refused": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(3)...)
			_, err := store.try(stream, esdb.Revision(1), newEvents(1)...)
			store.requireCode(esdb.ErrorCodeWrongExpectedVersion, err)
			assert.Contains(t, err.Error(), "expecting '1' but got '2'")
			_, err = store.try(stream, esdb.Revision(3), newEvents(1)...)
			store.requireCode(esdb.ErrorCodeWrongExpectedVersion, err)
			assert.Contains(t, err.Error(), "expecting '3' but got '2'")
			assert.Len(t, store.whole(stream), 3)
		},
		"a revision of a missing stream is refused": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			_, err := store.try(stream, esdb.Revision(0), newEvents(1)...)
			store.requireCode(esdb.ErrorCodeWrongExpectedVersion, err)
			assert.Contains(t, err.Error(), "expecting '0' but got 'no_stream'")
		},
		"any takes both": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			assert.Zero(t, store.append(stream, esdb.Any{}, newEvents(1)...).NextExpectedVersion)
			assert.EqualValues(t, 1, store.append(stream, esdb.Any{}, newEvents(1)...).NextExpectedVersion)
		},
		"stream exists needs a stream": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			_, err := store.try(stream, esdb.StreamExists{}, newEvents(1)...)
			store.requireCode(esdb.ErrorCodeWrongExpectedVersion, err)
			assert.Contains(t, err.Error(), "expecting 'stream_exists' but got 'no_stream'")
			store.append(stream, esdb.NoStream{}, newEvents(1)...)
			assert.EqualValues(t, 1, store.append(stream, esdb.StreamExists{}, newEvents(1)...).NextExpectedVersion)
		},
		"an event comes back as it was written": func(t *testing.T) {
			store, stream := s.store(t), newStream("order-ünïcode")
			json := newEvents(1)[0]
			binary := esdb.EventData{EventID: uuid.New(), EventType: "raw", ContentType: esdb.ContentTypeBinary, Data: []byte{0, 1, 2, 255}}
			empty := esdb.EventData{EventID: uuid.New(), EventType: "empty"}
			result := store.append(stream, esdb.NoStream{}, json, binary, empty)
			events := store.whole(stream)
			require.Len(t, events, 3)
			for i, want := range []esdb.EventData{json, binary, empty} {
				got := events[i].Event
				assert.Equal(t, want.EventID, got.EventID)
				assert.Equal(t, want.EventType, got.EventType)
				assert.Equal(t, stream, got.StreamID)
				assert.Equal(t, string(want.Data), string(got.Data))
				assert.Equal(t, string(want.Metadata), string(got.UserMetadata))
				assert.EqualValues(t, i, got.EventNumber)
				assert.Nil(t, events[i].Link)
				require.NotNil(t, events[i].Commit)
				assert.Equal(t, got.Position.Commit, *events[i].Commit)
			}
			assert.Equal(t, "application/json", events[0].Event.ContentType)
			assert.Equal(t, "application/octet-stream", events[1].Event.ContentType)
			assert.Equal(t, result.CommitPosition, events[2].Event.Position.Commit)
			assert.Equal(t, result.PreparePosition, events[2].Event.Position.Prepare)
		},
		"created never goes back": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			for range 5 {
				store.append(stream, esdb.Any{}, newEvents(2)...)
			}
			var before time.Time
			for _, e := range store.whole(stream) {
				assert.False(t, e.Event.CreatedDate.Before(before))
				before = e.Event.CreatedDate
			}
			assert.Greater(t, before.Year(), 2000)
		},
		"a thousand events at once keep their order": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(1000)
			assert.EqualValues(t, 999, store.append(stream, esdb.NoStream{}, events...).NextExpectedVersion)
			read := store.whole(stream)
			assert.Equal(t, proposedIDs(events), ids(read))
			for i := 1; i < len(read); i++ {
				require.Greater(t, position(read[i]).Commit, position(read[i-1]).Commit)
			}
		},
		"a refused append writes none of its events": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			first := newEvents(2)
			store.append(stream, esdb.NoStream{}, first...)
			store.requireWrongVersion(stream, esdb.Revision(7), newEvents(5)...)
			assert.Equal(t, proposedIDs(first), ids(store.whole(stream)))
		},
		"an event may be as large as the limit": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			event := newEvents(1)[0]
			room := s.traits.MaxAppendSize - len(event.Metadata) - 2*len(event.EventType)
			event.Data = []byte(`"` + strings.Repeat("x", room-2) + `"`)
			store.append(stream, esdb.NoStream{}, event)
			read := store.whole(stream)
			require.Len(t, read, 1)
			assert.Equal(t, event.Data, read[0].Event.Data)
		},
		"an append beyond the limit is refused": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			event := newEvents(1)[0]
			event.Data = []byte(strings.Repeat("x", s.traits.MaxAppendSize))
			_, err := store.try(stream, esdb.NoStream{}, event)
			require.Error(t, err)
			_, err = store.tryRead(stream, esdb.ReadStreamOptions{}, 1)
			store.requireCode(esdb.ErrorCodeResourceNotFound, err)
		},
		"an event without a type is refused": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			event := newEvents(1)[0]
			event.EventType = ""
			_, err := store.try(stream, esdb.NoStream{}, event)
			require.Error(t, err)
			_, err = store.tryRead(stream, esdb.ReadStreamOptions{}, 1)
			store.requireCode(esdb.ErrorCodeResourceNotFound, err)
		},
	}
}

// repeatCases: whoever doesn't know whether an append arrived sends it again.
func (s *suite) repeatCases() cases {
	return cases{
		"no stream with the same ids is the same append": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(3)
			first := store.append(stream, esdb.NoStream{}, events...)
			assert.Equal(t, first, store.append(stream, esdb.NoStream{}, events...))
			assert.Len(t, store.whole(stream), 3)
		},
		"a revision with the same ids is the same append, even later": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(2)...)
			events := newEvents(2)
			first := store.append(stream, esdb.Revision(1), events...)
			store.append(stream, esdb.Revision(3), newEvents(4)...)
			assert.Equal(t, first, store.append(stream, esdb.Revision(1), events...))
			assert.Len(t, store.whole(stream), 8)
		},
		"the beginning of an earlier append is a repetition": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(3)
			store.append(stream, esdb.NoStream{}, events...)
			assert.EqualValues(t, 1, store.append(stream, esdb.NoStream{}, events[:2]...).NextExpectedVersion)
			assert.Len(t, store.whole(stream), 3)
		},
		"an append that is partly known is refused": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(2)
			store.append(stream, esdb.NoStream{}, events...)
			store.requireWrongVersion(stream, esdb.NoStream{}, append(events[:1:1], newEvents(1)...)...)
			store.requireWrongVersion(stream, esdb.NoStream{}, append(events[:2:2], newEvents(1)...)...)
			store.requireWrongVersion(stream, esdb.Any{}, append(events[:2:2], newEvents(1)...)...)
			assert.Len(t, store.whole(stream), 2)
		},
		"any with the same ids is the same append": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(2)
			first := store.append(stream, esdb.Any{}, events...)
			store.append(stream, esdb.Any{}, newEvents(1)...)
			assert.Equal(t, first, store.append(stream, esdb.Any{}, events...))
			assert.Equal(t, first, store.append(stream, esdb.StreamExists{}, events...))
			assert.Len(t, store.whole(stream), 3)
		},
		"at the right revision an id may be used again": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(1)
			store.append(stream, esdb.NoStream{}, events...)
			assert.EqualValues(t, 1, store.append(stream, esdb.Revision(0), events...).NextExpectedVersion)
			assert.Len(t, store.whole(stream), 2)
		},
		"the same ids in another stream are another append": func(t *testing.T) {
			store, events := s.store(t), newEvents(2)
			one, two := newStream("order"), newStream("order")
			store.append(one, esdb.Any{}, events...)
			store.append(two, esdb.Any{}, events...)
			assert.Len(t, store.whole(two), 2)
		},
	}
}
