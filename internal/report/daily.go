package report

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
)

// daily is the report of a desk's day, in UTC: counts and sums, then what was changed,
// who did what, and what was found.
func daily(ctx context.Context, v Views, log Log, r Request, now time.Time, seen func(int)) (Document, error) {
	from, to := r.window()
	day := inWindow(filter.Filter{}, from, to)
	s, err := openSource(ctx, v, log, day, seen)
	if err != nil {
		return Document{}, err
	}
	d := Document{Title: "Daily audit report " + r.Day, Name: r.name(), Created: now, UpTo: s.upTo, About: append(r.about(now, s.upTo), s.proof.facts()...), proof: s.proof}
	d.Contents = func(yield func(Block, error) bool) {
		sum, err := s.summary(day)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, block := range sum.blocks() {
			if !yield(block, nil) {
				return
			}
		}
		for _, part := range s.lists(day) {
			if !yield(Section{part.title}, nil) || !yield(part.table, nil) {
				return
			}
		}
	}
	return d, nil
}

// summary is one pass over a day.
type summary struct {
	tally

	trades     executions
	types      map[domain.EventType]int64
	strategies grouped[strategyDay]
	users      grouped[userDay]
	owners     map[string]*strategyDay // by order
	ownerless  bool                    // there are more orders than owners
}

// maxOwners bounds the orders whose strategies are kept.
const maxOwners = 100_000

type strategyDay struct {
	tally

	outcomes map[string]int64 // of signals
	anomaly  int64
}

type userDay struct {
	events  int64
	actions map[string]int64
}

// maxOutcomes bounds the different words for an outcome, or for an action, that are
// counted apart.
const maxOutcomes = 50

func countIn[K ~string](counts *map[K]int64, name K, most int) {
	if *counts == nil {
		*counts = make(map[K]int64)
	}
	if _, known := (*counts)[name]; !known && len(*counts) >= most {
		name = otherGroups
	}
	(*counts)[name]++
}

func (s *source) summary(day filter.Filter) (*summary, error) {
	sum := &summary{strategies: make(grouped[strategyDay]), users: make(grouped[userDay]), owners: make(map[string]*strategyDay)}
	for e, err := range s.events(day) {
		if err != nil {
			return nil, err
		}
		sum.add(e.Event)
	}
	return sum, nil
}

func (s *summary) add(e *domain.Event) {
	s.tally.add(e)
	countIn(&s.types, e.Type, maxGroups)
	if e.Type.Family() == "user" {
		user := s.users.of(cmp.Or(e.UserID, e.Actor))
		user.events++
		countIn(&user.actions, actionOf(e), maxOutcomes)
	}
	strategy := s.strategyOf(e)
	strategy.add(e)
	s.trades.add(e, &s.tally, &strategy.tally)
	switch e.Type {
	case domain.SignalComputed:
		countIn(&strategy.outcomes, outcomeOf(e), maxOutcomes)
	case domain.AnomalyDetected:
		strategy.anomaly++
	default:
		// Counted by its type.
	}
}

// strategyOf is the strategy that an event names; if it names none, the one that its
// order's earlier events of the day named first (fills often name only the order).
func (s *summary) strategyOf(e *domain.Event) *strategyDay {
	first := s.owners[e.OrderID]
	if e.StrategyID == "" {
		if first != nil {
			return first
		}
		return s.strategies.of("")
	}
	strategy := s.strategies.of(e.StrategyID)
	switch {
	case e.OrderID == "" || first != nil:
	case len(s.owners) == maxOwners:
		s.ownerless = true
	default:
		s.owners[e.OrderID] = strategy
	}
	return strategy
}

// outcomeOf is what a signal says came of it.
func outcomeOf(e *domain.Event) string {
	d := readData(e)
	for _, name := range []string{"outcome", "status", "result", "action", "signal"} {
		if said := text(d[name]); said != "" {
			return short(said)
		}
	}
	if string(d["success"]) == "false" || len(d["error"]) > 0 && d["error"].Kind() != 'n' {
		return "failed"
	}
	if len(d["output"]) > 0 || string(d["success"]) == "true" {
		return "computed"
	}
	return "not said"
}

func actionOf(e *domain.Event) string {
	if said := text(readData(e)["action"]); said != "" {
		return short(said)
	}
	return string(e.Type)
}

// short keeps names for counting from being whole texts.
func short(name string) string { return cut(name, domain.MaxNameBytes) }

func cut(text string, most int) string {
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// blocks are the sums.
func (s *summary) blocks() []Block {
	if s.events == 0 {
		return []Block{Note{Text: "Nothing is recorded of this day."}}
	}
	blocks := []Block{
		Section{"Summary"},
		append(Facts{{"signals", "Signals computed", s.count(domain.SignalComputed)}}, append(
			append(s.facts(), s.trades.facts()...),
			Fact{"config_changes", "Configuration changes", s.count(domain.ConfigChanged)},
			Fact{"user_actions", "User actions", s.count(domain.UserAction, domain.UserLoggedIn)},
			Fact{"anomalies", "Anomalies", s.count(domain.AnomalyDetected)},
		)...),
		Section{"By strategy"},
	}
	if s.ownerless {
		blocks = append(blocks, Note{Text: "Events that name only their order are under its strategy for the first " + strconv.Itoa(maxOwners) + " orders; the rest is under (none named).", Tone: Notice})
	}
	return append(
		blocks,
		Table{Key: "strategies", Columns: strategyColumns(), Rows: listed(s.strategies.names(), s.strategyRow), Empty: "No strategy is named."},
		Section{"Users"},
		Table{Key: "users", Columns: []Column{{"user_id", "User", 10}, {"events", "Events", 5}, {"actions", "What they did", 40}}, Rows: listed(s.users.names(), s.userRow), Empty: "No user did anything that is recorded."},
		Section{"Events by type"},
		Table{Key: "types", Columns: []Column{{"event_type", "Event", 10}, {"events", "Events", 30}}, Rows: listed(slices.Sorted(maps.Keys(s.types)), s.typeRow), Empty: "None."},
	)
}

func strategyColumns() []Column {
	return []Column{
		{"strategy_id", "Strategy", 12},
		{"signals", "Signals, by outcome", 14},
		{"recommendations", "Recommended", 7},
		{"suppressed", "Suppressed", 6},
		{"risk_rejected", "Risk rejected", 6},
		{"submitted", "Submitted", 6},
		{"filled", "Filled", 5},
		{"rejected", "Rejected", 5},
		{"cancelled", "Cancelled", 6},
		{"executions", "Executions", 6},
		{"value", "Value", 10},
		{"slippage_bps", "Slippage, bps", 6},
		{"commission", "Commission", 7},
		{"anomalies", "Anomalies", 6},
	}
}

func (s *summary) strategyRow(name string) Row {
	t := s.strategies[name]
	row := Row{Cells: []string{
		cmp.Or(name, "(none named)"), countsText(t.outcomes),
		t.count(domain.RecommendationGenerated), t.count(domain.RecommendationSuppressed), t.count(domain.RiskRejected),
		t.count(domain.OrderSubmitted), t.count(domain.OrderFilled), t.count(domain.OrderRejected), t.count(domain.OrderCancelled),
		strconv.FormatInt(t.fills, 10), t.value(), t.averageSlippage(), t.commission(), strconv.FormatInt(t.anomaly, 10),
	}}
	if t.anomaly > 0 {
		row.Tone = Notice
	}
	return row
}

func (s *summary) userRow(name string) Row {
	u := s.users[name]
	return Row{Cells: []string{cmp.Or(name, "(none named)"), strconv.FormatInt(u.events, 10), countsText(u.actions)}}
}

func (s *summary) typeRow(t domain.EventType) Row {
	return Row{Cells: []string{string(t), strconv.FormatInt(s.types[t], 10)}}
}

func countsText(counts map[string]int64) string {
	parts := make([]string, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, name+" "+strconv.FormatInt(counts[name], 10))
	}
	return strings.Join(parts, ", ")
}

// part is a section of one table.
type part struct {
	title string
	table Table
}

// lists are the events of a day that are worth a line each.
func (s *source) lists(day filter.Filter) []part {
	events := func(title, key, empty string, types ...string) part {
		return part{title, Table{Key: key, Columns: eventColumns(), Rows: s.rows(s.events(typed(day, types...)), eventRow), Empty: empty}}
	}
	return []part{
		events("Configuration changes", "config_changes", "No configuration was changed.", string(domain.ConfigChanged)),
		events("Trading modes and circuit breakers", "modes", "No trading mode was changed, and no circuit breaker triggered.",
			string(domain.TradingModeChanged), string(domain.CircuitBreakerTriggered)),
		events("User actions", "user_actions", "No user action is recorded.", "user.*"),
		{"Anomalies", Table{Key: "anomalies", Columns: findingColumns(), Rows: s.rows(s.events(typed(day, string(domain.AnomalyDetected))), findingRow), Empty: "No anomalies are recorded."}},
	}
}
