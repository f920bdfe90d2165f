package eventstoretest

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// follower is a subscription in the hands of one test.
type follower struct {
	t   *testing.T
	sub *esdb.Subscription
}

func (s *store) followStream(stream string, from esdb.StreamPosition) *follower {
	s.t.Helper()
	sub, err := s.client.SubscribeToStream(s.context(), stream, esdb.SubscribeToStreamOptions{From: from})
	return newFollower(s.t, sub, err)
}

func (s *store) followAll(opts esdb.SubscribeToAllOptions) *follower {
	s.t.Helper()
	sub, err := s.client.SubscribeToAll(s.context(), opts)
	return newFollower(s.t, sub, err)
}

func newFollower(t *testing.T, sub *esdb.Subscription, err error) *follower {
	t.Helper()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, sub.Close()) })
	return &follower{t: t, sub: sub}
}

// next is whatever comes next; a subscription that ends fails the test.
func (f *follower) next() *esdb.SubscriptionEvent {
	f.t.Helper()
	event := f.sub.Recv()
	if event.SubscriptionDropped != nil {
		require.NoError(f.t, event.SubscriptionDropped.Error)
	}
	return event
}

// events takes the next n events that keep wants, whatever else comes between.
func (f *follower) events(n int, keep func(*esdb.ResolvedEvent) bool) []*esdb.ResolvedEvent {
	f.t.Helper()
	var events []*esdb.ResolvedEvent
	for len(events) < n {
		if e := f.next().EventAppeared; e != nil && keep(e) {
			events = append(events, e)
		}
	}
	return events
}

// untilCaughtUp takes everything up to the caught-up notice.
func (f *follower) untilCaughtUp() (events []*esdb.ResolvedEvent, checkpoints []esdb.Position) {
	f.t.Helper()
	for {
		event := f.next()
		switch {
		case event.EventAppeared != nil:
			events = append(events, event.EventAppeared)
		case event.CheckPointReached != nil:
			checkpoints = append(checkpoints, *event.CheckPointReached)
		case event.CaughtUp != nil:
			return events, checkpoints
		}
	}
}

func every(*esdb.ResolvedEvent) bool { return true }

func from(stream string) func(*esdb.ResolvedEvent) bool {
	return func(e *esdb.ResolvedEvent) bool { return e.OriginalEvent().StreamID == stream }
}

func (s *suite) subscribeCases() cases {
	return cases{
		"a stream from the start: all, then caught up, then what is new": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			old := newEvents(5)
			store.append(stream, esdb.NoStream{}, old...)
			follower := store.followStream(stream, esdb.Start{})
			caught, _ := follower.untilCaughtUp()
			assert.Equal(t, proposedIDs(old), ids(caught))
			fresh := newEvents(3)
			store.append(stream, esdb.Revision(4), fresh...)
			assert.Equal(t, proposedIDs(fresh), ids(follower.events(3, every)))
		},
		"a stream from the end: caught up at once, then what is new": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(5)...)
			follower := store.followStream(stream, esdb.End{})
			caught, _ := follower.untilCaughtUp()
			assert.Empty(t, caught)
			fresh := newEvents(3)
			store.append(stream, esdb.Revision(4), fresh...)
			assert.Equal(t, proposedIDs(fresh), ids(follower.events(3, every)))
		},
		"a stream from a revision begins after it": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			events := newEvents(5)
			store.append(stream, esdb.NoStream{}, events...)
			follower := store.followStream(stream, esdb.Revision(2))
			caught, _ := follower.untilCaughtUp()
			assert.Equal(t, proposedIDs(events[3:]), ids(caught))
		},
		"a stream that doesn't exist yet": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			follower := store.followStream(stream, esdb.Start{})
			caught, _ := follower.untilCaughtUp()
			assert.Empty(t, caught)
			events := newEvents(4)
			store.append(stream, esdb.NoStream{}, events...)
			assert.Equal(t, proposedIDs(events), ids(follower.events(4, every)))
		},
		"all from the start has every event, in order": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			written := newEvents(50)
			store.append(stream, esdb.NoStream{}, written...)
			follower := store.followAll(esdb.SubscribeToAllOptions{From: esdb.Start{}})
			caught, checkpoints := follower.untilCaughtUp()
			assert.Empty(t, checkpoints, "only filtered subscriptions have checkpoints")
			for i := 1; i < len(caught); i++ {
				require.Greater(t, position(caught[i]).Commit, position(caught[i-1]).Commit)
			}
			assert.Equal(t, proposedIDs(written), ids(of(stream, caught)))
			fresh := newEvents(2)
			store.append(stream, esdb.Revision(49), fresh...)
			assert.Equal(t, proposedIDs(fresh), ids(follower.events(2, from(stream))))
		},
		"all from a position begins after it": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			written := newEvents(5)
			store.append(stream, esdb.NoStream{}, written...)
			middle := position(store.whole(stream)[2])
			follower := store.followAll(esdb.SubscribeToAllOptions{From: middle})
			first := follower.events(1, every)
			assert.Equal(t, written[3].EventID, first[0].Event.EventID)
		},
		"all from the end has only what is new": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			store.append(stream, esdb.NoStream{}, newEvents(5)...)
			follower := store.followAll(esdb.SubscribeToAllOptions{From: esdb.End{}})
			fresh := newEvents(2)
			store.append(stream, esdb.Revision(4), fresh...)
			assert.Equal(t, proposedIDs(fresh), ids(follower.events(2, from(stream))))
		},
		"who resumes after each event misses none and repeats none": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			written := newEvents(6)
			store.append(stream, esdb.NoStream{}, written[0])
			store.append(stream, esdb.Revision(0), written[1:]...)
			cursor := position(store.whole(stream)[0])
			seen := []uuid.UUID{written[0].EventID}
			for len(seen) < len(written) {
				sub, err := store.client.SubscribeToAll(store.context(), esdb.SubscribeToAllOptions{From: cursor})
				one := newFollower(t, sub, err).events(1, every)[0]
				require.NoError(t, sub.Close())
				cursor = position(one)
				if one.Event.StreamID == stream {
					seen = append(seen, one.Event.EventID)
				}
			}
			assert.Equal(t, proposedIDs(written), seen)
		},
		"a subscriber that doesn't read for a while misses nothing": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			follower := store.followStream(stream, esdb.Start{})
			var want []uuid.UUID
			for range 20 {
				batch := newEvents(100)
				for i := range batch {
					batch[i].Data = []byte(`"` + strings.Repeat("x", 2000) + `"`)
				}
				want = append(want, proposedIDs(batch)...)
				store.append(stream, esdb.Any{}, batch...)
			}
			assert.Equal(t, want, ids(follower.events(len(want), every)))
		},
		"subscribers see what concurrent writers write, once and in order": func(t *testing.T) {
			store := s.store(t)
			kind := "order" + strings.ReplaceAll(uuid.NewString(), "-", "")
			filter := &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{kind}}
			follower := store.followAll(esdb.SubscribeToAllOptions{From: esdb.End{}, Filter: filter})
			follower.untilCaughtUp()
			var g errgroup.Group
			for range writers {
				stream := newStream(kind)
				g.Go(func() error {
					for range appendsByWriter {
						if _, err := store.try(stream, esdb.Any{}, newEvents(1)...); err != nil {
							return err
						}
					}
					return nil
				})
			}
			seen := follower.events(writers*appendsByWriter, every)
			require.NoError(t, g.Wait())
			next := make(map[string]uint64)
			for i, e := range seen {
				assert.Equal(t, next[e.Event.StreamID], e.Event.EventNumber)
				next[e.Event.StreamID]++
				if i > 0 {
					require.Greater(t, position(e).Commit, position(seen[i-1]).Commit)
				}
			}
			assert.Len(t, next, writers)
		},
	}
}

func (s *suite) filterCases() cases {
	// matching appends events that a filter selects, and as many that it doesn't.
	matching := func(store *store, kind, eventType string) []uuid.UUID {
		var want []uuid.UUID
		for range 10 {
			events := typed(eventType+".accepted", newEvents(2))
			store.append(newStream(kind), esdb.NoStream{}, events...)
			store.append(newStream("other"), esdb.NoStream{}, newEvents(2)...)
			want = append(want, proposedIDs(events)...)
		}
		return want
	}
	unique := func() string { return "k" + strings.ReplaceAll(uuid.NewString(), "-", "") }
	selects := func(filter func(kind, eventType string) *esdb.SubscriptionFilter) func(t *testing.T) {
		return func(t *testing.T) {
			store, kind, eventType := s.store(t), unique(), unique()
			want := matching(store, kind, eventType)
			follower := store.followAll(esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: filter(kind, eventType)})
			caught, checkpoints := follower.untilCaughtUp()
			assert.Equal(t, want, ids(caught))
			assert.NotEmpty(t, checkpoints)
			fresh := matching(store, kind, eventType)
			assert.Equal(t, fresh, ids(follower.events(len(fresh), every)))
		}
	}
	return cases{
		"by prefixes of the stream": selects(func(kind, _ string) *esdb.SubscriptionFilter {
			return &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"nothing", kind + "-"}}
		}),
		"by an expression on the stream": selects(func(kind, _ string) *esdb.SubscriptionFilter {
			return &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "^" + kind + "-[0-9a-f-]+$"}
		}),
		"by prefixes of the type": selects(func(_, eventType string) *esdb.SubscriptionFilter {
			return &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{eventType, "nothing"}}
		}),
		"by an expression on the type": selects(func(_, eventType string) *esdb.SubscriptionFilter {
			return &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: eventType + `\.acc`}
		}),
		"without the store's own events": func(t *testing.T) {
			store, stream := s.store(t), newStream("order")
			_, err := store.client.SetStreamMetadata(store.context(), stream,
				esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, esdb.StreamMetadata{})
			require.NoError(t, err)
			store.append(stream, esdb.NoStream{}, newEvents(1)...)
			follower := store.followAll(esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: esdb.ExcludeSystemEventsFilter()})
			caught, _ := follower.untilCaughtUp()
			require.Len(t, of(stream, caught), 1)
			for _, e := range caught {
				assert.False(t, strings.HasPrefix(e.Event.EventType, "$"), e.Event.EventType)
			}
		},
		"checkpoints tell how far was searched, and can be resumed from": func(t *testing.T) {
			store, kind := s.store(t), unique()
			begin := store.append(newStream("other"), esdb.NoStream{}, newEvents(1)...)
			store.append(newStream("other"), esdb.NoStream{}, newEvents(64)...)
			opts := esdb.SubscribeToAllOptions{
				From:               esdb.Position{Commit: begin.CommitPosition, Prepare: begin.PreparePosition},
				Filter:             &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{kind}},
				MaxSearchWindow:    4,
				CheckpointInterval: 2,
			}
			caught, checkpoints := store.followAll(opts).untilCaughtUp()
			assert.Empty(t, caught)
			assert.GreaterOrEqual(t, len(checkpoints), 64/8)
			for i, c := range checkpoints {
				assert.Greater(t, c.Commit, begin.CommitPosition)
				if i > 0 {
					assert.GreaterOrEqual(t, c.Commit, checkpoints[i-1].Commit)
				}
			}
			written := newEvents(3)
			store.append(newStream(kind), esdb.NoStream{}, written...)
			opts.From = checkpoints[len(checkpoints)-1]
			assert.Equal(t, proposedIDs(written), ids(store.followAll(opts).events(3, every)))
		},
		"checkpoints also come while live": func(t *testing.T) {
			store := s.store(t)
			follower := store.followAll(esdb.SubscribeToAllOptions{
				From:            esdb.End{},
				Filter:          &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{unique()}},
				MaxSearchWindow: 2, CheckpointInterval: 2,
			})
			follower.untilCaughtUp()
			written := store.append(newStream("other"), esdb.NoStream{}, newEvents(20)...)
			for {
				if c := follower.next().CheckPointReached; c != nil && c.Commit > written.CommitPosition-1 {
					break
				}
				store.append(newStream("other"), esdb.NoStream{}, newEvents(4)...)
			}
		},
		"an expression that can't be read is refused": func(t *testing.T) {
			store := s.store(t)
			_, err := store.client.SubscribeToAll(store.context(), esdb.SubscribeToAllOptions{
				From:   esdb.Start{},
				Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "("},
			})
			require.Error(t, err)
		},
	}
}
