package views

import (
	"cmp"
	"context"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// anomaliesView keeps what became of each anomaly, and how many were detected when.
//
//	a     table  anomaly -> its state as JSON, packed
//	t, T  trails AnomalyActs -> the events that say what was done about anomalies
//	h     hash   per dimension and hour of occurred_at: quarter, severity, value -> how many were detected
//	y     hash   the hours that there are
type anomaliesView struct{}

// AnomalyActs is the id of the trail of what was done about anomalies.
const AnomalyActs = "acts"

func (anomaliesView) name() string { return Anomalies }
func (anomaliesView) version() int { return 2 }

// anomalyRow is the state of an anomaly and where the event stands that detected it.
type anomalyRow struct {
	domain.Anomaly

	Place string `json:"place,omitzero"`
}

func (anomaliesView) fold(ctx context.Context, r reader, events []feed.Event, b *batch) error {
	var ids []string
	states := make(map[string]*anomalyRow)
	trail := ownerTrails.grow()
	read := r.rows()
	counts := newHeatCounts()
	for _, e := range events {
		if e.Event == nil {
			continue
		}
		id := domain.AnomalyID(e.Event)
		if id == "" {
			continue
		}
		if states[id] == nil {
			states[id] = &anomalyRow{}
			ids = append(ids, id)
			read.want("a", id)
		}
		if e.Type == domain.AnomalyDetected {
			counts.add(e.Event)
			continue
		}
		trail.add(AnomalyActs, e.Position)
		b.touch(ownerTopic(Anomalies, AnomalyActs))
	}
	if len(ids) == 0 {
		return nil
	}
	trail.want(read)
	if err := read.read(ctx, r.client); err != nil {
		return err
	}
	for _, id := range ids {
		packed, ok := read.row("a", id)
		if !ok {
			continue
		}
		var err error
		if *states[id], err = parseAnomaly(id, packed); err != nil {
			return err
		}
	}
	for _, e := range events {
		if e.Event == nil {
			continue
		}
		if state := states[domain.AnomalyID(e.Event)]; state != nil {
			before := state.Detected
			state.Apply(e.Event)
			if state.Detected != before {
				state.Place = e.Position.String()
			}
		}
	}
	for _, id := range ids {
		text, err := json.Marshal(states[id], json.Deterministic(true))
		if err != nil {
			return damaged("an anomaly %s that can't be written", id)
		}
		b.set("a", id, pack(text))
	}
	counts.write(b)
	return trail.write(read, b)
}

func parseAnomaly(id, packed string) (row anomalyRow, err error) {
	text, err := unpack(packed)
	if err != nil {
		return anomalyRow{}, err
	}
	if err := json.Unmarshal(text, &row); err != nil {
		return anomalyRow{}, damaged("an unreadable anomaly %s", id)
	}
	return row, nil
}

// anomalyRows reads states in one round trip; those that nobody knows are missing.
func (s *Set) anomalyRows(ctx context.Context, ids []string) (map[string]anomalyRow, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	slot, err := s.slot(Anomalies)
	if err != nil {
		return nil, err
	}
	return read(ctx, s, slot, func(live *Generation, _ *pulse) (map[string]anomalyRow, error) {
		packed, err := readRows(ctx, live.reads, live.keys(), "a", ids)
		if err != nil {
			return nil, err
		}
		found := make(map[string]anomalyRow, len(packed))
		for id, text := range packed {
			if found[id], err = parseAnomaly(id, text); err != nil {
				return nil, err
			}
		}
		return found, nil
	})
}

// AnomalyRecord is an anomaly: the event that detected it and what became of it.
type AnomalyRecord struct {
	Detected domain.Located
	State    domain.Anomaly
}

// Anomaly reads one anomaly; ok is false when no event says that it was detected.
func (s *Set) Anomaly(ctx context.Context, id string) (found AnomalyRecord, ok bool, err error) {
	rows, err := s.anomalyRows(ctx, []string{id})
	row := rows[id]
	if err != nil || row.Place == "" {
		return AnomalyRecord{}, false, err
	}
	place, err := domain.ParsePosition(row.Place)
	if err != nil {
		return AnomalyRecord{}, false, damaged("an anomaly %s at no position", id)
	}
	body, err := s.bodies(ctx, []domain.Position{place})
	if err != nil {
		return AnomalyRecord{}, false, err
	}
	return AnomalyRecord{Detected: body.events[0], State: row.Anomaly}, true, nil
}

// AnomalyQuery is a search for anomalies; its Types count for nothing. An empty list
// agrees with all.
type AnomalyQuery struct {
	Query

	Kinds, Rules, Severities []string // as the detector says, letter by letter
	Statuses                 []domain.AnomalyStatus
}

// wantsAll reports whether the Query says it all.
func (q AnomalyQuery) wantsAll() bool {
	return len(q.Kinds)+len(q.Rules)+len(q.Severities)+len(q.Statuses) == 0
}

// Wants reports whether an anomaly is of the kinds, rules, severities and statuses that
// are asked for.
func (q AnomalyQuery) Wants(d domain.Detection, status domain.AnomalyStatus) bool {
	has := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	return has(q.Kinds, d.Kind) && has(q.Rules, d.Rule) && has(q.Severities, d.Severity) &&
		(len(q.Statuses) == 0 || slices.Contains(q.Statuses, status))
}

// FoundAnomalies are what a search found: the events that detected them, and of each,
// in the same order, what became of it by now.
type FoundAnomalies struct {
	Found

	States []domain.Anomaly
}

// SearchAnomalies finds anomalies. As with Search the page may end before it is full,
// with More: it looks at MaxExamined of them, and up to MaxPage more. Two events that
// detect the same anomaly have one state.
func (s *Set) SearchAnomalies(ctx context.Context, q AnomalyQuery) (FoundAnomalies, error) {
	q.Types = []string{string(domain.AnomalyDetected)}
	if q.wantsAll() {
		found, err := s.Search(ctx, q.Query)
		if err != nil {
			return FoundAnomalies{}, err
		}
		states, err := s.statesOf(ctx, found.Events)
		if err != nil {
			return FoundAnomalies{}, err
		}
		return FoundAnomalies{found, states}.within(s.limits.bytes), nil
	}
	limit := min(max(q.Limit, 0), MaxPage)
	var out FoundAnomalies
	bytes := 0
	walk := anomalyWalk{set: s, query: q, states: true, examine: MaxExamined}
	err := walk.each(ctx, func(e domain.Located, state domain.Anomaly) bool {
		if len(out.Events) == limit || bytes > s.limits.bytes {
			return false
		}
		bytes += len(e.Data) + len(e.Raw) + said(state)
		out.Events, out.States = append(out.Events, e), append(out.States, state)
		return true
	})
	walk.found.Events = out.Events
	out.Found = walk.found
	return out, err
}

// said is how long the texts of a state are.
func said(state domain.Anomaly) int { return len(state.Assignee) + len(state.Reason) }

// within ends the page where its states say more than so many bytes.
func (f FoundAnomalies) within(most int) FoundAnomalies {
	bytes := 0
	for i, state := range f.States {
		if bytes > most {
			f.Events, f.States, f.More, f.Reached = f.Events[:i], f.States[:i], true, f.Events[i-1].Position
			return f
		}
		bytes += said(state)
	}
	return f
}

// anomalyWalk goes through what a query wants, in as many searches as it takes.
type anomalyWalk struct {
	set     *Set
	query   AnomalyQuery
	states  bool  // are wanted, also where the query does not ask for them
	examine int   // events after which no other search is begun
	found   Found // of all searches; without the events
}

// each gives take what is wanted, until take has no room for it.
func (w *anomalyWalk) each(ctx context.Context, take func(domain.Located, domain.Anomaly) bool) error {
	q := w.query
	q.Types = []string{string(domain.AnomalyDetected)}
	for q.Limit = max(q.Limit, 1); ; q.Limit = MaxPage {
		found, err := w.set.Search(ctx, q.Query)
		if err != nil {
			return err
		}
		if w.found.UpTo.IsZero() {
			w.found.UpTo = found.UpTo
		}
		w.found.Examined += found.Examined
		w.found.Archived += found.Archived
		w.found.Failed += found.Failed
		w.found.Failure = cmp.Or(w.found.Failure, found.Failure)
		states := make([]domain.Anomaly, len(found.Events))
		if w.states || len(q.Statuses) > 0 {
			if states, err = w.set.statesOf(ctx, found.Events); err != nil {
				return err
			}
		}
		for i, e := range found.Events {
			if q.Wants(domain.DetectionIn(e.Event), states[i].Status) && !take(e, states[i]) {
				w.found.More = true
				return nil
			}
			w.found.Reached = e.Position
		}
		w.found.More, w.found.Reached = found.More, found.Reached
		if !found.More || w.found.Examined >= w.examine || found.Reached.IsZero() {
			return nil
		}
		if q.Backwards {
			q.Before = found.Reached
		} else {
			q.After = found.Reached
		}
	}
}

// statesOf reads what became of the anomalies of events, in one round trip. What the
// view has not seen yet is open.
func (s *Set) statesOf(ctx context.Context, events []domain.Located) ([]domain.Anomaly, error) {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = domain.AnomalyID(e.Event)
	}
	rows, err := s.anomalyRows(ctx, ids)
	if err != nil {
		return nil, err
	}
	states := make([]domain.Anomaly, len(events))
	for i, e := range events {
		if row, ok := rows[ids[i]]; ok {
			states[i] = row.Anomaly
		} else {
			states[i].Apply(e.Event)
		}
	}
	return states, nil
}
