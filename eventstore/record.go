package eventstore

import (
	"io"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
)

// Record is one recorded event as the store keeps it, bytes untouched.
type Record struct {
	ID       uuid.UUID
	Type     string
	Stream   string
	Revision uint64
	Position domain.Position
	Created  time.Time // the store's clock, 100 ns steps
	Data     []byte
	Metadata []byte
}

// System reports whether the event is the server's own (metadata, links,
// statistics): its type begins with "$". A Follower leaves these out.
func (r *Record) System() bool { return strings.HasPrefix(r.Type, "$") }

// Event decodes the payload. Events that others wrote into the same store may
// not be ours; the error is ClassRejected then.
func (r *Record) Event() (*domain.Event, error) { return domain.Decode(r.Data) }

// Located decodes the payload and keeps the place.
func (r *Record) Located() (domain.Located, error) {
	e, err := r.Event()
	if err != nil {
		return domain.Located{}, err
	}
	return domain.Located{Event: e, Stream: r.Stream, Revision: r.Revision, Position: r.Position}, nil
}

func newRecord(e *esdb.RecordedEvent) Record {
	return Record{
		ID: e.EventID, Type: e.EventType, Stream: e.StreamID, Revision: e.EventNumber,
		Position: domain.Position{Commit: e.Position.Commit, Prepare: e.Position.Prepare},
		Created:  e.CreatedDate, Data: e.Data, Metadata: e.UserMetadata,
	}
}

// Proposal is an encoded event on its way into the store.
type Proposal struct {
	id             uuid.UUID
	eventType      string
	data, metadata []byte
}

// ID is the event's id in the store.
func (p *Proposal) ID() uuid.UUID { return p.id }

// Size is what the event takes of the bytes that one append may have, about.
func (p *Proposal) Size() int { return len(p.data) + len(p.metadata) + len(p.eventType) + 64 }

// Propose encodes an event. What its source said goes to said, as with
// domain.Event.EncodeTo.
func Propose(e *domain.Event, said io.Writer) (Proposal, error) {
	data, err := e.EncodeTo(said)
	if err != nil {
		return Proposal{}, domain.Rejectf(domain.CodeInvalid, "", "encoding event %s: %v", e.ID, err)
	}
	p := Proposal{id: e.StoreID(), eventType: string(e.Type), data: data}
	if e.CorrelationID == "" && e.CausationID == "" {
		return p, nil
	}
	// EventStoreDB's own names, so that its $by_correlation_id projection works.
	p.metadata, err = json.Marshal(struct {
		Correlation string `json:"$correlationId,omitzero"`
		Causation   string `json:"$causationId,omitzero"`
	}{e.CorrelationID, e.CausationID})
	if err != nil {
		return Proposal{}, domain.Rejectf(domain.CodeInvalid, "", "encoding metadata of event %s: %v", e.ID, err)
	}
	return p, nil
}

func propose(events []*domain.Event) ([]Proposal, error) {
	out := make([]Proposal, len(events))
	for i, e := range events {
		var err error
		if out[i], err = Propose(e, io.Discard); err != nil {
			return nil, err
		}
	}
	return out, nil
}
