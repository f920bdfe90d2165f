package views_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// Live readers that begin at different places while the log comes in see what is
// behind their place, each event once, in order.
func TestFollow_FromEverywhere(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(51, 300))
		account, trail := busiest(log, log)
		half := len(log) / 2
		order, _ := longestChain(t, log[:half]) // so that it has begun by then
		chain := positions(chainOf(t, log, order))
		now := log[half-1].Position

		set := openSet(t, r.Client, nil)
		zero, middle := domain.Position{}, trail[len(trail)/3]
		type expectation struct {
			reader *reading
			want   []domain.Position
		}
		readers := map[string]expectation{
			"owner, zero, before anything": {follow(t, set, account, &zero), trail},
			"owner, ahead of the view":     {follow(t, set, account, &middle), after(trail, middle)},
			"chain, zero, before anything": {followChain(t, set, order, &zero), chain},
			"chain, ahead of the view":     {followChain(t, set, order, &chain[1]), chain[2:]},
		}
		drive(t.Context(), t, set, log[:half], 1, never)
		readers["owner, from now"] = expectation{follow(t, set, account, nil), after(trail, now)}
		readers["owner, zero, half-way"] = expectation{follow(t, set, account, &zero), trail}
		if rest := after(chain, now); len(rest) > 0 {
			readers["chain, from now"] = expectation{followChain(t, set, order, nil), rest}
		}
		readers["chain, zero, half-way"] = expectation{followChain(t, set, order, &zero), chain}
		drive(t.Context(), t, set, log, 2, never)
		readers["owner, zero, at the end"] = expectation{follow(t, set, account, &zero), trail}
		readers["chain, middle, at the end"] = expectation{followChain(t, set, order, &chain[2]), chain[3:]}
		for name, e := range readers {
			require.NotEmpty(t, e.want, name)
			assert.Equal(t, e.want, e.reader.until(len(e.want)), name)
		}
	})
}

// longestChain is the order whose chain has most events, and their places.
func longestChain(t testing.TB, log []feed.Event) (string, []domain.Position) {
	t.Helper()
	var order string
	var longest []domain.Position
	for _, o := range ordersOf(log) {
		if chain := positions(chainOf(t, log, o)); len(chain) > len(longest) {
			order, longest = o, chain
		}
	}
	return order, longest
}

// A client that loses its connection again and again, and begins each time after
// the last event that it got, has seen every event once.
func TestFollow_ResumedOften(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(61, 400))
		account, trail := busiest(log, log)
		order, chain := longestChain(t, log)
		for name, c := range map[string]struct {
			open func(set *views.Set, after *domain.Position) *reading
			want []domain.Position
		}{
			"owner": {func(set *views.Set, after *domain.Position) *reading { return follow(t, set, account, after) }, trail},
			"chain": {func(set *views.Set, after *domain.Position) *reading { return followChain(t, set, order, after) }, chain},
		} {
			t.Run(name, func(t *testing.T) {
				r.Flush(t)
				set := openSet(t, r.Client, nil)
				var applying errgroup.Group
				applying.Go(func() error { drive(t.Context(), t, set, log, 3, never); return nil })
				random := rand.New(rand.NewPCG(9, 9))
				var got []domain.Position
				cursor := domain.Position{}
				for len(got) < len(c.want) {
					reader := c.open(set, &cursor)
					got = append(got, reader.until(min(1+random.IntN(3), len(c.want)-len(got)))...)
					reader.cancel()
					cursor = got[len(got)-1]
				}
				require.NoError(t, applying.Wait())
				assert.Equal(t, c.want, got)
				// From every place once more, now that everything is there.
				for i := range c.want {
					reader := c.open(set, &c.want[i])
					assert.Equal(t, c.want[i+1:], slices.Clip(append([]domain.Position{}, reader.until(len(c.want)-i-1)...)))
					reader.cancel()
				}
			})
		}
	})
}

// Redis came back empty, say after a restart. A reader with a cursor from before
// is not told again what it knows while the views catch up.
func TestFollow_ViewBehindTheCursor(t *testing.T) {
	// With a store: a reader may hold a place whose body the flush has taken.
	store, log := recorded(t, 71, 300)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		account, trail := busiest(log, log)
		order, chain := longestChain(t, log)
		set := openSet(t, r.Client, store)
		cursor, chainCursor := trail[len(trail)*2/3], chain[len(chain)/2]
		reader := follow(t, set, account, &cursor)
		chainReader := followChain(t, set, order, &chainCursor)
		drive(t.Context(), t, set, log[:len(log)/2], 1, never)
		// And once more, under the eyes of the readers.
		r.Flush(t)
		drive(t.Context(), t, set, log, 2, never)
		want, wantChain := after(trail, cursor), after(chain, chainCursor)
		assert.Equal(t, want, reader.until(len(want)))
		assert.Equal(t, wantChain, chainReader.until(len(wantChain)))
	})
}

// A slice with an event of the order and a linked one of another list is applied
// in the middle of a live reader's reading: it must not see the later one alone
// and go past the earlier.
func TestFollow_ChainReadWhileItGrows(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		at := time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC)
		event := func(e domain.Event) *domain.Event {
			e.OccurredAt, e.SchemaVersion = at, domain.SchemaVersion
			return &e
		}
		log := viewstest.Log([]*domain.Event{
			event(domain.Event{Type: domain.RecommendationGenerated, RecommendationID: "R"}),
			event(domain.Event{Type: domain.OrderSubmitted, OrderID: "O", RecommendationID: "R"}),
			event(domain.Event{Type: domain.OrderAccepted, OrderID: "O"}),
			event(domain.Event{Type: domain.RiskEvaluated, RecommendationID: "R"}),
		})
		writer := openSet(t, r.Client, nil)
		require.NoError(t, writer.Apply(t.Context(), viewstest.SliceOf(log, 0, 2)))
		client := r.Dial(t)
		hook := &onCommand{}
		viewstest.Hook(client, hook)
		set := replica(t, client, nil)
		var lists atomic.Int64
		hook.do("hget", func() {
			// Two lists are read twice: the first time shows what else to listen to.
			// Now the order's own has been read again, and that of R has not.
			if lists.Add(1) == 4 {
				assert.NoError(t, writer.Apply(t.Context(), viewstest.SliceOf(log, 2, 4)))
			}
		})
		reader := followChain(t, set, "O", &domain.Position{})
		first := slices.Clone(reader.until(2))
		assert.Equal(t, []domain.Position{log[0].Position, log[1].Position}, first)
		assert.Equal(t, []domain.Position{log[0].Position, log[1].Position, log[2].Position, log[3].Position}, reader.until(4))
		assert.GreaterOrEqual(t, lists.Load(), int64(4))
	})
}

// A trail that was tampered with shifts all places in it. A live reader that
// counts on them must look again after the rebuild.
func TestFollow_AcrossAMend(t *testing.T) {
	store, log := recorded(t, 8, 480)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, store)
		half := len(log) / 2
		account, trail := busiest(log, log)
		drive(t.Context(), t, set, log[:half], 1, never)
		set.ReadAnyway()
		seen := len(ownerTrails(log[:half])[account])
		key := keyOf(t, set, views.Accounts, "T:"+account)
		for range 5 {
			require.NoError(t, r.Client.LPush(t.Context(), key, r.Client.LIndex(t.Context(), key, 0).Val()).Err())
		}
		reader := follow(t, set, account, &domain.Position{})
		reader.until(seen)
		rebuilt, err := rebuild(t.Context(), t, set, views.Accounts)
		require.NoError(t, err)
		require.False(t, rebuilt.Equal())
		drive(t.Context(), t, set, log, 1, never)
		assert.Equal(t, trail, reader.until(len(trail)))
	})
}

// A live reader outlasts errors of Redis, and ends without one when it is told to.
func TestFollow_OutlastsFailures(t *testing.T) {
	log := viewstest.Log(viewstest.History(81, 100))
	account, trail := busiest(log, log)
	r := viewstest.InProcess(t)
	client := r.Dial(t)
	broken := &faulty{random: rand.New(rand.NewPCG(1, 1))}
	viewstest.Hook(client, broken)
	writer := openSet(t, r.Client, nil)
	set := replica(t, client, nil)
	reader := follow(t, set, account, &domain.Position{})
	broken.set(0.5)
	require.NoError(t, writer.Apply(t.Context(), viewstest.SliceOf(log, 0, len(log)/2)))
	broken.set(1)
	require.NoError(t, writer.Apply(t.Context(), viewstest.SliceOf(log, len(log)/2, len(log))))
	broken.set(0)
	assert.Equal(t, trail, reader.until(len(trail)))
}

// Who ends leaves nothing behind.
func TestFollow_StopsListening(t *testing.T) {
	set := openSet(t, viewstest.InProcess(t).Client, nil)
	readers := []*reading{follow(t, set, "ACC-1", nil), followChain(t, set, "ORD-1", nil)}
	require.Positive(t, set.Listeners())
	for _, r := range readers {
		r.cancel()
	}
	require.Eventually(t, func() bool { return set.Listeners() == 0 }, patience, time.Millisecond)
	_, err := set.FollowOwner(t.Context(), "weather", "x", nil)
	assert.Equal(t, domain.ClassNotFound, domain.ClassOf(err))
}

// However many follow a trail, one of them reads what comes: each event is read
// from Redis about once, not once for each of them.
func TestFollow_OneReadsForAll(t *testing.T) {
	log := viewstest.Log(viewstest.History(91, 300))
	account, trail := busiest(log, log)
	r := viewstest.InProcess(t)
	writer := openSet(t, r.Client, nil)
	client := r.Dial(t)
	counted := &pipelines{}
	viewstest.Hook(client, counted)
	set := replica(t, client, nil)
	const crowd = 50
	var readers []*reading
	for range crowd {
		readers = append(readers, follow(t, set, account, &domain.Position{}))
	}
	seen := 0
	for i := range log {
		require.NoError(t, writer.Apply(t.Context(), viewstest.SliceOf(log, i, i+1)))
		if slices.Contains(trail, log[i].Position) {
			seen++
			for _, reader := range readers { // all are at the same place
				reader.until(seen)
			}
		}
	}
	for _, reader := range readers {
		require.Equal(t, trail, reader.got)
	}
	// Each page is a round trip for the trail and one for the bodies. In vain are
	// looks at the end after news that is too old, and those of who just began.
	assert.Less(t, counted.trails.Load(), int64(4*len(trail)+3*crowd), "%d events for %d readers", len(trail), crowd)
}

// pipelines counts reads of windows of trails.
type pipelines struct{ trails atomic.Int64 }

func (p *pipelines) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (p *pipelines) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (p *pipelines) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if cmd.Name() == "lrange" {
				p.trails.Add(1)
			}
		}
		return next(ctx, cmds)
	}
}

// A trail is followed by some who are at its end, some who are far behind, and some
// who stop and come back, all of whom share what is read: nobody misses an event or
// gets one twice.
func TestFollow_SharedByFastAndSlow(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(93, 1500))
		account, trail := busiest(log, log)
		require.Greater(t, len(trail), 20)
		set := openSet(t, r.Client, nil)
		var applying, reading errgroup.Group
		applying.Go(func() error { drive(t.Context(), t, set, log, 5, never); return nil })
		for n := range 12 {
			cursor := domain.Position{}
			if n%3 == 1 {
				cursor = trail[len(trail)/2]
			}
			want := after(trail, cursor)
			reading.Go(func() error {
				var got []domain.Position
				random := rand.New(rand.NewPCG(uint64(n), 1))
				for len(got) < len(want) {
					reader := follow(t, set, account, &cursor)
					some := len(want) - len(got)
					if n%3 == 2 {
						some = min(some, 1+random.IntN(40))
					}
					got = append(got, reader.until(some)...)
					reader.cancel()
					cursor = got[len(got)-1]
				}
				if !slices.Equal(want, got) {
					return fmt.Errorf("reader %d: %d events are not its trail of %d", n, len(got), len(want))
				}
				return nil
			})
		}
		require.NoError(t, reading.Wait())
		require.NoError(t, applying.Wait())
	})
}

// The events of a type are followed like those of an owner.
func TestFollow_Type(t *testing.T) {
	log := viewstest.Log(viewstest.History(95, 200))
	var want []domain.Position
	for _, e := range log {
		if e.Event != nil && e.Type == domain.OrderFilled {
			want = append(want, e.Position)
		}
	}
	require.NotEmpty(t, want)
	set := openSet(t, viewstest.InProcess(t).Client, nil)
	reader := read(t, func(ctx context.Context) (iter.Seq2[domain.Located, error], error) {
		return set.FollowOwner(ctx, views.Search, string(domain.OrderFilled), nil)
	})
	drive(t.Context(), t, set, log, 1, never)
	assert.Equal(t, want, reader.until(len(want)))
}

// What a filter finds is followed from everywhere, while the log comes in.
func TestFollow_Found(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(96, 300))
		half := len(log) / 2
		var all, fills []domain.Position
		for _, e := range log {
			if e.Event == nil {
				continue
			}
			all = append(all, e.Position)
			if e.Type == domain.OrderFilled {
				fills = append(fills, e.Position)
			}
		}
		only := filter.Filter{Types: []string{string(domain.OrderFilled)}}
		now := log[half-1].Position
		set := openSet(t, r.Client, nil)
		found := func(f filter.Filter, after *domain.Position) *reading {
			return read(t, func(ctx context.Context) (iter.Seq2[domain.Located, error], error) {
				return set.FollowFound(ctx, f, after)
			})
		}
		zero := domain.Position{}
		everything := found(filter.Filter{}, &zero)
		drive(t.Context(), t, set, log[:half], 1, never)
		fromNow, resumed := found(only, nil), found(only, &fills[0])
		expression := found(filter.Filter{Expression: `event_type == "order.filled"`}, &zero)
		account, trail := busiest(log, log)
		owned := found(filter.Filter{Accounts: []string{account}}, &zero)
		several := found(filter.Filter{Accounts: []string{account, "nobody"}}, &zero)
		drive(t.Context(), t, set, log, 2, never)
		for name, e := range map[string]struct {
			reader *reading
			want   []domain.Position
		}{
			"all, from the beginning":   {everything, all},
			"fills, from now":           {fromNow, after(fills, now)},
			"fills, resumed":            {resumed, fills[1:]},
			"fills, by an expression":   {expression, fills},
			"an account":                {owned, trail},
			"of several accounts":       {several, trail},
			"all, at the end, from now": {found(filter.Filter{}, &all[len(all)-2]), all[len(all)-1:]},
		} {
			require.NotEmpty(t, e.want, name)
			assert.Equal(t, e.want, e.reader.until(len(e.want)), name)
		}
	})
}

func TestFollow_FoundRefuses(t *testing.T) {
	set := openSet(t, viewstest.InProcess(t).Client, nil)
	_, err := set.FollowFound(t.Context(), filter.Filter{Expression: "price >"}, nil)
	assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
}
