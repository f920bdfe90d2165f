package graph

import (
	"context"

	"github.com/tradetrail/tradetrail/graph/model"
)

func (r *Resolver) statuses(ctx context.Context) ([]*model.ProjectionStatus, error) {
	head, err := r.events.Head(ctx)
	if err != nil {
		return nil, err
	}
	statuses, err := r.views.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*model.ProjectionStatus, len(statuses))
	for i, s := range statuses {
		out[i] = &model.ProjectionStatus{
			Name: s.Name, Version: s.Version, Generation: s.Generation,
			Position: s.Position.String(), Head: head.String(), CaughtUp: s.Position.Compare(head) >= 0,
		}
		if s.Rebuild != nil {
			done := int(s.Rebuild.Events)
			out[i].Rebuilding = &done
		}
	}
	return out, nil
}
