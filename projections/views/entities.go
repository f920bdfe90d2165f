package views

import (
	"context"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// entitiesView keeps the trail of any entity that events name with entity_type
// and entity_id: a city, a venue, a circuit breaker.
//
//	e, E  trails  <type>:<id>
type entitiesView struct{}

var entityTrails = trails{table: "e", list: "E"}

func (entitiesView) name() string { return Entities }
func (entitiesView) version() int { return 1 }

func (entitiesView) fold(ctx context.Context, r reader, events []feed.Event, b *batch) error {
	trail := entityTrails.grow()
	for _, e := range events {
		if e.Event == nil || e.EntityType == "" || e.EntityID == "" || hasView(e.EntityType) {
			continue
		}
		trail.add(entityID(e.EntityType, e.EntityID), e.Position)
		b.touch(ownerTopic(Entities, entityID(e.EntityType, e.EntityID)))
	}
	read := r.rows()
	trail.want(read)
	if err := read.read(ctx, r.client); err != nil {
		return err
	}
	return trail.write(read, b)
}

// entityID is unambiguous although both parts may hold any character: types
// before the first colon that is not doubled.
func entityID(kind, id string) string { return escapeColons(kind) + ":" + id }

func escapeColons(text string) string { return strings.ReplaceAll(text, ":", "::") }

// hasView reports whether entities of a type have a view of their own.
func hasView(entityType string) bool { return viewOf(entityType) != "" }

func viewOf(entityType string) string {
	switch entityType {
	case domain.KindOrder:
		return Chains
	case "account":
		return Accounts
	case "strategy":
		return Strategies
	case "user":
		return Users
	case "instrument":
		return Instruments
	default:
		return ""
	}
}

// Entity tells which view keeps the trail of an entity, and under which id: for
// OwnerEvents and what follows it.
func Entity(entityType, id string) (view, key string) {
	switch view := viewOf(entityType); view {
	case "":
		return Entities, entityID(entityType, id)
	case Chains:
		return Chains, orderTopic(id)
	default:
		return view, id
	}
}
