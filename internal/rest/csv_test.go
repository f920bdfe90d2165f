package rest_test

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// The columns are a contract: whoever reads them by number must not be surprised.
func TestCSV_ColumnsAreFrozen(t *testing.T) {
	assert.Equal(t, "event_id,event_type,occurred_at,recorded_at,entity_type,entity_id,order_id,client_order_id,broker_order_id,"+
		"parent_order_id,account_id,user_id,strategy_id,ticker,recommendation_id,computation_id,evaluation_id,approval_id,session_id,"+
		"environment,version,actor,source,path,correlation_id,causation_id,clock,schema_version,data,raw,stream,revision,position,seal",
		strings.Join(rest.CSVColumns(), ","))
}

func TestCSV_HasWhatJSONHas(t *testing.T) {
	t.Parallel()
	d := openDesk(t, viewstest.Log(viewstest.History(7, 200)), deskOptions{})
	d.apply(200)
	r := d.get("/audit/events", "Accept", csvType)
	require.Equal(t, http.StatusOK, r.status)
	assert.Equal(t, "text/csv; charset=utf-8; header=present", r.header.Get("Content-Type"))
	records, err := csv.NewReader(strings.NewReader(string(r.body))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, rest.CSVColumns(), records[0])
	items, _ := d.get("/audit/events?limit=1000").json(t)["items"].([]any)
	require.Len(t, records, len(items)+1)
	for i, record := range records[1:] {
		for c, column := range records[0] {
			switch want := object(items[i])[column].(type) {
			case nil:
				assert.Empty(t, record[c], column)
			case string:
				assert.Equal(t, want, strings.TrimPrefix(record[c], "'"), column)
			case float64:
				assert.Equal(t, strconv.FormatFloat(want, 'f', -1, 64), record[c], column)
			default: // an object or a list
				assert.NotEmpty(t, record[c], column)
			}
		}
	}
	order := mostFrequent(d.log, func(e *domain.Event) string { return e.OrderID })
	chain := d.get("/audit/chain/"+order, "Accept", csvType)
	assert.True(t, strings.HasPrefix(string(chain.body), "stage,latency_ns,event_id,"), "%.80s", chain.body)
}
