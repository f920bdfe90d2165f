package file_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
)

var apple = file.Options{Ticker: "AAPL", Date: "2012-06-21", Account: "acc-1", Strategy: "maker"}

func lobster(t testing.TB, o file.Options, rows ...string) []ingest.Item {
	t.Helper()
	seq, err := file.Lobster(strings.NewReader(strings.Join(rows, "\n")), o)
	require.NoError(t, err)
	items := collect(t, seq)
	requireSound(t, items)
	return items
}

func TestLobster_Mapping(t *testing.T) {
	for _, test := range []struct {
		name string
		rows []string // the last one is looked at
		kind domain.EventType
		data string
	}{
		{
			"submission",
			[]string{"34200.004241476,1,16113575,18,5853300,1"},
			domain.OrderSubmitted,
			`{"side":"buy","order_type":"limit","quantity":"18","limit_price":"585.33","ord_status":"NEW","venue":"NASDAQ"}`,
		},
		{
			"partial cancellation",
			[]string{"1,1,7,100,5853300,1", "2,2,7,30,5853300,1"},
			domain.OrderReplaced,
			`{"side":"buy","cancelled_quantity":"30","limit_price":"585.33","quantity":"70","leaves_quantity":"70","reason":"partial_cancellation"}`,
		},
		{
			"partial cancellation after a fill",
			[]string{"1,1,7,100,5853300,1", "1,4,7,20,5853300,1", "2,2,7,30,5853300,1"},
			domain.OrderReplaced,
			`{"side":"buy","cancelled_quantity":"30","limit_price":"585.33","quantity":"70","leaves_quantity":"50","reason":"partial_cancellation"}`,
		},
		{
			"partial cancellation of an unknown order",
			[]string{"2,2,7,30,5853300,-1"},
			domain.OrderReplaced,
			`{"side":"sell","cancelled_quantity":"30","limit_price":"585.33","reason":"partial_cancellation"}`,
		},
		{
			"partial cancellation of more than there is",
			[]string{"1,1,7,100,5853300,1", "2,2,7,100,5853300,1"},
			domain.OrderReplaced,
			`{"side":"buy","cancelled_quantity":"100","limit_price":"585.33","reason":"partial_cancellation"}`,
		},
		{
			"deletion",
			[]string{"2,3,7,30,5853350,-1"},
			domain.OrderCancelled,
			`{"side":"sell","cancelled_quantity":"30","limit_price":"585.335","reason":"deletion"}`,
		},
		{
			"partial fill",
			[]string{"1,1,7,100,5853300,1", "2,4,7,99,5853300,1"},
			domain.OrderPartiallyFilled,
			`{"side":"buy","fill_quantity":"99","fill_price":"585.33","leaves_quantity":"1","execution_venue":"NASDAQ"}`,
		},
		{
			"last fill",
			[]string{"1,1,7,100,5853300,1", "2,4,7,99,5853300,1", "2,4,7,1,5853300,1"},
			domain.OrderFilled,
			`{"side":"buy","fill_quantity":"1","fill_price":"585.33","leaves_quantity":"0","execution_venue":"NASDAQ"}`,
		},
		{
			"last fill after a partial cancellation",
			[]string{"1,1,7,100,5853300,1", "1,2,7,40,5853300,1", "2,4,7,60,5853300,1"},
			domain.OrderFilled,
			`{"side":"buy","fill_quantity":"60","fill_price":"585.33","leaves_quantity":"0","execution_venue":"NASDAQ"}`,
		},
		{
			"fill of an order that was resting before",
			[]string{"2,4,7,1,5853300,1"},
			domain.OrderPartiallyFilled,
			`{"side":"buy","fill_quantity":"1","fill_price":"585.33","execution_venue":"NASDAQ"}`,
		},
		{
			"fill of an order that is gone",
			[]string{"1,1,7,100,5853300,1", "1,3,7,100,5853300,1", "2,4,7,60,5853300,1"},
			domain.OrderPartiallyFilled,
			`{"side":"buy","fill_quantity":"60","fill_price":"585.33","execution_venue":"NASDAQ"}`,
		},
		{
			"hidden execution",
			[]string{"34277.377202932,5,0,100,5856150,-1"},
			domain.TradeReported,
			`{"side":"sell","quantity":"100","price":"585.615","hidden":true,"execution_venue":"NASDAQ"}`,
		},
		{"halt", []string{"3,7,0,0,-1,-1"}, domain.TradingModeChanged, `{"new_mode":"halted","venue":"NASDAQ"}`},
		{"quoting", []string{"3,7,0,0,0,-1"}, domain.TradingModeChanged, `{"new_mode":"quoting","venue":"NASDAQ"}`},
		{"trading", []string{"3,7,0,0,1,-1"}, domain.TradingModeChanged, `{"new_mode":"trading","venue":"NASDAQ"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			items := lobster(t, apple, test.rows...)
			item := items[len(items)-1]
			require.Nil(t, item.Err)
			assert.Equal(t, test.kind, item.Event.Type)
			assert.Equal(t, test.data, string(item.Event.Data))
		})
	}
}

func TestLobster_Links(t *testing.T) {
	items := lobster(t, apple, "1,1,0007,100,5853300,1", "2,5,0,100,5853300,1", "3,7,0,0,-1,-1")
	require.Len(t, items, 3)
	for _, item := range items {
		assert.Equal(t, "AAPL", item.Event.Ticker)
		assert.Equal(t, "acc-1", item.Event.AccountID)
		assert.Equal(t, "maker", item.Event.StrategyID)
		assert.Empty(t, item.Event.Source, "the caller's to set")
	}
	order, trade, halt := items[0].Event, items[1].Event, items[2].Event
	assert.Equal(t, "7", order.OrderID)
	assert.Equal(t, []string{"order", "7", "order-7"}, []string{order.EntityType, order.EntityID, order.Stream()})
	assert.Empty(t, trade.OrderID)
	assert.Equal(t, "account-acc-1", trade.Stream())
	assert.Equal(t, []string{"instrument", "AAPL"}, []string{halt.EntityType, halt.EntityID})
}

func TestLobster_BadRows(t *testing.T) {
	for row, want := range map[string]string{
		"34200.5,1,7,10,5856000":                      "",
		"34200.5,1,7,10,5856000,1,1":                  "",
		"nope":                                        "",
		",1,7,10,5856000,1":                           "time",
		"34200.,1,7,10,5856000,1":                     "time",
		".5,1,7,10,5856000,1":                         "time",
		"-1,1,7,10,5856000,1":                         "time",
		"3.42e4,1,7,10,5856000,1":                     "time",
		"34200.0123456789012345678,1,7,10,5856000,1":  "time",
		"86400,1,7,10,5856000,1":                      "time",
		"999999,1,7,10,5856000,1":                     "time",
		"34200.5,6,7,10,5856000,1":                    "type",
		"34200.5,0,7,10,5856000,1":                    "type",
		"34200.5,x,7,10,5856000,1":                    "type",
		"34200.5,1,0,10,5856000,1":                    "order_id",
		"34200.5,4,,10,5856000,1":                     "order_id",
		"34200.5,1,-7,10,5856000,1":                   "order_id",
		"34200.5,1,99999999999999999999,10,5856000,1": "order_id",
		"34200.5,1,7,0,5856000,1":                     "size",
		"34200.5,1,7,1.5,5856000,1":                   "size",
		"34200.5,1,7,-10,5856000,1":                   "size",
		"34200.5,1,7,10,0,1":                          "price",
		"34200.5,1,7,10,-5856000,1":                   "price",
		"34200.5,1,7,10,585.60,1":                     "price",
		"34200.5,7,0,0,2,-1":                          "price",
		"34200.5,1,7,10,5856000,0":                    "direction",
		"34200.5,1,7,10,5856000,":                     "direction",
	} {
		t.Run(row, func(t *testing.T) {
			items := lobster(t, apple, row, "34200.5,1,8,10,5856000,1")
			require.Len(t, items, 2)
			require.NotNil(t, items[0].Err)
			assert.Equal(t, want, items[0].Err.Field)
			assert.Equal(t, row, string(items[0].Raw))
			assert.Nil(t, items[1].Err, "reading goes on")
		})
	}
}

func TestLobster_Time(t *testing.T) {
	for _, test := range []struct{ date, second, want string }{
		{"2012-06-21", "34200.004241476", "2012-06-21T13:30:00.004241476Z"},
		{"2012-06-21", "35615.6065", "2012-06-21T13:53:35.6065Z"},
		{"2012-06-21", "0", "2012-06-21T04:00:00Z"},
		{"2012-06-21", "86399.999999999", "2012-06-22T03:59:59.999999999Z"},
		{"2012-12-21", "34200", "2012-12-21T14:30:00Z"},
		{"2006-04-03", "34200", "2006-04-03T13:30:00Z"}, // summer time began in April until 2006
		// The days on which the clocks are changed at 2: half past nine is half past nine.
		{"2012-03-11", "34200", "2012-03-11T13:30:00Z"},
		{"2012-11-04", "34200", "2012-11-04T14:30:00Z"},
		{"2012-03-11", "3600", "2012-03-11T06:00:00Z"},
		{"2012-11-04", "0", "2012-11-04T04:00:00Z"},
	} {
		o := apple
		o.Date = test.date
		items := lobster(t, o, test.second+",1,7,10,5856000,1")
		require.Nil(t, items[0].Err)
		assert.Equal(t, test.want, items[0].Event.OccurredAt.Format(time.RFC3339Nano), "%s %s", test.date, test.second)
	}
}

func TestLobster_TimeFinerThanNanoseconds(t *testing.T) {
	const row = "35821.088778456004,3,44276101,100,5851500,1"
	items := lobster(t, apple, row, "35821.088778456000,3,44276101,100,5851500,1")
	require.Nil(t, items[0].Err)
	assert.Equal(t, 88_778_456, items[0].Event.OccurredAt.Nanosecond())
	assert.Equal(t, row, string(items[0].Event.Raw), "no digit is lost")
	require.Nil(t, items[1].Err)
	assert.Equal(t, items[0].Event.OccurredAt, items[1].Event.OccurredAt)
	assert.Empty(t, items[1].Event.Raw)
}

func TestLobster_Price(t *testing.T) {
	for units, want := range map[string]string{
		"5856000": "585.60", "5856050": "585.605", "5856001": "585.6001", "10000": "1.00", "1": "0.0001", "500": "0.05",
		"9223372036854775807": "922337203685477.5807",
	} {
		items := lobster(t, apple, "1,1,7,10,"+units+",1")
		require.Nil(t, items[0].Err)
		assert.Contains(t, string(items[0].Event.Data), `"limit_price":"`+want+`"`)
	}
}

func TestLobster_TickerAndDate(t *testing.T) {
	const name = "BRK.B_2012-06-21_34200000_37800000_message_50.csv"
	for _, test := range []struct {
		name               string
		o                  file.Options
		ticker, day, fault string // the fault is the field of the error
	}{
		{"from the name", file.Options{Name: name}, "BRK.B", "2012-06-21", ""},
		{"the options win", file.Options{Name: name, Ticker: "MSFT", Date: "2013-01-02"}, "MSFT", "2013-01-02", ""},
		{"half and half", file.Options{Name: name, Date: "2013-01-02"}, "BRK.B", "2013-01-02", ""},
		{"no name", file.Options{}, "", "", "ticker"},
		{"another name", file.Options{Name: "orders.csv", Ticker: "MSFT"}, "", "", "date"},
		{"another name, ticker missing", file.Options{Name: "orders.csv", Date: "2013-01-02"}, "", "", "ticker"},
		{"the order book's name", file.Options{Name: strings.Replace(name, "message", "orderbook", 1), Ticker: "MSFT"}, "", "", "date"},
		{"an impossible date in the name", file.Options{Name: "A_2012-02-30_1_2_message_1.csv", Ticker: "MSFT"}, "", "", "date"},
		{"an impossible date", file.Options{Ticker: "MSFT", Date: "21.06.2012"}, "", "", "date"},
		{"an impossible account", file.Options{Name: name, Account: " acc"}, "", "", "account_id"},
	} {
		t.Run(test.name, func(t *testing.T) {
			seq, err := file.Lobster(strings.NewReader("34200,1,7,10,5856000,1"), test.o)
			if test.fault != "" {
				var bad *domain.Error
				require.ErrorAs(t, err, &bad)
				assert.Equal(t, test.fault, bad.Field)
				if test.fault != "account_id" {
					assert.Contains(t, err.Error(), "--"+test.fault)
				}
				return
			}
			require.NoError(t, err)
			items := collect(t, seq)
			assert.Equal(t, test.ticker, items[0].Event.Ticker)
			assert.Equal(t, test.day, items[0].Event.OccurredAt.Format(time.DateOnly))
		})
	}
}

func TestLobster_IDs(t *testing.T) {
	const name = "AAPL_2012-06-21_34200000_37800000_message_50.csv"
	rows := []string{"1,1,7,10,5856000,1", "1,4,7,2,5856000,1", "1,4,7,2,5856000,1"}
	ids := func(o file.Options, rows ...string) (ids []string) {
		for _, item := range lobster(t, o, rows...) {
			ids = append(ids, item.Event.ID)
		}
		return ids
	}
	first := ids(file.Options{Name: name}, rows...)
	assert.NotEqual(t, first[1], first[2], "equal rows are different events")
	assert.Equal(t, first, ids(file.Options{Ticker: "AAPL", Date: "2012-06-21", Name: "copy.csv"}, rows...), "the name does not matter")
	assert.Equal(t, first, ids(file.Options{Name: name}, rows[0]+"\r", rows[1]+"\r", rows[2]+"\r\n"), "nor do line ends")

	for what, other := range map[string][]string{
		"another ticker":   ids(file.Options{Name: name, Ticker: "MSFT"}, rows...),
		"another date":     ids(file.Options{Name: name, Date: "2012-06-22"}, rows...),
		"another account":  ids(file.Options{Name: name, Account: "a"}, rows...),
		"another strategy": ids(file.Options{Name: name, Strategy: "a"}, rows...),
		"other rows":       ids(file.Options{Name: name}, "1,1,7,11,5856000,1", "1,4,7,3,5856000,1", "1,4,7,4,5856000,1"),
	} {
		for i := range first {
			assert.NotContains(t, other, first[i], what)
		}
	}
}
