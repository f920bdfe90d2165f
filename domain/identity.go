package domain

import (
	"strconv"

	"github.com/google/uuid"
)

// Namespaces of derived ids. They are storage formats: changing one would record
// every redelivered event a second time.
var (
	eventNamespace  = uuid.MustParse("5b6f2d9e-3c0a-5d7e-9a44-6f0c1d1f7a01") // event_id that is no UUID -> UUID in the store
	sourceNamespace = uuid.MustParse("5b6f2d9e-3c0a-5d7e-9a44-6f0c1d1f7a02") // source + partition + offset -> event_id
)

// DeriveID makes the event id of a message that carries none: UUIDv5 (RFC 9562)
// over where it came from. A redelivered message gets the same id. Each part goes
// in behind its length, so no two different triples meet, whatever they contain.
func DeriveID(source, partition, offset string) string {
	var name []byte
	for _, part := range []string{source, partition, offset} {
		name = strconv.AppendInt(name, int64(len(part)), 10)
		name = append(name, ':')
		name = append(name, part...)
	}
	return uuid.NewSHA1(sourceNamespace, name).String()
}

// StoreID is the event's id in the event store, which knows only UUIDs: the
// event_id itself if it is one, else a UUIDv5 of it. The nil UUID is none:
// EventStoreDB refuses it.
func (e *Event) StoreID() uuid.UUID {
	if len(e.ID) == 36 {
		if id, err := uuid.Parse(e.ID); err == nil && id != uuid.Nil {
			return id
		}
	}
	return uuid.NewSHA1(eventNamespace, []byte(e.ID))
}
