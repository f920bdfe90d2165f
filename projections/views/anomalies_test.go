package views_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/projections/feed"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// casebook is a log of n anomalies within some days, of what was done about them, and
// of much else.
func casebook(seed uint64, n int) []*domain.Event {
	random := rand.New(rand.NewPCG(seed, 3))
	begin := time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	events := viewstest.History(seed, n)
	for i := range n {
		at := begin.Add(time.Duration(random.Int64N(int64(50 * time.Hour))))
		if i%7 == 0 {
			at = at.Truncate(15 * time.Minute)
		}
		id := fmt.Sprintf("F-%d", i)
		events = append(events, &domain.Event{
			ID: "e-" + id, Type: domain.AnomalyDetected, OccurredAt: at, RecordedAt: at, SchemaVersion: 1, EntityType: domain.KindAnomaly, EntityID: id,
			AccountID: one("A", "B", "C", ""), StrategyID: one("S", "T\u0000x", strings.Repeat("é", 100), ""),
			Data: []byte(one(`{"kind":"spoofing","severity":"high"}`, `{"kind":"layering","severity":"low"}`, `{"kind":"spoofing"}`, `{"kind":7}`, `{}`)),
		})
		for range random.IntN(4) {
			kind := domain.AnomalyActs()[random.IntN(4)]
			events = append(events, &domain.Event{
				ID: fmt.Sprintf("act-%d", len(events)), Type: kind, OccurredAt: at.Add(time.Hour), RecordedAt: at, SchemaVersion: 1, Actor: one("ann", "bob"),
				EntityType: domain.KindAnomaly, EntityID: fmt.Sprintf("F-%d", random.IntN(i+1)), Data: []byte(`{"assignee":"ann","reason":"r","comment":"c"}`),
			})
		}
	}
	return events
}

// states is the fold of a log, by hand.
func states(log []feed.Event) map[string]domain.Anomaly {
	all := make(map[string]domain.Anomaly)
	for _, e := range log {
		if id := domain.AnomalyID(e.Event); id != "" {
			a := all[id]
			a.Apply(e.Event)
			all[id] = a
		}
	}
	return all
}

// However the log is cut, each anomaly has the state that its events give, searches by
// state find what a look at all of them does.
func TestAnomalies_States(t *testing.T) {
	log := viewstest.Log(casebook(5, 60))
	want := states(log)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 9, never)
		assert.Equal(t, straight(t, r, log), hashes(t, set))
		for id, state := range want {
			found, ok, err := set.Anomaly(t.Context(), id)
			require.NoError(t, err)
			require.True(t, ok)
			assert.Equal(t, state, found.State)
			assert.Equal(t, "e-"+id, found.Detected.ID)
		}
		_, ok, err := set.Anomaly(t.Context(), "nothing")
		require.NoError(t, err)
		assert.False(t, ok)
		for _, c := range []views.AnomalyQuery{
			{},
			{Statuses: []domain.AnomalyStatus{domain.AnomalyStatusOpen}},
			{Statuses: []domain.AnomalyStatus{domain.AnomalyStatusDismissed, domain.AnomalyStatusAcknowledged}},
			{Statuses: []domain.AnomalyStatus{domain.AnomalyStatusDismissed}, Kinds: []string{"spoofing"}},
			{Kinds: []string{"none"}},
			{Statuses: domain.AnomalyStatuses(), Severities: []string{"low", "high"}, Query: views.Query{Filter: filter.Filter{Accounts: []string{"A"}}}},
		} {
			for _, size := range []int{1, 7, 1000} {
				for _, back := range []bool{false, true} {
					var ids, got []string
					for _, e := range log {
						if e.Type == domain.AnomalyDetected && c.Wants(domain.DetectionIn(e.Event), want[e.EntityID].Status) && (len(c.Accounts) == 0 || e.AccountID == "A") {
							ids = append(ids, e.EntityID)
						}
					}
					if back {
						slices.Reverse(ids)
					}
					q := c
					q.Limit, q.Backwards = size, back
					for more := true; more; {
						found, err := set.SearchAnomalies(t.Context(), q)
						require.NoError(t, err)
						require.Len(t, found.States, len(found.Events))
						for i, e := range found.Events {
							assert.Equal(t, want[e.EntityID], found.States[i])
							got = append(got, e.EntityID)
						}
						if more = found.More; back {
							q.Before = found.Reached
						} else {
							q.After = found.Reached
						}
						require.LessOrEqual(t, len(got), len(ids))
					}
					assert.Equal(t, ids, got, "%+v", c)
				}
			}
		}
	})
}

// plainHeat counts a log as a heat map does, without one.
func plainHeat(log []feed.Event, q views.HeatmapQuery, keep func(*domain.Event) bool) map[string]int64 {
	counts := make(map[string]int64)
	for _, e := range log {
		if e.Type != domain.AnomalyDetected || e.OccurredAt.Before(q.From) || !e.OccurredAt.Before(q.To) || keep != nil && !keep(e.Event) {
			continue
		}
		d := domain.DetectionIn(e.Event)
		value := map[views.HeatmapBy]string{views.ByKind: d.Kind, views.ByAccount: e.AccountID, views.ByStrategy: e.StrategyID}[q.By]
		value = strings.ReplaceAll(value, "\x00", "")
		if len(value) > 128 {
			value = value[:128]
		}
		at := q.From
		for !at.Add(q.Bucket).After(e.OccurredAt) {
			at = at.Add(q.Bucket)
		}
		counts[fmt.Sprint(at.UnixNano(), value, "|", d.Severity)]++
	}
	return counts
}

// A heat map is the plain count over the log: by counters, by looking at each, and by
// both where a window ends within a quarter of an hour.
func TestHeatmap_IsThePlainCount(t *testing.T) {
	log := viewstest.Log(casebook(11, 300))
	begin := time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 2, never)
		for _, by := range []views.HeatmapBy{views.ByKind, views.ByStrategy, views.ByAccount} {
			for name, c := range map[string]struct {
				from, to time.Time
				bucket   time.Duration
				of       views.AnomalyQuery
				keep     func(*domain.Event) bool
				examined bool
			}{
				"counters":              {begin, begin.Add(50 * time.Hour), time.Hour, views.AnomalyQuery{}, nil, false},
				"quarters":              {begin.Add(15 * time.Minute), begin.Add(40 * time.Hour), 15 * time.Minute, views.AnomalyQuery{}, nil, false},
				"days of a zone":        {begin.Add(30 * time.Minute), begin.Add(72*time.Hour + 30*time.Minute), 24 * time.Hour, views.AnomalyQuery{}, nil, false},
				"an end in a quarter":   {begin, begin.Add(49*time.Hour + 7*time.Minute + time.Nanosecond), time.Hour, views.AnomalyQuery{}, nil, true},
				"within one quarter":    {begin.Add(15 * time.Minute), begin.Add(20 * time.Minute), time.Hour, views.AnomalyQuery{}, nil, true},
				"a beginning in one":    {begin.Add(7 * time.Minute), begin.Add(50 * time.Hour), time.Hour, views.AnomalyQuery{}, nil, true},
				"odd buckets":           {begin, begin.Add(20 * time.Hour), 77 * time.Minute, views.AnomalyQuery{}, nil, true},
				"of an account":         {begin, begin.Add(50 * time.Hour), time.Hour, views.AnomalyQuery{Query: views.Query{Filter: filter.Filter{Accounts: []string{"A"}}}}, func(e *domain.Event) bool { return e.AccountID == "A" }, true},
				"of a severity":         {begin, begin.Add(50 * time.Hour), time.Hour, views.AnomalyQuery{Severities: []string{"low"}}, func(e *domain.Event) bool { return domain.DetectionIn(e).Severity == "low" }, true},
				"long before":           {begin.AddDate(-100, 0, 0), begin.AddDate(-99, 0, 0), 24 * time.Hour, views.AnomalyQuery{}, nil, false},
				"another zone's notion": {begin.In(time.FixedZone("", 5*3600+1800)), begin.Add(50 * time.Hour), time.Hour, views.AnomalyQuery{}, nil, false},
			} {
				q := views.HeatmapQuery{From: c.from, To: c.to, Bucket: c.bucket, By: by, Of: c.of}
				got, err := set.Heatmap(t.Context(), q)
				require.NoError(t, err, name)
				want := plainHeat(log, q, c.keep)
				cells := make(map[string]int64)
				var total int64
				for _, cell := range got.Cells {
					cells[fmt.Sprint(cell.At.UnixNano(), cell.Value, "|", cell.Severity)] += cell.Count
					total += cell.Count
				}
				assert.Equal(t, want, cells, "%s by %s", name, by)
				assert.Equal(t, total, got.Total, name)
				assert.Equal(t, c.examined && len(want) > 0, got.Examined > 0 && len(want) > 0, name)
				assert.True(t, slices.IsSortedFunc(got.Rows, func(a, b views.HeatmapRow) int { return cmp.Compare(b.Count, a.Count) }))

				q.Rows = 2 // the two with the most, and the rest is told
				few, err := set.Heatmap(t.Context(), q)
				require.NoError(t, err)
				assert.Equal(t, got.Rows[:min(2, len(got.Rows))], few.Rows)
				rest := few.Total
				for _, row := range few.Rows {
					rest -= row.Count
				}
				assert.Equal(t, rest, few.Rest)
				assert.Equal(t, got.Total, few.Total)
			}
		}
	})
}

func TestHeatmap_Refuses(t *testing.T) {
	set := openSet(t, viewstest.InProcess(t).Client, nil)
	from := time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		query views.HeatmapQuery
		field string
	}{
		"nothing":         {views.HeatmapQuery{From: from, To: from}, "to"},
		"backwards":       {views.HeatmapQuery{From: from, To: from.Add(-1)}, "to"},
		"too long":        {views.HeatmapQuery{From: from, To: from.AddDate(400, 0, 0), Bucket: 1 << 62}, "to"},
		"negative bucket": {views.HeatmapQuery{From: from, To: from.Add(1), Bucket: -1}, "bucket"},
		"too many":        {views.HeatmapQuery{From: from, To: from.Add(1001), Bucket: 1}, "bucket"},
		"rows":            {views.HeatmapQuery{From: from, To: from.Add(1), Rows: 201}, "rows"},
		"negative rows":   {views.HeatmapQuery{From: from, To: from.Add(1), Rows: -1}, "rows"},
		"by":              {views.HeatmapQuery{From: from, To: from.Add(1), By: "h"}, "by"},
	} {
		_, err := set.Heatmap(t.Context(), c.query)
		var refused *domain.Error
		require.ErrorAs(t, err, &refused, name)
		assert.Equal(t, c.field, refused.Field, name)
		assert.Equal(t, domain.ClassRejected, refused.Class)
	}
	_, err := set.Heatmap(t.Context(), views.HeatmapQuery{From: from, To: from.Add(1000), Bucket: 1})
	assert.NoError(t, err)
}

// exchanges counts the exchanges with a server.
type exchanges struct{ n atomic.Int64 }

func (e *exchanges) DialHook(next redis.DialHook) redis.DialHook { return next }

func (e *exchanges) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		e.n.Add(1)
		return next(ctx, cmd)
	}
}

func (e *exchanges) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		e.n.Add(1)
		return next(ctx, cmds)
	}
}

// The states of a page are one read, however long the page is.
func TestSearchAnomalies_ReadsStatesTogether(t *testing.T) {
	log := viewstest.Log(casebook(5, 200))
	r := viewstest.InProcess(t)
	count := &exchanges{}
	client := r.Dial(t)
	viewstest.Hook(client, count)
	set := openSet(t, client, nil)
	drive(t.Context(), t, set, log, 9, never)
	spent := func(limit int, read func(limit int) int) (trips int64) {
		before := count.n.Load()
		require.Equal(t, limit, read(limit))
		return count.n.Load() - before
	}
	events := func(limit int) int {
		found, err := set.Search(t.Context(), views.Query{Filter: filter.Filter{Types: []string{"anomaly.detected"}}, Limit: limit})
		require.NoError(t, err)
		return len(found.Events)
	}
	anomalies := func(limit int) int {
		found, err := set.SearchAnomalies(t.Context(), views.AnomalyQuery{Query: views.Query{Limit: limit}})
		require.NoError(t, err)
		return len(found.States)
	}
	for _, limit := range []int{1, 200} {
		assert.LessOrEqual(t, spent(limit, anomalies)-spent(limit, events), int64(2), "the states, and whether the view is still read")
	}
}

// A live reader is told of everything that is done, once, in the order of the log.
func TestFollow_AnomalyActs(t *testing.T) {
	log := viewstest.Log(casebook(5, 40))
	set := openSet(t, viewstest.InProcess(t).Client, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	acts, err := set.FollowOwner(ctx, views.Anomalies, views.AnomalyActs, &domain.Position{})
	require.NoError(t, err)
	var want []string
	for _, e := range log {
		if e.Type.ActsOnAnomaly() {
			want = append(want, e.ID)
		}
	}
	require.Greater(t, len(want), 32, "the trail becomes a long one")
	applied := make(chan error, 1)
	go func() {
		var err error
		for from := 0; from < len(log) && err == nil; from += 10 {
			err = set.Apply(ctx, viewstest.SliceOf(log, from, min(from+10, len(log))))
		}
		applied <- err
	}()
	var got []string
	for e, err := range acts {
		require.NoError(t, err)
		if got = append(got, e.ID); len(got) == len(want) {
			break
		}
	}
	require.NoError(t, <-applied)
	assert.Equal(t, want, got)
}

func TestAnomalies_RebuildChangesNothing(t *testing.T) {
	store := viewstest.OpenStore(t)
	store.Append(t, casebook(6, 50)...)
	log := logOf(t, store)
	set := openSet(t, viewstest.InProcess(t).Client, store)
	drive(t.Context(), t, set, log, 1, never)
	rebuilt, err := rebuild(t.Context(), t, set, views.Anomalies)
	require.NoError(t, err)
	assert.True(t, rebuilt.Equal())
	assert.Greater(t, rebuilt.Keys, int64(50))
}
