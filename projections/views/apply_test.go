package views_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// However the log is cut, repeated and interrupted, the views are the same.
func TestApply_AnySlicing(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		for seed := range uint64(3) {
			log := viewstest.Log(withForeign(viewstest.History(seed, 350)))
			want := straight(t, r, log)
			r.Flush(t)
			// Three processes one after the other, each with a part of the log.
			for i, end := range []int{90, 233, len(log)} {
				set := openSet(t, r.Dial(t), nil)
				drive(t.Context(), t, set, log[:end], seed+uint64(i), never)
				if end == len(log) {
					assert.Equal(t, want, hashes(t, set), "seed %d", seed)
					assertNoDuplicates(t, r)
					assertNoOtherGenerations(t, r, set)
				}
			}
		}
	})
}

// The same as a property: rapid chooses the cuts and shrinks those that fail.
func TestApply_AnyCutsProperty(t *testing.T) {
	log := viewstest.Log(withForeign(viewstest.History(11, 50)))
	r := viewstest.InProcess(t)
	want := straight(t, r, log)
	rapid.Check(t, func(rt *rapid.T) {
		r.Flush(t)
		set := openSet(t, r.Client, nil)
		for at := 0; at < len(log); {
			to := at + rapid.IntRange(1, len(log)-at).Draw(rt, "events")
			from := at - rapid.IntRange(0, at).Draw(rt, "overlap")
			if rapid.Bool().Draw(rt, "restart") {
				set = openSet(t, r.Client, nil)
			}
			require.NoError(rt, set.Apply(t.Context(), viewstest.SliceOf(log, from, to)))
			at = to
		}
		require.Equal(rt, want, hashes(t, set))
	})
}

// A hash that is blind would make most tests here pass whatever the views do.
func TestHash_SeesEveryKey(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(3, 25))
		set := openSet(t, r.Client, nil)
		require.NoError(t, set.Apply(t.Context(), viewstest.SliceOf(log, 0, len(log))))
		want := hashes(t, set)
		ctx := t.Context()
		for _, key := range r.Keys(t) {
			if strings.Contains(key, "{views}") {
				continue
			}
			switch kind := r.Client.Type(ctx, key).Val(); kind {
			case "list":
				require.NoError(t, r.Client.RPush(ctx, key, "1").Err())
				assert.NotEqual(t, want, hashes(t, set), "a change of %s goes unseen", key)
				require.NoError(t, r.Client.RPop(ctx, key).Err())
			case "hash":
				for field, value := range r.Client.HGetAll(ctx, key).Val() {
					require.NoError(t, r.Client.HSet(ctx, key, field, value+"0").Err())
					assert.NotEqual(t, want, hashes(t, set), "a change of %s goes unseen", key)
					require.NoError(t, r.Client.HSet(ctx, key, field, value).Err())
					break
				}
			default:
				value, err := r.Client.Get(ctx, key).Result()
				require.NoError(t, err)
				require.NoError(t, r.Client.Set(ctx, key, "1"+value, 0).Err())
				assert.NotEqual(t, want, hashes(t, set), "a change of %s goes unseen", key)
				require.NoError(t, r.Client.Set(ctx, key, value, 0).Err())
			}
		}
		assert.Equal(t, want, hashes(t, set))
	})
}

// What comes after a hole is refused by every view, and nothing is written.
func TestApply_RefusesAGap(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		log := viewstest.Log(viewstest.History(5, 40))
		set := openSet(t, r.Client, nil)
		require.NoError(t, set.Apply(t.Context(), viewstest.SliceOf(log, 0, 10)))
		before := hashes(t, set)
		require.ErrorIs(t, set.Apply(t.Context(), viewstest.SliceOf(log, 11, 20)), views.ErrGap)
		assert.Equal(t, before, hashes(t, set))
		stand, err := set.Start(t.Context())
		require.NoError(t, err)
		assert.Equal(t, log[9].Position, stand)
	})
}

// Two processes apply the same log to one Redis at the same time, without a lease:
// each takes over from the other again and again.
func TestApply_TwoProcesses(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		for seed := range uint64(2) {
			r.Flush(t)
			log := viewstest.Log(viewstest.History(seed, 250))
			sets := [2]*views.Set{newSet(r.Dial(t), nil), newSet(r.Dial(t), nil)}
			want := straight(t, r, log)
			trails := ownerTrails(log)
			for _, set := range sets {
				background(t, set.Watch)
			}
			// In turns one takes over while the other goes on as if nothing had happened.
			stand := 0
			for round := 0; stand < len(log); round++ {
				taking, losing := sets[round%2], sets[(round+1)%2]
				var work errgroup.Group
				work.Go(func() error {
					if err := losing.Apply(t.Context(), viewstest.SliceOf(log, stand, min(stand+9, len(log)))); err != nil && !isTransient(err) {
						return err
					}
					return nil
				})
				var at domain.Position
				work.Go(func() (err error) {
					if at, err = taking.Start(t.Context()); errors.Is(err, views.ErrFenced) { // it learns that it had lost its turn
						at, err = taking.Start(t.Context())
					}
					return err
				})
				require.NoError(t, work.Wait())
				stand = indexAfter(log, at)
				to := min(stand+7, len(log))
				require.NoError(t, taking.Apply(t.Context(), viewstest.SliceOf(log, stand, to)))
				stand = to
				require.Less(t, round, 1000)
			}
			for i, set := range sets {
				assert.Equal(t, want, hashes(t, set), "process %d", i)
				reader := follow(t, set, "ACC-1", &domain.Position{})
				assert.Equal(t, trails["ACC-1"], reader.until(len(trails["ACC-1"])), "process %d", i)
			}
			require.NoError(t, sets[0].Tidy(t.Context()))
			assertNoDuplicates(t, r)
			assertNoOtherGenerations(t, r, sets[0])
		}
	})
}

// An empty slice changes nothing, and neither does one without readable events
// but for the cursor.
func TestApply_NothingToFold(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, nil)
		require.NoError(t, set.Apply(t.Context(), feed.Slice{}))
		log := viewstest.Log(make([]*domain.Event, 3))
		require.NoError(t, set.Apply(t.Context(), viewstest.SliceOf(log, 0, 3)))
		statuses, err := set.Status(t.Context())
		require.NoError(t, err)
		for i, s := range statuses {
			assert.Equal(t, log[2].Position, s.Position)
			assert.Equal(t, set.Names()[i], s.Name)
		}
		for _, key := range r.Keys(t) {
			assert.True(t, strings.HasSuffix(key, ":cursor") || strings.Contains(key, "{views}"), "only cursors, not %s", key)
		}
	})
}

func TestApply_BeforeStart(t *testing.T) {
	log := viewstest.Log(viewstest.History(1, 3))
	set := newSet(viewstest.InProcess(t).Client, nil)
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(set.Apply(t.Context(), viewstest.SliceOf(log, 0, 3))))
	_, err := set.Status(t.Context())
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
}
