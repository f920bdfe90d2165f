package domain

import (
	"strings"

	"github.com/google/uuid"
)

// Namespaces of derived ids. They are storage formats: changing one would record
// every redelivered event a second time.
var (
	eventNamespace  = uuid.MustParse("5b6f2d9e-3c0a-5d7e-9a44-6f0c1d1f7a01") // event_id that is no UUID -> UUID in the store
	sourceNamespace = uuid.MustParse("5b6f2d9e-3c0a-5d7e-9a44-6f0c1d1f7a02") // source + partition + offset -> event_id
)

// DeriveID makes the event id of a message that carries none: UUIDv5 (RFC 9562)
// over where it came from. A redelivered message gets the same id. The parts are
// joined by NUL, so no two different triples meet.
func DeriveID(source, partition, offset string) string {
	return uuid.NewSHA1(sourceNamespace, []byte(strings.Join([]string{source, partition, offset}, "\x00"))).String()
}

// StoreID is the event's id in the event store, which knows only UUIDs: the
// event_id itself if it is one, else a UUIDv5 of it.
func (e *Event) StoreID() uuid.UUID {
	if len(e.ID) == 36 {
		if id, err := uuid.Parse(e.ID); err == nil {
			return id
		}
	}
	return uuid.NewSHA1(eventNamespace, []byte(e.ID))
}
