package eventstore

import (
	"context"
	"errors"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/tradetrail/tradetrail/domain"
)

// Revision is what an append expects of its stream: the number of the last
// event, or NoStream. Only exact expectations are offered: with deterministic
// event ids they make every append idempotent for ever, on every server, while
// "any" is idempotent only as long as a server's cache remembers.
type Revision int64

// NoStream expects that the stream does not exist.
const NoStream Revision = -1

// Appended says where an append ended.
type Appended struct {
	Revision Revision        // of the last event
	Position domain.Position // of the last event
}

// Append is an append under way; see Begin.
type Append struct {
	store    *Store
	stream   string
	expected Revision
	events   []Proposal
	first    *submission // nil without BatchAppend: nothing sent yet
	err      error
}

// Begin sends events to one stream, all or none, and does not wait; Wait must be
// called. Where the server offers BatchAppend, appends enter the log in the order
// of the calls to Begin (from one goroutine) as long as none has to be tried
// again; elsewhere the append starts with Wait and only the order within a stream
// holds. Never begin a second append to a stream whose first has not been waited
// for: if the first is refused, the second may not be.
func (s *Store) Begin(stream string, expected Revision, events []*domain.Event) *Append {
	proposals, err := propose(events)
	if err != nil {
		return &Append{err: err}
	}
	return s.BeginProposed(stream, expected, proposals)
}

// BeginProposed is Begin for events that are encoded. They must not be changed.
func (s *Store) BeginProposed(stream string, expected Revision, events []Proposal) *Append {
	a := &Append{store: s, stream: stream, expected: expected, events: events}
	if len(events) == 0 {
		// Servers answer it with revisions that mean nothing.
		a.err = domain.Rejectf(domain.CodeMissing, "", "an append without events")
		return a
	}
	a.first = s.batch.submit(stream, expected, a.events)
	return a
}

// Wait returns when the append is durable, or refused. An unknown outcome (no
// server, time-out, broken connection) is tried again with the same ids and the
// same expectation, with back-off, until ctx ends; then the error is
// ClassTransient and the outcome still unknown. ClassConflict means that the
// stream is not at the expected revision and does not hold these events there.
func (a *Append) Wait(ctx context.Context) (Appended, error) {
	if a.err != nil {
		return Appended{}, a.err
	}
	for attempt := 0; ; attempt++ {
		done, err := a.try(ctx)
		if err == nil {
			return done, nil
		}
		err = translate(ctx, "appending to "+a.stream, err)
		if domain.ClassOf(err) != domain.ClassTransient {
			return Appended{}, err
		}
		if pauseErr := a.store.pause(ctx, attempt); pauseErr != nil {
			return Appended{}, errors.Join(err, pauseErr)
		}
	}
}

// Append is Begin and Wait in one.
func (s *Store) Append(ctx context.Context, stream string, expected Revision, events []*domain.Event) (Appended, error) {
	return s.Begin(stream, expected, events).Wait(ctx)
}

func (a *Append) try(ctx context.Context) (Appended, error) {
	sent := a.first
	if a.first = nil; sent == nil {
		sent = a.store.batch.submit(a.stream, a.expected, a.events)
	}
	if sent == nil {
		return a.alone(ctx)
	}
	var o batchOutcome
	select {
	case o = <-sent.outcome: // is known whether ctx has ended or not
	default:
		select {
		case o = <-sent.outcome: // comes within the batcher's patience, and when the store is closed
		case <-ctx.Done():
			sent.givenUp.Store(true)
			return Appended{}, ctx.Err()
		}
	}
	if errors.Is(o.err, errNotOffered) {
		return a.alone(ctx)
	}
	return o.appended, o.err
}

// alone appends through the official client.
func (a *Append) alone(ctx context.Context) (Appended, error) {
	if a.store.clients == nil {
		return Appended{}, classified(domain.ClassUnknown, CodeUnclassified, "the server in this process does not offer BatchAppend", nil)
	}
	ctx, cancel := a.store.bound(ctx)
	defer cancel()
	ctx, cancelCall := context.WithTimeout(ctx, callTimeout)
	defer cancelCall()
	select {
	case a.store.alone <- struct{}{}:
		defer func() { <-a.store.alone }()
	case <-ctx.Done():
		return Appended{}, ctx.Err()
	}
	client, err := a.store.clients.take(ctx)
	if err != nil {
		return Appended{}, err
	}
	defer func() { a.store.clients.give(client, err) }()
	events := make([]esdb.EventData, len(a.events))
	for i, e := range a.events {
		events[i] = esdb.EventData{
			EventID: e.id, EventType: e.eventType, ContentType: esdb.ContentTypeJson, Data: e.data, Metadata: e.metadata,
		}
	}
	options := esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}
	if a.expected >= 0 {
		options.ExpectedRevision = esdb.Revision(uint64(a.expected))
	}
	result, err := caught(func() (*esdb.WriteResult, error) {
		return client.AppendToStream(ctx, a.stream, options, events...)
	})
	if err != nil {
		return Appended{}, err
	}
	return Appended{
		Revision: Revision(result.NextExpectedVersion), //nolint:gosec // revisions are int64 on the server
		Position: domain.Position{Commit: result.CommitPosition, Prepare: result.PreparePosition},
	}, nil
}
