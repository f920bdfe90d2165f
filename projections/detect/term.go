package detect

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
)

// Which rules judge is said in the log, by an event of its own stream.
const (
	termEntity = "detection-rules"
	termStream = "config-" + termEntity
)

// term is since when rules judge. What their engine finds at events up to from belongs
// to the time of other rules, and is not recorded. Between from and the event that says
// so, others may have judged too, if it was not known how far they had come: what they
// have recorded there is not recorded again.
type term struct {
	rules  string // hash of the set; empty: no rules have judged this log
	before string // hash of the set before; empty: these were the first
	from   domain.Position
	event  string // id of the event that says so; empty: none does, nothing was found yet
	at     domain.Position
	newest string // id of the stream's newest event, whoever wrote it; empty: there is none
}

// termData is what the event says. Stored names.
type termData struct {
	Setting string `json:"setting"`
	Old     string `json:"old_value,omitzero"`
	New     string `json:"new_value"`
	From    string `json:"from"`
}

// lastTerm reads the newest term from the log. Who may record at all may record into
// this stream: only what the detector itself has said counts, and that can't be about
// what was still to come.
func (d *Detector) lastTerm(ctx context.Context) (term, error) {
	var last term
	for record, err := range d.Store.Stream(ctx, termStream, 0) {
		if err != nil {
			return term{}, err
		}
		last.newest = record.ID.String()
		e, err := record.Event()
		if err != nil || e.Type != domain.ConfigChanged || e.Source != Source {
			continue // somebody else's
		}
		data := termIn(e)
		if data.New == "" {
			continue
		}
		from, err := domain.ParsePosition(data.From)
		if err != nil || from.Compare(record.Position) >= 0 {
			continue
		}
		last = term{rules: data.New, before: data.Old, from: from, event: e.ID, at: record.Position, newest: last.newest}
	}
	return last, nil
}

// establish finds the term of the detector's rules, and begins one if the log's newest
// is of others. The first rules of a log judge all of it, and say so with their first
// finding.
func (t *turn) establish(ctx context.Context, snap *snapshot) (term, error) {
	d := t.detector
	for range 2 {
		last, err := d.lastTerm(ctx)
		if err != nil {
			return term{}, err
		}
		if last.rules == "" && snap != nil {
			last.rules = snap.Rules // they have found nothing
		}
		switch last.rules {
		case d.Rules.Hash():
			return last, nil
		case "":
			return term{rules: d.Rules.Hash(), newest: last.newest}, nil
		}
		next := term{rules: d.Rules.Hash(), before: last.rules, from: last.from, newest: last.newest}
		// How far they have come. Rules that were stopped while they read the time of
		// those before have come nowhere yet.
		if snap != nil && snap.Rules == last.rules && snap.Position.Compare(last.from) > 0 {
			next.from = snap.Position
		}
		if err := t.announce(ctx, &next); err != nil {
			return term{}, err
		}
	}
	return term{}, &domain.Error{Class: domain.ClassTransient, Code: "unsettled", Message: "other rules began to judge meanwhile"}
}

// announce records a term. The id of its event is derived from the stream's newest
// event, so that trying again says it once, and nobody can have taken it: whoever does
// adds to the stream.
func (t *turn) announce(ctx context.Context, next *term) error {
	d := t.detector
	data, err := json.Marshal(termData{"rules", next.before, next.rules, next.from.String()}, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encoding the term of the rules %s: %w", next.rules, err)
	}
	e := &domain.Event{
		ID:   domain.DeriveID(Source, next.newest, next.rules),
		Type: domain.ConfigChanged, OccurredAt: d.Now().UTC(), EntityType: "config", EntityID: termEntity,
		Actor: Source, SchemaVersion: domain.SchemaVersion, Data: data,
	}
	outcomes, err := t.send(ctx, []*domain.Event{e})
	if err != nil {
		return fmt.Errorf("recording which rules judge: %w", err)
	}
	if outcomes[0] == Refused {
		return errors.New("the event that says which rules judge was refused")
	}
	next.event, next.newest = e.ID, e.StoreID().String()
	return nil
}

// saidBefore collects the findings that were recorded under other rules where these
// count too.
func (d *Detector) saidBefore(ctx context.Context, term term, at domain.Position) (map[uuid.UUID]struct{}, error) {
	if at.Compare(term.from) < 0 {
		at = term.from
	}
	if term.before == "" || at.Compare(term.at) >= 0 {
		return nil, nil
	}
	said := make(map[uuid.UUID]struct{})
	for record, err := range d.Store.Forwards(ctx, at, math.MaxUint64) {
		if err != nil {
			return nil, fmt.Errorf("reading what other rules have found: %w", err)
		}
		if record.Position.Compare(term.at) > 0 {
			break
		}
		if record.Type == string(domain.AnomalyDetected) {
			said[record.ID] = struct{}{}
		}
	}
	return said, nil
}
