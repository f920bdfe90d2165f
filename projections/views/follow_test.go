package views_test

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
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
		var lists atomic.Int64
		viewstest.Hook(client, onRead{views.Chains, func() {
			// Two lists are read twice: the first time shows what else to listen to.
			// Now the order's own has been read again, and that of R has not.
			if lists.Add(1) == 4 {
				assert.NoError(t, writer.Apply(t.Context(), viewstest.SliceOf(log, 2, 4)))
			}
		}})
		set := replica(t, client, nil)
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
