package graph

import (
	"context"
	"math"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph/generated"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/projections/views"
)

// What fields weigh in the complexity of an operation: 1 for each field, times the
// items of a list, and more for what costs more than to be written down.
const (
	// maxComplexity lets pass 20 pages of 50 events with all their fields, or three
	// full pages of 1,000 with a few; a million items are far beyond.
	maxComplexity = 50_000

	readWeight   = 50     // a way to Redis
	searchWeight = 5_000  // may read as many events as views.MaxExamined says
	actWeight    = 500    // reads, records and waits
	heatWeight   = 20_000 // may look at five times as many
	hashWeight   = 1_500  // reads a whole view, and holds its writing back
	leafWeight   = 5      // reads a file, as a rule one that was just read
	manyViews    = 12     // items of a list of read models
	manyEvents   = 20     // events of an order's chain, as a rule
	manyParked   = 100
)

// weigh sets what gqlgen can't know of the schema.
func weigh(c *generated.ComplexityRoot) {
	c.Query.Chain = func(children int, _ string, _ *string) int { return readWeight + children }
	c.Query.Order = func(children int, _ string, _ *string) int { return readWeight + children }
	c.Query.Account = func(children int, _ string, _ *string) int { return readWeight + children }
	c.Query.Strategy = func(children int, _ string, _ *string) int { return readWeight + children }
	c.Query.User = func(children int, _ string, _ *string) int { return readWeight + children }
	c.Query.Instrument = func(children int, _ string, _ *string) int { return readWeight + children }
	c.Query.Entity = func(children int, _, _ string, _ *string) int { return readWeight + children }
	c.Query.Daily = func(children int, _ string, _ *string) int { return readWeight + children }
	c.Query.Latencies = func(children int, _ *string) int { return readWeight + times(children, manyViews) }
	c.Query.Events = func(children int, _ *model.EventFilter, first *int, _ *string, last *int, _, _ *string) int {
		return searchWeight + page(children, first, last)
	}
	c.Query.Anomalies = func(children int, _ *model.AnomalyFilter, first *int, _, _ *string) int {
		return searchWeight + page(children, first, nil)
	}
	c.Query.Anomaly = func(children int, _ string, _ *string) int { return 2*readWeight + children }
	c.Query.AnomalyHeatmap = func(children int, _, _ time.Time, _ *time.Duration, _ model.HeatmapBy, _ int, _ *model.AnomalyFilter, _ *string) int {
		return heatWeight + times(children, manyViews)
	}
	c.Query.Projections = func(children int) int { return readWeight + times(children, manyViews) }
	c.Query.Rebuilds = func(children int) int { return readWeight + times(children, manyViews) }
	c.Query.Parked = func(children int, _ *string) int { return readWeight + times(children, manyParked) }

	c.Query.Report = func(children int, _ string) int { return readWeight + children }
	c.Query.Checkpoint = func(children int) int { return readWeight + children }
	c.Query.Proof = func(children int, _ string, _ *string) int { return searchWeight + children }
	c.AuditEvent.LeafIndex = func(int) int { return leafWeight }

	c.Mutation.Report = func(children int, _ model.ReportInput) int { return searchWeight + children }
	c.Mutation.Rebuild = func(children int, _ string, _ *int) int { return readWeight + children }
	c.Mutation.CancelRebuild = func(children int, _ string) int { return readWeight + children }
	c.Mutation.StartRebuild = func(children int, _ []string, _ *int) int { return readWeight + times(children, manyViews) }
	c.Mutation.Replay = func(children int, _ []string) int { return readWeight + times(children, manyViews) }

	c.Mutation.AcknowledgeAnomaly = func(children int, _ string, _ *string) int { return actWeight + children }
	text := func(children int, _, _ string, _ *string) int { return actWeight + children }
	c.Mutation.AssignAnomaly, c.Mutation.CommentAnomaly, c.Mutation.DismissAnomaly = text, text, text

	c.Chain.Events = func(children int) int { return times(children, manyEvents) }
	c.ProjectionStatus.Hash = func(children int) int { return hashWeight + children }
	c.ChainUpdate.Chain = func(children int) int { return readWeight + children }

	connection := func(children int, first *int, _ *string, last *int, _ *string) int {
		return readWeight + page(children, first, last)
	}
	c.AccountView.Events, c.AccountView.Orders = connection, connection
	c.StrategyView.Events, c.StrategyView.Orders = connection, connection
	c.UserView.Events, c.UserView.Orders = connection, connection
	c.InstrumentView.Events, c.InstrumentView.Orders = connection, connection
	c.EntityTrail.Events = connection
}

// maxRecords is how often one mutation has the field record. Each takes all its
// events apart, also those of a variable that it shares with the others.
const maxRecords = 10

// recordLimit refuses mutations that record too much. It counts events where they
// stand: a weight in the complexity would have to decode them first, and outside the
// turns.
type recordLimit struct{}

var _ graphql.OperationContextMutator = recordLimit{}

// ExtensionName implements graphql.HandlerExtension.
func (recordLimit) ExtensionName() string { return "RecordLimit" }

// Validate implements graphql.HandlerExtension.
func (recordLimit) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext counts the fields and their events.
func (recordLimit) MutateOperationContext(_ context.Context, operation *graphql.OperationContext) *gqlerror.Error {
	records, events := 0, 0
	for _, field := range mutations(operation) {
		if field.Name != "record" {
			continue
		}
		records++
		if list, ok := field.ArgumentMap(operation.Variables)["events"].([]any); ok {
			events += len(list)
		}
	}
	switch {
	case records > maxRecords:
		return gqlerror.Wrap(domain.Rejectf(domain.CodeTooLarge, "query", "record is there more than %d times; one takes many events", maxRecords))
	case events > ingest.MaxBodyEvents:
		return gqlerror.Wrap(domain.Rejectf(domain.CodeTooLarge, "events", "more than %d events in one mutation", ingest.MaxBodyEvents))
	}
	return nil
}

// page is what a page's items weigh together. A size that no page has is refused
// before anything is read, with a better error than this one.
func page(children int, first, last *int) int {
	size := defaultPage
	switch {
	case first != nil && last != nil:
		size = min(*first, *last)
	case first != nil:
		size = *first
	case last != nil:
		size = *last
	}
	return times(children, min(max(size, 1), views.MaxPage))
}

// times does not overflow; a sum of a few such does not either.
func times(a, b int) int {
	if a > math.MaxInt32/b {
		return math.MaxInt32
	}
	return a * b
}
