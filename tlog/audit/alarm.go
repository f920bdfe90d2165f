package audit

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// source is in the ids of what the auditor says: the same thing, said again, is the
// same event.
const source = "integrity"

// doubted is the event of a doubt. Its id follows from the first thing that was found,
// so a process that finds the same after a restart records nothing new.
func doubted(origin string, first Finding, r Report, now time.Time) *domain.Event {
	index := ""
	if first.Index != nil {
		index = strconv.FormatUint(*first.Index, 10)
	}
	return event(domain.DeriveID(source, origin, string(first.Kind)+"\n"+index+"\n"+first.Position+"\n"+first.Where), domain.IntegrityDoubted, origin, now, struct {
		Finding Finding         `json:"finding"` // the first
		Counts  map[Kind]uint64 `json:"counts"`
		Size    uint64          `json:"size"`
	}{first, r.Counts, r.Size})
}

func event(id string, kind domain.EventType, origin string, now time.Time, data any) *domain.Event {
	encoded, err := json.Marshal(data, json.Deterministic(true))
	if err != nil {
		encoded = []byte("{}") // strings that are no UTF-8: the type alone is an alarm
	}
	return &domain.Event{
		ID: id, Type: kind, OccurredAt: now.UTC(), EntityType: "tlog", EntityID: origin, SchemaVersion: domain.SchemaVersion, Data: jsontext.Value(encoded),
	}
}
