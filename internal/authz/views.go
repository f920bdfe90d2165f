package authz

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/projections/views"
)

// Views are the read models as a request's principal may see them. Each method is
// that of views.Set after the policy has agreed.
type Views struct {
	set    *views.Set
	policy Policy
}

// NewViews guards a set.
func NewViews(set *views.Set, policy Policy) *Views { return &Views{set, policy} }

func (v *Views) check(ctx context.Context, do Action, kind, id string) error {
	return Check(ctx, v.policy, do, Resource{kind, id})
}

// owned is the resource behind a view of owners, or behind Entities and Chains with
// the id that views.Entity makes.
func owned(kind, id string) Resource {
	switch kind {
	case views.Accounts:
		return Resource{"account", id}
	case views.Strategies:
		return Resource{"strategy", id}
	case views.Users:
		return Resource{"user", id}
	case views.Instruments:
		return Resource{"instrument", id}
	case views.Chains:
		ref, name, _ := strings.Cut(id, ":")
		return Resource{ref, name}
	case views.Search, views.Anomalies: // the events of a type, or what is done about anomalies, whoever they belong to
		return Resource{"events", ""}
	default:
		return Resource{"entity", id}
	}
}

// Names lists the read models; it is no secret.
func (v *Views) Names() []string { return v.set.Names() }

// Now is the set's clock.
func (v *Views) Now() time.Time { return v.set.Now() }

// Await only waits.
func (v *Views) Await(ctx context.Context, position domain.Position) error {
	return v.set.Await(ctx, position)
}

// Chain is that of views.Set.
func (v *Views) Chain(ctx context.Context, order string) (domain.Chain, int, bool, error) {
	if err := v.check(ctx, Read, "order", order); err != nil {
		return domain.Chain{}, 0, false, err
	}
	return v.set.Chain(ctx, order)
}

// Orders is that of views.Set.
func (v *Views) Orders(ctx context.Context, ids []string) (map[string]domain.Order, error) {
	for _, id := range ids {
		if err := v.check(ctx, Read, "order", id); err != nil {
			return nil, err
		}
	}
	return v.set.Orders(ctx, ids)
}

// Owner is that of views.Set.
func (v *Views) Owner(ctx context.Context, kind, id string) (views.Stats, bool, error) {
	if err := Check(ctx, v.policy, Read, owned(kind, id)); err != nil {
		return views.Stats{}, false, err
	}
	return v.set.Owner(ctx, kind, id)
}

// OwnerEvents is that of views.Set.
func (v *Views) OwnerEvents(ctx context.Context, kind, id string, from, to int64) (views.Page[domain.Located], error) {
	if err := Check(ctx, v.policy, Read, owned(kind, id)); err != nil {
		return views.Page[domain.Located]{}, err
	}
	return v.set.OwnerEvents(ctx, kind, id, from, to)
}

// OwnerOrders is that of views.Set.
func (v *Views) OwnerOrders(ctx context.Context, kind, id string, from, to int64) (views.Page[domain.Order], error) {
	if err := Check(ctx, v.policy, Read, owned(kind, id)); err != nil {
		return views.Page[domain.Order]{}, err
	}
	return v.set.OwnerOrders(ctx, kind, id, from, to)
}

// OwnerIndexAfter is that of views.Set.
func (v *Views) OwnerIndexAfter(ctx context.Context, kind, id string, after domain.Position) (int64, error) {
	if err := Check(ctx, v.policy, Read, owned(kind, id)); err != nil {
		return 0, err
	}
	return v.set.OwnerIndexAfter(ctx, kind, id, after)
}

// FollowOwner is that of views.Set.
func (v *Views) FollowOwner(ctx context.Context, kind, id string, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
	if err := Check(ctx, v.policy, Read, owned(kind, id)); err != nil {
		return nil, err
	}
	return v.set.FollowOwner(ctx, kind, id, after)
}

// FollowChain is that of views.Set.
func (v *Views) FollowChain(ctx context.Context, order string, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
	if err := v.check(ctx, Read, "order", order); err != nil {
		return nil, err
	}
	return v.set.FollowChain(ctx, order, after)
}

// FollowFound is that of views.Set; whoever may search may follow.
func (v *Views) FollowFound(ctx context.Context, f filter.Filter, after *domain.Position) (iter.Seq2[domain.Located, error], error) {
	if err := v.checkSearch(ctx, views.Query{Filter: f}); err != nil {
		return nil, err
	}
	return v.set.FollowFound(ctx, f, after)
}

// Search is that of views.Set. Whoever may read all that a search is limited to by
// one of its dimensions, say its accounts, may do it; without such a limit it is
// about all events.
func (v *Views) Search(ctx context.Context, q views.Query) (views.Found, error) {
	if err := v.checkSearch(ctx, q); err != nil {
		return views.Found{}, err
	}
	return v.set.Search(ctx, q)
}

// SearchAnomalies is that of views.Set, for whoever may do its Search.
func (v *Views) SearchAnomalies(ctx context.Context, q views.AnomalyQuery) (views.FoundAnomalies, error) {
	if err := v.checkSearch(ctx, q.Query); err != nil {
		return views.FoundAnomalies{}, err
	}
	return v.set.SearchAnomalies(ctx, q)
}

// Heatmap is that of views.Set, for whoever may search for what it counts.
func (v *Views) Heatmap(ctx context.Context, q views.HeatmapQuery) (views.Heatmap, error) {
	if err := v.checkSearch(ctx, q.Of.Query); err != nil {
		return views.Heatmap{}, err
	}
	return v.set.Heatmap(ctx, q)
}

// Anomaly is that of views.Set.
func (v *Views) Anomaly(ctx context.Context, id string) (views.AnomalyRecord, bool, error) {
	kind, key := views.Entity(domain.KindAnomaly, id)
	if err := Check(ctx, v.policy, Read, owned(kind, key)); err != nil {
		return views.AnomalyRecord{}, false, err
	}
	return v.set.Anomaly(ctx, id)
}

func (v *Views) checkSearch(ctx context.Context, q views.Query) error {
	var entities []string
	kind := views.Entities
	if q.EntityType != "" && q.EntityID != "" {
		view, key := views.Entity(q.EntityType, q.EntityID)
		kind, entities = view, []string{key}
	}
	var denied error
	for _, limit := range []struct {
		kind string
		ids  []string
	}{
		{views.Accounts, q.Accounts},
		{views.Strategies, q.Strategies},
		{views.Users, q.Users},
		{views.Instruments, q.Tickers},
		{views.Chains, orderKeys(q.Orders)},
		{kind, entities},
	} {
		if len(limit.ids) == 0 {
			continue
		}
		err := v.checkOwned(ctx, limit.kind, limit.ids)
		if err == nil {
			return nil
		}
		denied = err
	}
	if denied != nil {
		return denied
	}
	return v.check(ctx, Read, "events", "")
}

func (v *Views) checkOwned(ctx context.Context, kind string, ids []string) error {
	for _, id := range ids {
		if err := Check(ctx, v.policy, Read, owned(kind, id)); err != nil {
			return err
		}
	}
	return nil
}

// orderKeys are orders as owned takes them.
func orderKeys(ids []string) []string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		_, keys[i] = views.Entity(domain.KindOrder, id)
	}
	return keys
}

// Day is that of views.Set.
func (v *Views) Day(ctx context.Context, day string) (domain.Day, error) {
	if err := v.check(ctx, Read, "daily", day); err != nil {
		return domain.Day{}, err
	}
	return v.set.Day(ctx, day)
}

// Latencies is that of views.Set.
func (v *Views) Latencies(ctx context.Context) (map[domain.Stage]domain.Histogram, error) {
	if err := v.check(ctx, Read, "latencies", ""); err != nil {
		return nil, err
	}
	return v.set.Latencies(ctx)
}

// Status is that of views.Set.
func (v *Views) Status(ctx context.Context) ([]views.Status, error) {
	if err := v.check(ctx, Read, "projections", ""); err != nil {
		return nil, err
	}
	return v.set.Status(ctx)
}

// Hash is that of views.Set.
func (v *Views) Hash(ctx context.Context, name string) (string, domain.Position, error) {
	if err := v.check(ctx, Read, "projections", name); err != nil {
		return "", domain.Position{}, err
	}
	return v.set.Hash(ctx, name)
}

// Parked is that of views.Set.
func (v *Views) Parked(ctx context.Context, name string) ([]views.Parked, error) {
	if err := v.check(ctx, Read, "projections", name); err != nil {
		return nil, err
	}
	return v.set.Parked(ctx, name)
}

// ParkedCounts is that of views.Set.
func (v *Views) ParkedCounts(ctx context.Context) (map[string]int64, error) {
	if err := v.check(ctx, Read, "projections", ""); err != nil {
		return nil, err
	}
	return v.set.ParkedCounts(ctx)
}

// Rebuilds is that of views.Set.
func (v *Views) Rebuilds(ctx context.Context) (map[string]views.Progress, error) {
	if err := v.check(ctx, Read, "projections", ""); err != nil {
		return nil, err
	}
	return v.set.Rebuilds(ctx)
}

// Rebuild is that of views.Set.
func (v *Views) Rebuild(ctx context.Context, names []string, options views.RebuildOptions) ([]views.Progress, error) {
	if err := v.operate(ctx, names); err != nil {
		return nil, err
	}
	return v.set.Rebuild(ctx, names, options)
}

// RequestRebuild is that of views.Set.
func (v *Views) RequestRebuild(ctx context.Context, names []string, options views.RebuildOptions) ([]views.Progress, error) {
	if err := v.operate(ctx, names); err != nil {
		return nil, err
	}
	return v.set.RequestRebuild(ctx, names, options)
}

// CancelRebuild is that of views.Set.
func (v *Views) CancelRebuild(ctx context.Context, name string) error {
	if err := v.operate(ctx, []string{name}); err != nil {
		return err
	}
	return v.set.CancelRebuild(ctx, name)
}

func (v *Views) operate(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := v.check(ctx, Operate, "projections", name); err != nil {
			return err
		}
	}
	return nil
}
