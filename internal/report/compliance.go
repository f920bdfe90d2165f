package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
	"github.com/tradetrail/tradetrail/projections/views"
)

// compliance is the report for who answers to an examiner: what is recorded, for how
// long it is to be kept, whether it is whole, what is missing, and who looked.
func compliance(ctx context.Context, v Views, log Log, r Request, now time.Time, seen func(int)) (Document, error) {
	from, to := r.window()
	f := inWindow(filter.Filter{}, from, to)
	s, err := openSource(ctx, v, log, f, seen)
	if err != nil {
		return Document{}, err
	}
	statuses, err := v.Status(ctx)
	if err != nil {
		return Document{}, err
	}
	d := Document{Title: "Compliance report", Name: r.name(), Created: now, UpTo: s.upTo, About: append(r.about(now, s.upTo), s.proof.facts()...), proof: s.proof}
	d.Contents = func(yield func(Block, error) bool) {
		held, err := s.holding(f)
		if err != nil {
			yield(nil, err)
			return
		}
		blocks := held.blocks()
		blocks = append(blocks, integrity(statuses, s.proof.sealed(held.unsealed))...)
		blocks = append(blocks, Section{"Gaps"}, s.parked(statuses))
		for _, block := range blocks {
			if !yield(block, nil) {
				return
			}
		}
		events := func(key, empty string, types ...string) Table {
			return Table{Key: key, Columns: eventColumns(), Rows: s.rows(s.events(typed(f, types...)), eventRow), Empty: empty}
		}
		for _, block := range []Block{
			Note{Text: "Sessions: gaps, resend requests, sequence resets, rejects and disconnections are where messages were lost or doubled on the way to us."},
			events("session_gaps", "No gap in a session is recorded.", string(domain.SessionGapDetected), string(domain.SessionGapFilled), string(domain.SessionResendRequested),
				string(domain.SessionSequenceReset), string(domain.SessionRejected), string(domain.SessionBusinessRejected), string(domain.SessionDisconnected)),
			Note{Text: "Quarantine: input that could not be understood, kept as it came."},
			events("quarantine", "Nothing is in quarantine.", string(domain.InputQuarantined)),
			Section{"Access"},
			events("access", "No access is recorded.", "access.*", string(domain.UserLoggedIn), string(domain.ReportGenerated)),
		} {
			if !yield(block, nil) {
				return
			}
		}
	}
	return d, nil
}

// held is what a window has, counted.
type held struct {
	events          int64
	byType          grouped[span]
	bySource        grouped[span]
	byClass         map[string]*span
	noClock, noUser int64
	unsealed        int64
}

// span is how many events there are, and from when to when.
type span struct {
	events      int64
	first, last time.Time
}

func (s *span) add(at time.Time) {
	if s.events == 0 || at.Before(s.first) {
		s.first = at
	}
	if s.events == 0 || at.After(s.last) {
		s.last = at
	}
	s.events++
}

func (s *source) holding(f filter.Filter) (*held, error) {
	h := &held{byType: make(grouped[span]), bySource: make(grouped[span]), byClass: make(map[string]*span)}
	for e, err := range s.events(f) {
		if err != nil {
			return nil, err
		}
		h.events++
		if !s.proof.isSealed(e.Position) {
			h.unsealed++
		}
		h.byType.of(string(e.Type)).add(e.OccurredAt)
		h.bySource.of(e.Source).add(e.OccurredAt)
		if e.Clock == nil {
			h.noClock++
		}
		if e.Actor == "" && e.UserID == "" {
			h.noUser++
		}
		for _, c := range recordClasses() {
			if c.has(e.Type) {
				if h.byClass[c.key] == nil {
					h.byClass[c.key] = new(span)
				}
				h.byClass[c.key].add(e.OccurredAt)
			}
		}
	}
	return h, nil
}

func (h *held) blocks() []Block {
	columns := func(key, name string) []Column {
		return []Column{{key, name, 20}, {"events", "Events", 8}, {"first_at", "First", 15}, {"last_at", "Last", 15}}
	}
	row := func(of grouped[span]) func(string) Row {
		return func(name string) Row {
			return Row{Cells: []string{cmp.Or(name, "(none named)"), strconv.FormatInt(of[name].events, 10), timeText(of[name].first), timeText(of[name].last)}}
		}
	}
	return []Block{
		Section{"What was recorded"},
		Facts{
			{"events", "Events", strconv.FormatInt(h.events, 10)},
			{"without_clock", "Without what is known of the source's clock", strconv.FormatInt(h.noClock, 10)},
			{"without_actor", "Without an actor and without a user", strconv.FormatInt(h.noUser, 10)},
		},
		Table{Key: "types", Columns: columns("event_type", "Event"), Rows: listed(h.byType.names(), row(h.byType)), Empty: "Nothing is recorded in this window."},
		Table{Key: "sources", Columns: columns("source", "Source"), Rows: listed(h.bySource.names(), row(h.bySource)), Empty: "No source has sent anything in this window."},
		Section{"Retention by record class"},
		Note{Text: "An event can be of several classes; the longest period holds. Nothing is deleted by this service. The periods are the regulations' own; what applies to a firm is for its counsel to say."},
		Table{Key: "retention", Columns: retentionColumns(), Rows: listed(recordClasses(), h.retentionRow), Empty: "None."},
	}
}

func retentionColumns() []Column {
	return []Column{
		{"class", "Record class", 20},
		{"rule", "Rule", 14},
		{"years", "Years", 5},
		{"events", "Events", 7},
		{"first_at", "First", 14},
		{"last_at", "Last", 14},
		{"keep_until", "The last to be kept until", 12},
	}
}

func (h *held) retentionRow(c recordClass) Row {
	cells := []string{c.name, c.rule, strconv.Itoa(c.years), "0", "", "", ""}
	if s := h.byClass[c.key]; s != nil {
		cells[3], cells[4], cells[5] = strconv.FormatInt(s.events, 10), timeText(s.first), timeText(s.last)
		cells[6] = s.last.UTC().AddDate(c.years, 0, 0).Format(time.DateOnly)
	}
	return Row{Cells: cells}
}

// integrity is what is known today: what is sealed, and how the read models stand.
func integrity(statuses []views.Status, sealed Facts) []Block {
	return []Block{
		Section{"Integrity"},
		append(sealed, Fact{"views", "Read models compared with the log", "where a rebuild was asked for, see below"}),
		Table{
			Key: "views", Empty: "There are no read models.",
			Columns: []Column{{"view", "Read model", 10}, {"version", "Version", 5}, {"position", "Position", 14}, {"behind", "Events behind", 8}, {"parked", "Parked", 6}, {"compared", "Compared", 30}},
			Rows:    listed(statuses, viewRow),
		},
	}
}

func viewRow(s views.Status) Row {
	row := Row{Cells: []string{s.Name, strconv.Itoa(s.Version), s.Position.String(), strconv.FormatInt(s.Behind, 10), strconv.FormatInt(s.Parked, 10), "not asked"}}
	if p := s.Rebuild; p != nil && p.State == views.RebuildDone {
		row.Cells[5] = fmt.Sprintf("equal to the log at %s: %d keys", timeText(p.EndedAt), p.Keys)
		if !p.Equal() {
			row.Cells[5] = fmt.Sprintf("%d of %d keys differed at %s; the rebuilt ones are read", p.Differing, p.Keys, timeText(p.EndedAt))
			row.Tone = Alarm
		}
	}
	if s.Parked > 0 {
		row.Tone = max(row.Tone, Notice)
	}
	return row
}

// maxParked bounds what is listed of each read model.
const maxParked = 1000

func (s *source) parked(statuses []views.Status) Table {
	return Table{
		Key: "parked", Empty: "No read model has put an event aside.",
		Columns: append([]Column{{"view", "Read model", 8}, {"position", "Position", 12}, {"stream", "Stream", 14}, {"event_type", "Event", 10}, {"event_id", "Event id", 13}, {"order_id", "Order", 10}, {"reason", "Reason", 25}}, leafColumns()...),
		Rows: func(yield func(Row, error) bool) {
			for _, status := range statuses {
				if status.Parked == 0 {
					continue
				}
				parked, err := s.views.Parked(s.ctx, status.Name)
				if err != nil {
					yield(Row{}, err)
					return
				}
				for _, p := range parked[:min(len(parked), maxParked)] {
					row, err := s.parkedRow(p)
					if !yield(row, err) {
						return
					}
				}
				if left := len(parked) - maxParked; left > 0 && !yield(Row{Cells: []string{status.Name, "", "", "", "", "", strconv.Itoa(left) + " more", "", ""}, Tone: Notice}, nil) {
					return
				}
			}
		},
	}
}

func (s *source) parkedRow(p views.Parked) (Row, error) {
	at, err := domain.ParsePosition(p.Position)
	if err != nil {
		return Row{}, fmt.Errorf("reading what %s has put aside: %w", p.View, err)
	}
	leaf, err := s.proof.leaf(at)
	return Row{Cells: append([]string{p.View, p.Position, p.Stream, p.Type, p.EventID, p.OrderID, p.Reason}, leaf...), Tone: Notice}, err
}

// recordClass is a class of records that a rule has a period for.
type recordClass struct {
	key, name, rule string
	years           int
	families        []string
	executions      bool // those of orders too
}

func (c recordClass) has(t domain.EventType) bool {
	if c.families == nil { // what no rule with a period speaks of
		return !slices.ContainsFunc(recordClasses(), func(other recordClass) bool { return other.families != nil && other.has(t) })
	}
	return slices.Contains(c.families, t.Family()) || c.executions && t.Stage() == domain.StageExecution
}

func recordClasses() []recordClass {
	orders := []string{"order", "approval", "risk", "recommendation"}
	return []recordClass{
		{key: "order_memoranda", name: "Order memoranda: terms, times, persons", rule: "SEC 17a-3(a)(6)/(7), 17a-4(b)", years: 3, families: orders},
		{key: "blotters", name: "Blotters, ledgers, position records", rule: "SEC 17a-3(a)(1)-(3), (5), 17a-4(a)", years: 6, families: []string{"trade", "position"}, executions: true},
		{key: "cat", name: "CAT-reportable information", rule: "SEC 17a-4(b)", years: 3, families: []string{"order", "trade"}},
		{key: "clocks", name: "Clock synchronisation logs", rule: "CAT NMS plan", years: 5, families: []string{"clock"}},
		{key: "hft", name: "Order records of high-frequency traders", rule: "MiFID II RTS 6 Art. 28(3)", years: 5, families: []string{"order", "trade"}},
		{key: "front_end", name: "Front-end audit trail", rule: "CME 536.B", years: 5, families: []string{"order", "session", "user"}},
		{key: "unstated", name: "Records without a stated period", rule: "FINRA 4511", years: 6},
	}
}
