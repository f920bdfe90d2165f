package views_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// openSet makes and starts a set, as a process does when it starts.
func openSet(t testing.TB, client redis.UniversalClient, store *viewstest.Store) *views.Set {
	t.Helper()
	set := newSet(client, store)
	_, err := set.Start(t.Context())
	require.NoError(t, err)
	return set
}

func newSet(client redis.UniversalClient, store *viewstest.Store) *views.Set {
	return newSetWith(client, store, views.Options{})
}

func newSetWith(client redis.UniversalClient, store *viewstest.Store, options views.Options) *views.Set {
	if store == nil {
		return views.NewSet(client, nil, viewstest.Discard(), options)
	}
	return views.NewSet(client, store.Store, viewstest.Discard(), options)
}

// replica is a set in a process that only reads.
func replica(t testing.TB, client redis.UniversalClient, store *viewstest.Store) *views.Set {
	t.Helper()
	set := newSet(client, store)
	background(t, set.Watch)
	require.Eventually(t, func() bool { return set.Ready() == nil }, patience, time.Millisecond)
	return set
}

// background runs something until the test ends, or until the function that is
// returned.
func background(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		assert.NoError(t, run(ctx))
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// rebuild rebuilds one view in the process that writes.
func rebuild(ctx context.Context, t testing.TB, set *views.Set, name string) (views.Progress, error) {
	t.Helper()
	defer background(t, set.Tend)() //nolint:contextcheck // it outlives the call on purpose
	done, err := set.Rebuild(ctx, []string{name}, views.RebuildOptions{})
	if len(done) == 0 {
		return views.Progress{}, err
	}
	return done[0], err
}

// hashes are the hashes of all views.
func hashes(t testing.TB, set *views.Set) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, name := range set.Names() {
		hash, _, err := set.Hash(context.WithoutCancel(t.Context()), name)
		require.NoError(t, err)
		found[name] = hash
	}
	return found
}

// straight is what the views must be: one application of the whole log by one
// process, slice by slice.
func straight(t testing.TB, r *viewstest.Redis, log []feed.Event) map[string]string {
	t.Helper()
	options := views.Options{Parts: 1}
	if len(r.Nodes) > 0 { // as on this cluster
		options.Parts = 8
	}
	set := newSetWith(viewstest.InProcess(t).Client, nil, options)
	_, err := set.Start(t.Context())
	require.NoError(t, err)
	for from := 0; from < len(log); from += feed.MaxSlice {
		require.NoError(t, set.Apply(t.Context(), viewstest.SliceOf(log, from, min(from+feed.MaxSlice, len(log)))))
	}
	return hashes(t, set)
}

// withForeign puts events that can't be read between the others.
func withForeign(events []*domain.Event) []*domain.Event {
	var mixed []*domain.Event
	for i, e := range events {
		if i%17 == 3 {
			mixed = append(mixed, nil)
		}
		mixed = append(mixed, e)
	}
	return mixed
}

// drive plays the feed's part: it asks the set where it stands and applies
// slices of random sizes from there, some of them twice or from further back,
// until the whole log is in. fail is asked after each application whether its
// error is one that the test provoked.
func drive(ctx context.Context, t testing.TB, set *views.Set, log []feed.Event, seed uint64, expected func(error) bool) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	for attempt := 0; ; attempt++ {
		require.Less(t, attempt, 10_000, "the views do not come to the end of the log")
		stand, err := set.Start(ctx)
		if err != nil {
			require.True(t, expected(err), "%v", err)
			continue
		}
		from := indexAfter(log, stand)
		if from == len(log) {
			return
		}
		for from < len(log) {
			to := min(len(log), from+1+random.IntN(80))
			back := max(0, from-random.IntN(3)*random.IntN(40))
			if err = set.Apply(ctx, viewstest.SliceOf(log, back, to)); err != nil {
				require.True(t, expected(err), "%v", err)
				break
			}
			from = to
		}
	}
}

func never(error) bool { return false }

// ownerTrails are the trails of all accounts.
func ownerTrails(log []feed.Event) map[string][]domain.Position {
	return trailsBy(log, func(e *domain.Event) string { return e.AccountID })
}

// positions are the places of events.
func positions(events []domain.Located) []domain.Position {
	at := make([]domain.Position, len(events))
	for i, e := range events {
		at[i] = e.Position
	}
	return at
}

// assertNoOtherGenerations checks that only the generations that are read have
// keys.
func assertNoOtherGenerations(t testing.TB, r *viewstest.Redis, set *views.Set) {
	t.Helper()
	statuses, err := set.Status(t.Context())
	require.NoError(t, err)
	prefixes := []string{"tradetrail:{views}:"}
	for _, s := range statuses {
		prefixes = append(prefixes, fmt.Sprintf("tradetrail:{%s:%d}:", s.Name, s.Generation), fmt.Sprintf("tradetrail:{%s:%d:", s.Name, s.Generation))
	}
	for _, key := range r.Keys(t) {
		known := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
		if !assert.True(t, known, "key %s is of no generation that is read", key) {
			return
		}
	}
}

// assertNoDuplicates checks that no list holds an element twice.
func assertNoDuplicates(t testing.TB, r *viewstest.Redis) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	client := r.Client
	for _, key := range r.Keys(t) {
		if kind := client.Type(ctx, key).Val(); kind != "list" {
			continue
		}
		items, err := client.LRange(ctx, key, 0, -1).Result()
		require.NoError(t, err)
		seen := make(map[string]bool)
		for _, item := range items {
			require.False(t, seen[item], "%s holds %s twice", key, item)
			seen[item] = true
		}
	}
}

// busiest is the account with the most events in some, and its trail in all.
func busiest(some, all []feed.Event) (account string, trail []domain.Position) {
	most := 0
	for a, in := range ownerTrails(some) {
		if len(in) > most || len(in) == most && a < account {
			account, most = a, len(in)
		}
	}
	return account, ownerTrails(all)[account]
}

// logOf reads a store's log as the feed does.
func logOf(t testing.TB, store *viewstest.Store) []feed.Event {
	t.Helper()
	var log []feed.Event
	for r, err := range store.Forwards(t.Context(), domain.Position{}, math.MaxUint64) {
		require.NoError(t, err)
		if strings.HasPrefix(r.Stream, "$") {
			continue
		}
		event, _ := feed.Decode(&r)
		log = append(log, event)
	}
	return log
}

// after is the part of a trail behind a position.
func after(trail []domain.Position, p domain.Position) []domain.Position {
	for len(trail) > 0 && trail[0].Compare(p) <= 0 {
		trail = trail[1:]
	}
	return trail
}

// chainOf finds in the log what an order's chain must be, without any view.
func chainOf(t testing.TB, log []feed.Event, order string) []domain.Located {
	t.Helper()
	var own []domain.Located
	concerning := make(map[domain.Ref][]domain.Located)
	for _, e := range log {
		switch {
		case e.Event == nil:
		case e.OrderID == order:
			own = append(own, e.Located)
		case e.OrderID == "":
			for _, ref := range domain.Concerns(e.Event) {
				concerning[ref] = append(concerning[ref], e.Located)
			}
		}
	}
	events, err := domain.CollectChain(order, own, func(refs []domain.Ref) ([]domain.Located, error) {
		var found []domain.Located
		for _, ref := range refs {
			found = append(found, concerning[ref]...)
		}
		return found, nil
	})
	require.NoError(t, err)
	slices.SortFunc(events, func(a, b domain.Located) int { return a.Position.Compare(b.Position) })
	return events
}

// ordersOf lists the orders that the log names.
func ordersOf(log []feed.Event) []string {
	var orders []string
	for _, e := range log {
		if e.Event != nil && e.OrderID != "" && !slices.Contains(orders, e.OrderID) {
			orders = append(orders, e.OrderID)
		}
	}
	return orders
}

// keyOf is a key of a view's generation that is read.
func keyOf(t testing.TB, set *views.Set, view, rest string) string {
	t.Helper()
	return fmt.Sprintf("tradetrail:{%s:%d}:%s", view, statusOf(t, set, view).Generation, rest)
}
