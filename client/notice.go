package client

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

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
	// TypeEventNotSent stands where an event is that can't be sent, with its id, its
	// sequence and why. Raw is the event's JSON or, if it makes none, what was
	// spooled; partial says that it is only the beginning.
	TypeEventNotSent domain.EventType = "client.event_not_sent"
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
	b.lines = append(b.lines, noticeLine(id, kind, spoolID, gap.At, w.object(), nil)...)
	return id
}

const (
	// maxNotSent is how many bytes of an event that can't be sent the one in its
	// place has: in base64 they fit into an event.
	maxNotSent = domain.MaxEventBytes * 2 / 3
	// maxReason bounds the text about it, which others may have written.
	maxReason = 1000
)

// stand makes the item one that can't be sent, and keeps so many of its bytes.
func (it *item) stand(r *Rejection, kept int) {
	it.refused, it.kept = r, min(kept, maxNotSent)
	it.partial = it.kept < len(r.Record)+len(r.Event)
}

// notSent is the line of the event in the place of the item, which it takes as its
// own.
func (it *item) notSent(spoolID string) []byte {
	r, sequence := it.refused, it.next-1
	it.id = domain.DeriveID(entitySpool, spoolID, string(TypeEventNotSent)+" "+strconv.FormatUint(sequence, 10))
	raw := r.Record
	if r.Event != nil {
		raw = r.Event
	}
	var w members
	w.text("event_id", beginning(r.EventID, maxReason))
	w.count("sequence", sequence)
	w.text("code", r.Code)
	w.text("field", r.Field)
	w.text("message", beginning(r.Message, maxReason))
	w.count("bytes", uint64(len(raw)))
	w.flag("partial", it.partial)
	return noticeLine(it.id, TypeEventNotSent, spoolID, it.at, w.object(), raw[:it.kept])
}

func beginning(text string, n int) string { return text[:min(n, len(text))] }

func noticeLine(id string, kind domain.EventType, spoolID string, at int64, data jsontext.Value, raw []byte) []byte {
	e := Event{
		ID: id, Type: kind, OccurredAt: time.Unix(0, at).UTC(), SchemaVersion: domain.SchemaVersion,
		EntityType: entitySpool, EntityID: spoolID, Data: data, Raw: raw,
	}
	line, err := e.Encode()
	if err != nil { // nothing in it can fail
		panic(err)
	}
	return append(line, '\n')
}
