package views_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// Of those who write together each is written if its own cursor is where it was, and
// what is wrong with one is nobody else's.
func TestFerry(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		const parts, steps = 12, 40
		ferry := views.NewFerry(r.Client)
		key := func(part int, what string) string { return fmt.Sprintf("ferry:{%d}:%s", part, what) }
		for part := range parts {
			require.NoError(t, r.Client.Set(t.Context(), key(part, "cursor"), "0", 0).Err())
		}
		require.NoError(t, r.Client.Set(t.Context(), key(0, "list"), "no list", 0).Err())
		var group errgroup.Group
		for part := range parts {
			group.Go(func() error {
				for step := range steps {
					before, after := fmt.Sprint(step), fmt.Sprint(step+1)
					if part == 1 { // its cursor is elsewhere
						before = "elsewhere"
					}
					stands, err := ferry.Cross(t.Context(), key(part, "cursor"), before, after, "RPUSH", key(part, "list"), step)
					switch {
					case part == 0 && err == nil:
						return fmt.Errorf("a list was pushed to what is none")
					case part == 1 && (err != nil || stands != "0"):
						return fmt.Errorf("elsewhere: %q, %w", stands, err)
					case part > 1 && (err != nil || stands != after):
						return fmt.Errorf("part %d, step %d: %q, %w", part, step, stands, err)
					}
				}
				return nil
			})
		}
		require.NoError(t, group.Wait())
		for part := range parts {
			list := r.Client.LRange(t.Context(), key(part, "list"), 0, -1)
			if part == 0 {
				continue
			}
			require.NoError(t, list.Err())
			if part == 1 {
				assert.Empty(t, list.Val())
				continue
			}
			require.Len(t, list.Val(), steps)
			for step, value := range list.Val() {
				assert.Equal(t, fmt.Sprint(step), value)
			}
		}
	})
}

// Whoever finds his cursor where he would have put it was overtaken by an earlier write of
// his own. What he had read may be from behind it, so he is not told that he has written.
func TestFerry_OvertakenByAnEarlierWrite(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		ferry := views.NewFerry(r.Client)
		require.NoError(t, r.Client.Set(t.Context(), "ferry:{x}:cursor", "0", 0).Err())
		stands, err := ferry.Cross(t.Context(), "ferry:{x}:cursor", "0", "1", "RPUSH", "ferry:{x}:list", "once")
		require.NoError(t, err)
		assert.Equal(t, "1", stands)
		_, err = ferry.Cross(t.Context(), "ferry:{x}:cursor", "0", "1", "RPUSH", "ferry:{x}:list", "again")
		assert.True(t, isTransient(err), "%v", err)
		assert.Equal(t, []string{"once"}, r.Client.LRange(t.Context(), "ferry:{x}:list", 0, -1).Val())
	})
}
