package graph_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/graph"
	"github.com/tradetrail/tradetrail/ingest"
)

// counter is a recorder that counts.
type counter struct{ events int }

func (c *counter) Record(_ context.Context, _ string, items []ingest.Item) ([]ingest.Receipt, error) {
	c.events += len(items)
	return make([]ingest.Receipt, len(items)), nil
}

// mutate runs a mutation with events as a variable.
func mutate(t *testing.T, recorder graph.Recorder, query string, events int) []problem {
	t.Helper()
	list := make([]map[string]string, events)
	for i := range list {
		list[i] = map[string]string{"eventType": "a.b", "occurredAt": "now"}
	}
	variables := map[string]any{}
	if events > 0 {
		variables["e"] = list
	}
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	require.NoError(t, err)
	server := graph.NewTightServer(recorder, &fake{}, 4, 4, patience, patience)
	_, problems := send(t, server, http.MethodPost, "/graphql", strings.NewReader(string(body)), "Content-Type", plain)
	return problems
}

// What may be done outside the turns, or as often as a text has room for, is little.
func TestMutations_AreBounded(t *testing.T) {
	t.Parallel()
	const record = ` r%d: record(events: $e) { status }`
	for _, c := range []struct {
		name, query string
		events      int
		code, field string
	}{
		{"rebuild behind record", `mutation($e: [EventInput!]!) {` + repeat(1, record) + ` z: rebuild(projection: "nope") { name } }`, 1, "rebuild_alone", ""},
		{"rebuild in a fragment", `mutation($e: [EventInput!]!) {` + repeat(1, record) + ` ...f } fragment f on Mutation { rebuild(projection: "nope") { name } }`, 1, "rebuild_alone", ""},
		{"two rebuilds", `mutation { a: rebuild(projection: "a") { name } b: rebuild(projection: "b") { name } }`, 0, "rebuild_alone", ""},
		{"record often", `mutation($e: [EventInput!]!) {` + repeat(11, record) + `}`, 1, "too_large", "query"},
		{"many events", `mutation($e: [EventInput!]!) {` + repeat(1, record) + `}`, 50_001, "too_large", "events"},
		{"many events together", `mutation($e: [EventInput!]!) {` + repeat(2, record) + `}`, 25_001, "too_large", "events"},
		{"many reports", `mutation {` + repeat(10, ` r%d: report(input: {format: PDF}) { data }`) + `}`, 0, "COMPLEXITY_LIMIT_EXCEEDED", ""},
		{"many replays", `mutation {` + repeat(900, ` r%d: replay { id }`) + `}`, 0, "COMPLEXITY_LIMIT_EXCEEDED", ""},
	} {
		recorder := &counter{}
		problems := mutate(t, recorder, c.query, c.events)
		require.NotEmpty(t, problems, c.name)
		assert.Equal(t, [2]string{c.code, c.field}, [2]string{problems[0].Extensions.Code, problems[0].Extensions.Field}, "%s: %s", c.name, problems[0].Message)
		assert.Zero(t, recorder.events, c.name)
	}
	for _, c := range []struct{ fields, events int }{{1, 1000}, {10, 100}} {
		recorder := &counter{}
		assert.Empty(t, mutate(t, recorder, `mutation($e: [EventInput!]!) {`+repeat(c.fields, record)+`}`, c.events))
		assert.Equal(t, c.fields*c.events, recorder.events)
	}
}

// What the schema promises, and this version can't answer, says so.
func TestRoots_NotAvailable(t *testing.T) {
	t.Parallel()
	for query, path := range map[string]string{
		`{ checkpoint { origin size rootHash note } }`:                                          "checkpoint",
		`{ proof(eventId: "e") { leafIndex treeSize hashes checkpoint { size } } }`:             "proof",
		`mutation { report(input: {orderId: "o", format: PDF}) { contentType fileName data } }`: "report",
	} {
		_, problems := ask(t, &fake{}, query)
		require.Len(t, problems, 1, query)
		assert.Equal(t, [3]string{"not_available", "rejected", path}, [3]string{problems[0].Extensions.Code, problems[0].Extensions.Class, problems[0].path()})
	}
}
