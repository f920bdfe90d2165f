package file_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
)

func csv(t testing.TB, rows ...string) []ingest.Item {
	t.Helper()
	seq, err := file.CSV(strings.NewReader(strings.Join(rows, "\n")), file.Options{Name: "fills.csv"})
	require.NoError(t, err)
	items := collect(t, seq)
	requireSound(t, items)
	return items
}

func TestCSV_Rows(t *testing.T) {
	for _, test := range []struct{ name, header, row, want string }{
		{
			"canonical names",
			"event_id,event_type,occurred_at,order_id,account_id,data.quantity,data.side",
			"e1,order.submitted,2026-03-02T14:30:00Z,o1,acc-1,0100.50,buy",
			`{"event_id":"e1","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","entity_type":"order","entity_id":"o1","order_id":"o1","account_id":"acc-1","schema_version":1,"data":{"quantity":"0100.50","side":"buy"}}`,
		},
		{
			"aliases, and epoch seconds",
			"\xEF\xBB\xBFevent_id, event_type ,timestamp,order_id,strategy,symbol,fill_price,quantity",
			"e1,order_filled,1772461808.456000001,o1,momentum,MSFT,412.44,100",
			`{"event_id":"e1","event_type":"order.filled","occurred_at":"2026-03-02T14:30:08.456000001Z","entity_type":"order","entity_id":"o1","order_id":"o1","strategy_id":"momentum","ticker":"MSFT","schema_version":1,"data":{"fill_price":"412.44","quantity":"100"}}`,
		},
		{
			"empty cells are absent",
			"event_id,event_type,timestamp,order_id,account_id,data.price,data.deep.a,data.deep.b,data.x",
			"e1,order_accepted,1,o1,,,,,9007199254740993",
			`{"event_id":"e1","event_type":"order.accepted","occurred_at":"1970-01-01T00:00:01Z","entity_type":"order","entity_id":"o1","order_id":"o1","schema_version":1,"data":{"x":"9007199254740993"}}`,
		},
		{
			"nesting, also of columns that are apart",
			"event_id,previous.shares,event_type,timestamp,current.shares,change.order_id,previous.weight,clock.offset_ns,clock.sync",
			"e1,0,position_changed,1,100,o1,0.1,-250,PTP_LOCKED",
			`{"event_id":"e1","event_type":"position.opened","occurred_at":"1970-01-01T00:00:01Z","entity_type":"order","entity_id":"o1","order_id":"o1","clock":{"sync":"PTP_LOCKED","offset_ns":-250},"schema_version":1,"data":{"previous":{"shares":"0","weight":"0.1"},"current":{"shares":"100"},"change":{"order_id":"o1"}}}`,
		},
		{
			"quotes",
			`event_id,"event_type",timestamp,order_id,"data.note","data.empty"`,
			`"e1",order_accepted,1,"o1","say ""no"", then` + "\n\n" + `stop",""`,
			`{"event_id":"e1","event_type":"order.accepted","occurred_at":"1970-01-01T00:00:01Z","entity_type":"order","entity_id":"o1","order_id":"o1","schema_version":1,"data":{"note":"say \"no\", then\n\nstop"}}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, end := range []string{"\n", "\r\n"} {
				content := strings.ReplaceAll(test.header+"\n"+test.row+"\n", "\n", end)
				items := csv(t, content)
				require.Len(t, items, 1)
				require.Nil(t, items[0].Err)
				got, err := items[0].Event.Encode()
				require.NoError(t, err)
				assert.Equal(t, test.want, string(got))
			}
		})
	}
}

func TestCSV_BadRows(t *testing.T) {
	const header, good = "event_type,timestamp,order_id,price,data.size", "order_accepted,1,good,1,1"
	for _, test := range []struct{ name, row, code, field string }{
		{"too few cells", "order_accepted,1,o", domain.CodeMalformed, ""},
		{"too many cells", "order_accepted,1,o,1,1,1", domain.CodeMalformed, ""},
		{"price", "order_accepted,1,o,cheap,1", domain.CodeInvalid, "price"},
		{"nested", "order_accepted,1,o,1,big", domain.CodeInvalid, "data.size"},
		{"time", "order_accepted,yesterday,o,1,1", domain.CodeInvalid, "timestamp"},
		{"time that only looks like a number", "order_accepted,0x10,o,1,1", domain.CodeInvalid, "timestamp"},
		{"no type", ",1,o,1,1", domain.CodeMissing, "event_type"},
		{"invalid UTF-8", "order_accepted,1,\xff,1,1", domain.CodeMalformed, ""},
		{"quote inside", `order_accepted,1,6" pipe,1,1`, domain.CodeMalformed, ""},
		{"two quotes inside", `order_accepted,1,6" by 4" pipe,1,1`, domain.CodeMalformed, ""},
		{"text behind a quote", `order_accepted,1,"o"x,1,1`, domain.CodeMalformed, ""},
		{"quote that never closes", `order_accepted,1,"o,1,1`, domain.CodeMalformed, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			items := csv(t, header, test.row, good, "", good)
			require.Len(t, items, 3)
			require.NotNil(t, items[0].Err)
			assert.Equal(t, test.code, items[0].Err.Code)
			assert.Equal(t, test.field, items[0].Err.Field)
			assert.Equal(t, test.row, string(items[0].Raw))
			assert.Equal(t, []int{2, 3, 5}, []int{items[0].Line, items[1].Line, items[2].Line})
			for _, item := range items[1:] {
				require.Nil(t, item.Err, "reading goes on")
				assert.Equal(t, "good", item.Event.OrderID)
			}
		})
	}
}

func TestCSV_OpenQuoteSwallowsNothing(t *testing.T) {
	const header = "event_type,timestamp,order_id,data.note"
	order := func(i int, note string) string { return "order_accepted,1," + strconv.Itoa(i) + "," + note }
	for _, test := range []struct {
		name    string
		between int    // good rows behind the stray quote
		end     string // the row behind them
		bad     []int  // lines
	}{
		{"further than any row goes", 1500, order(0, "fine"), []int{2}},
		{"until the end of the file", 10, order(0, "fine"), []int{2}},
		{"until another stray quote", 10, order(0, `"stray`), []int{2, 13}},
		{"until a row that needs its quotes", 10, order(0, `"two`+"\n"+`lines"`), []int{2}},
		{"until a line that is too long", 10, strings.Repeat("x", domain.MaxEventBytes+1), []int{2, 13}},
	} {
		t.Run(test.name, func(t *testing.T) {
			rows := []string{header, order(1, `"stray`)}
			for i := range test.between {
				rows = append(rows, order(100+i, "fine"))
			}
			items := csv(t, append(rows, test.end)...)
			var bad []int
			for _, item := range items {
				if item.Err != nil {
					bad = append(bad, item.Line)
				}
			}
			assert.Equal(t, test.bad, bad)
			assert.Len(t, items, test.between+2)
		})
	}
}

func TestCSV_BadHeaders(t *testing.T) {
	for header, want := range map[string]string{
		"":                            "fills.csv has no header",
		"\n \n":                       "fills.csv has no header",
		"order_id,occurred_at":        "reading the header of fills.csv: event_type: missing in the header",
		"event_type,a,a":              "reading the header of fills.csv: a: stands twice in the header",
		"event_type,,a":               "reading the header of fills.csv: column 2 has no name, or one with an empty part",
		"event_type,data..a":          "reading the header of fills.csv: data..a: column 2 has no name, or one with an empty part",
		"event_type,data.a,data.a.b":  "reading the header of fills.csv: data.a.b: another column makes it both a value and an object",
		"event_type,data.a.b,data.a":  "reading the header of fills.csv: data.a: another column makes it both a value and an object",
		`event_type,"open`:            "reading the header of fills.csv: a quote is not closed, or stands inside a cell",
		strings.Repeat("x", 600<<10):  "reading the header of fills.csv: line has 614400 bytes, at most 524288 are taken",
		strings.Repeat(",", 100_000):  "reading the header of fills.csv: has 100001 columns, at most 2000 are taken",
		"event_type,data.event_type,": "reading the header of fills.csv: column 3 has no name, or one with an empty part",
		"event_type," + strings.Repeat("a.", 40) + "a": "reading the header of fills.csv: " + strings.Repeat("a.", 40) + "a: nested deeper than 32",
	} {
		_, err := file.CSV(strings.NewReader(header), file.Options{Name: "fills.csv"})
		require.EqualError(t, err, want)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
	}
}

func TestCSV_DerivedIDs(t *testing.T) {
	const header, row = "event_type,timestamp,order_id", "order_accepted,1,a"
	once, again := csv(t, header, row, row), csv(t, header, row, row)
	assert.NotEqual(t, once[0].Event.ID, once[1].Event.ID, "equal rows are different events")
	assert.Equal(t, once[0].Event.ID, again[0].Event.ID)
	assert.Equal(t, once[1].Event.ID, again[1].Event.ID)
	other := csv(t, "event_type,timestamp,client_order_id", row)
	assert.NotEqual(t, once[0].Event.ID, other[0].Event.ID, "a row means nothing without its header")
}
