package file_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
)

func ndjson(t testing.TB, rows ...string) []ingest.Item {
	t.Helper()
	items := collect(t, file.NDJSON(strings.NewReader(strings.Join(rows, "\n")), file.Options{}))
	requireSound(t, items)
	return items
}

func TestNDJSON_Shapes(t *testing.T) {
	items := ndjson(
		t,
		`{"event_type":"recommendation.generated","entity_type":"recommendation","entity_id":"rec-1","actor":"w","created_at":"2026-03-02T14:29:58.120001Z","data":{"ticker":"MSFT"}}`,
		`{"event_type":"order_filled","timestamp":"2026-03-02T14:30:08.456Z","event_id":"evt_1","order_id":"ord_501","ticker":"MSFT","quantity":100,"fill_price":412.44}`,
		`{"timestamp":1772461805.25,"event_type":"execution","entity_id":"ord_501","details":{"price":"412.44","quantity":"100"}}`,
	)
	require.Len(t, items, 3)
	for _, item := range items {
		require.Nil(t, item.Err)
	}
	assert.Equal(t, "rec-1", items[0].Event.RecommendationID)
	assert.Equal(t, "evt_1", items[1].Event.ID, "an id of its own stays")
	assert.JSONEq(t, `{"quantity":"100","fill_price":"412.44"}`, string(items[1].Event.Data))
	assert.Equal(t, domain.OrderFilled, items[2].Event.Type)
	assert.Equal(t, "ord_501", items[2].Event.OrderID)
}

func TestNDJSON_BadLineNamesItsField(t *testing.T) {
	items := ndjson(
		t,
		`{"event_type":"order_filled","timestamp":"2026-03-02T14:30:08Z","order_id":"o","fill_price":"cheap"}`,
		`{"event_type":"order_filled","order_id":"o"}`,
	)
	require.Len(t, items, 2)
	assert.Equal(t, "fill_price", items[0].Err.Field)
	assert.Equal(t, "occurred_at", items[1].Err.Field)
}

func TestNDJSON_DerivedIDs(t *testing.T) {
	const row = `{"event_type":"order.accepted","order_id":"a","timestamp":1}`
	once, again := ndjson(t, row, row, "", row), ndjson(t, row, row, "", row)
	seen := map[string]bool{}
	for i := range once {
		assert.Equal(t, once[i].Event.ID, again[i].Event.ID, "the same file, the same ids")
		assert.False(t, seen[once[i].Event.ID], "equal lines are different events")
		seen[once[i].Event.ID] = true
	}
	other := ndjson(t, strings.Replace(row, `"a"`, `"b"`, 1))
	assert.NotEqual(t, once[0].Event.ID, other[0].Event.ID)
}
