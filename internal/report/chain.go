package report

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/filter"
)

// maxDrawn is how many steps a timeline has; the table has all.
const maxDrawn = 80

// chain is the report of an order.
func chain(ctx context.Context, v Views, log Log, r Request, now time.Time, seen func(int)) (Document, error) {
	s, err := openSource(ctx, v, log, filter.Filter{Orders: []string{r.ID}}, seen)
	if err != nil {
		return Document{}, err
	}
	c, err := s.chain(r.ID)
	if err != nil {
		return Document{}, err
	}
	d := Document{Title: "Order " + r.ID, Name: r.name(), Created: now, UpTo: s.upTo, About: append(r.about(now, s.upTo), s.proof.facts()...), proof: s.proof}
	if len(c.Steps) == 0 {
		d.Contents = only(Note{Text: "Nothing is recorded about this order: no event names it."})
		return d, nil
	}
	steps, found := decided(c)
	blocks := []Block{Section{"State"}, stateOf(c, steps)}
	for _, code := range c.Order.Odd {
		blocks = append(blocks, Note{Text: "Odd about the record: " + code, Tone: Notice})
	}
	blocks = append(
		blocks,
		Section{"Anomalies"},
		Table{Key: "anomalies", Columns: findingColumns(), Rows: s.rows(each(found), findingRow), Empty: "No anomalies are recorded for this order."},
	)
	var marks findings
	for _, e := range found {
		marks.add(readFinding(e.Event))
	}
	blocks = append(
		blocks,
		marks.note(),
		Section{"Timeline"}, timelineOf(steps, marks),
		Section{"Steps"},
		Table{Key: "steps", Columns: stepColumns(), Rows: rows(s.proof, each(steps), stepAt, func(s domain.Step) Row { return marks.mark(stepRow(s), s.ID) }), Empty: "The order has no steps of its own."},
	)
	d.Contents = only(blocks...)
	return d, nil
}

// chain is an order's, as far as the log went when the source was opened.
func (s *source) chain(order string) (domain.Chain, error) {
	c, _, _, err := s.views.Chain(s.ctx, order)
	if err != nil {
		return domain.Chain{}, err
	}
	s.seen(len(c.Steps))
	events := make([]domain.Located, 0, len(c.Steps))
	for _, step := range c.Steps {
		if step.Position.Compare(s.upTo) <= 0 {
			events = append(events, step.Located)
		}
	}
	if len(events) == len(c.Steps) {
		return c, nil
	}
	return domain.BuildChain(order, events), nil
}

// decided parts the steps of a chain from what was found about them. Each latency is
// from the step before, whatever was found in between.
func decided(c domain.Chain) (steps []domain.Step, found []domain.Located) {
	for _, s := range c.Steps {
		if s.Type == domain.AnomalyDetected {
			found = append(found, s.Located)
			continue
		}
		s.LatencyFromPrevious = 0
		if len(steps) > 0 {
			s.LatencyFromPrevious = s.OccurredAt.Sub(steps[len(steps)-1].OccurredAt)
		}
		steps = append(steps, s)
	}
	return steps, found
}

func stateOf(c domain.Chain, steps []domain.Step) Facts {
	o := c.Order
	facts := Facts{
		{"status", "Status", string(o.Status)},
		{"side", "Side", o.Side},
		{"order_type", "Order type", o.Type},
		{"ticker", "Ticker", o.Ticker},
		{"account_id", "Account", o.Account},
		{"strategy_id", "Strategy", o.Strategy},
		{"user_id", "User", o.User},
		{"quantity", "Quantity", nullText(o.Quantity)},
		{"limit_price", "Limit price", nullText(o.LimitPrice)},
		{"cum_quantity", "Executed", o.CumQuantity.String()},
		{"leaves_quantity", "Open", nullText(o.Leaves())},
		{"avg_price", "Average price", nullText(o.AvgPrice())},
		{"cum_notional", "Value executed", o.CumNotional.String()},
		{"commission", "Commission", o.Commission.String()},
	}
	for _, step := range domain.OrderSteps() {
		if d, ok := o.Latency(step); ok {
			facts = append(facts, Fact{"latency_" + string(step), "Latency " + string(step), durationText(d)})
		}
	}
	facts = append(
		facts,
		Fact{"latency_total", "From the first step to the last", durationText(domain.Chain{Steps: steps}.LatencyTotal())},
		Fact{"events", "Events", strconv.Itoa(len(c.Steps))},
	)
	return slices.DeleteFunc(facts, func(f Fact) bool { return f.Value == "" })
}

func timelineOf(steps []domain.Step, marks findings) Block {
	if len(steps) == 0 {
		return Note{Text: "There are no steps to draw."}
	}
	first := steps[0].OccurredAt
	t := Timeline{Total: steps[len(steps)-1].OccurredAt.Sub(first), Left: max(0, len(steps)-maxDrawn)}
	for i, s := range steps[:min(len(steps), maxDrawn)] {
		t.Steps = append(t.Steps, TimelineStep{
			Name: fmt.Sprintf("%d %s %s", i+1, s.Stage, s.Type), From: s.OccurredAt.Sub(first) - s.LatencyFromPrevious, Latency: s.LatencyFromPrevious,
			Tone: marks.tone(s.ID),
		})
	}
	return t
}

func stepColumns() []Column {
	return append([]Column{{"stage", "Stage", 7}, {"latency", "After", 6}}, eventColumns()...)
}

func stepAt(s domain.Step) domain.Position { return s.Position }

func stepRow(s domain.Step) Row {
	row := eventRow(s.Located)
	row.Cells = append([]string{string(s.Stage), durationText(s.LatencyFromPrevious)}, row.Cells...)
	return row
}

// only are blocks that are all there.
func only(blocks ...Block) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		for _, b := range blocks {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// each is what is all there.
func each[T any](items []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// listed are rows of what is all there and stands for no event.
func listed[T any](items []T, row func(T) Row) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for item := range each(items) {
			if !yield(row(item), nil) {
				return
			}
		}
	}
}
