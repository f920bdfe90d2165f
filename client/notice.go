package client

import (
	"strconv"
	"time"

	"github.com/tradetrail/tradetrail/client/internal/spool"
	"github.com/tradetrail/tradetrail/domain"
)

// The types of the events that the client records about itself. They are stored
// and stay as they are.
const (
	// TypeEventsDropped stands where events were not kept, since there was no room
	// and Config.Full is FullDrop.
	TypeEventsDropped domain.EventType = "client.events_dropped"
	// TypeSpoolDamaged stands where events can't be read any more.
	TypeSpoolDamaged domain.EventType = "client.spool_damaged"
	// TypeCost says what recording has cost on one day.
	TypeCost domain.EventType = "audit.cost"
)

const entitySpool = "client_spool"

// notice appends the event that stands in the place of a gap, and returns its id.
// All of it derives from the files: after a crash it is the same event again.
func (b *batch) notice(gap *spool.Gap, spoolID string) (id string) {
	kind := TypeSpoolDamaged
	if gap.Dropped {
		kind = TypeEventsDropped
	}
	from, to := strconv.FormatUint(gap.From, 10), strconv.FormatUint(gap.To, 10)
	id = domain.DeriveID(entitySpool, spoolID, string(kind)+" "+from+" "+to)
	var w members
	w.count("count", gap.To-gap.From+1)
	w.count("from_sequence", gap.From)
	w.count("to_sequence", gap.To)
	w.count("segment", gap.Segment)
	if !gap.Dropped {
		w.count("offset", uint64(gap.Offset)) //nolint:gosec // of a file
	}
	e := Event{
		ID: id, Type: kind, OccurredAt: time.Unix(0, gap.At).UTC(), SchemaVersion: domain.SchemaVersion,
		EntityType: entitySpool, EntityID: spoolID, Data: w.object(),
	}
	line, err := e.Encode()
	if err != nil { // nothing in it can fail
		panic(err)
	}
	b.lines = append(append(b.lines, line...), '\n')
	return id
}
