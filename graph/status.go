package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/projections/views"
)

func (r *Resolver) statuses(ctx context.Context) ([]*model.ProjectionStatus, error) {
	statuses, err := r.views.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*model.ProjectionStatus, len(statuses))
	for i, s := range statuses {
		out[i] = &model.ProjectionStatus{
			Name: s.Name, Version: s.Version, Generation: s.Generation,
			Position: s.Position.String(), Head: s.Head.String(), CaughtUp: s.Position.Compare(s.Head) >= 0,
			Events: int(s.Events), Behind: int(s.Behind), Lag: s.Lag, Parked: int(s.Parked),
		}
		if s.Rebuild != nil {
			out[i].Rebuild = toRebuild(*s.Rebuild)
		}
	}
	return out, nil
}

func (r *Resolver) status(ctx context.Context, name string) (*model.ProjectionStatus, error) {
	statuses, err := r.statuses(ctx)
	if err != nil {
		return nil, err
	}
	for _, status := range statuses {
		if status.Name == name {
			return status, nil
		}
	}
	return nil, views.UnknownProjection("projection", name, r.views.Names())
}

func toRebuild(p views.Progress) *model.Rebuild {
	out := &model.Rebuild{
		ID: p.ID, Projection: p.View, State: model.RebuildState(strings.ToUpper(string(p.State))),
		Rate: optional(p.Rate), Generation: optional(p.Generation), Events: int(p.Events), Total: int(p.Total),
		PerSecond: p.PerSecond, Position: optional(p.Position),
		Keys: int(p.Keys), Differing: int(p.Differing), Different: append([]string{}, p.Different...),
		Error: optional(p.Error), QueuedAt: p.QueuedAt, UpdatedAt: p.UpdatedAt, EndedAt: optionalTime(p.EndedAt),
	}
	if left, ok := p.Left(); ok {
		out.Left = &left
	}
	if p.State == views.RebuildDone {
		equal := p.Equal()
		out.Equal = &equal
	}
	return out
}

func toRebuilds(all []views.Progress) []*model.Rebuild {
	out := make([]*model.Rebuild, len(all))
	for i, p := range all {
		out[i] = toRebuild(p)
	}
	return out
}

// named are the projections of a list, each once, or all if there is no list.
func (r *Resolver) named(list []string) ([]string, error) {
	all := r.views.Names()
	if list == nil {
		return all, nil
	}
	names := make([]string, 0, len(all))
	for i, name := range list {
		switch {
		case !slices.Contains(all, name):
			return nil, views.UnknownProjection(fmt.Sprintf("projections.%d", i), name, all)
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	return names, nil
}

// startRebuilds asks for rebuilds of all names or, if one of them is being
// rebuilt already, of none.
func (r *Resolver) startRebuilds(ctx context.Context, names []string, options views.RebuildOptions) ([]*model.Rebuild, error) {
	if len(names) == 0 {
		return []*model.Rebuild{}, nil
	}
	under, err := r.views.Rebuilds(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if p, ok := under[name]; ok && !p.State.Over() {
			return nil, &domain.Error{
				Class: domain.ClassConflict, Code: views.ErrRebuilding.Code, Field: "projections",
				Message: name + " is being rebuilt already",
			}
		}
	}
	asked, err := r.views.RequestRebuild(ctx, names, options)
	if err != nil {
		return nil, err
	}
	return toRebuilds(asked), nil
}

func rebuildOptions(rate *int) (views.RebuildOptions, error) {
	if rate == nil {
		return views.RebuildOptions{}, nil
	}
	if *rate < 1 {
		return views.RebuildOptions{}, domain.Rejectf(domain.CodeInvalid, "rate", "must be at least 1; without it there is no limit")
	}
	return views.RebuildOptions{Rate: *rate}, nil
}

// parked lists what one read model has parked, or all have. Nearly always nothing
// is: the counts say so in one read.
func (r *Resolver) parked(ctx context.Context, projection *string) ([]*model.ParkedEvent, error) {
	names := []string{}
	if projection != nil {
		names = append(names, *projection)
	} else {
		counts, err := r.views.ParkedCounts(ctx)
		if err != nil {
			return nil, err
		}
		for _, name := range r.views.Names() {
			if counts[name] > 0 {
				names = append(names, name)
			}
		}
	}
	out := []*model.ParkedEvent{}
	for _, name := range names {
		all, err := r.views.Parked(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			out = append(out, &model.ParkedEvent{
				Projection: p.View, Position: p.Position, Stream: p.Stream, Revision: int(p.Revision), //nolint:gosec // revisions are int64 in the store
				EventType: optional(p.Type), EventID: optional(p.EventID), OrderID: optional(p.OrderID), Reason: p.Reason,
			})
		}
	}
	return out, nil
}
