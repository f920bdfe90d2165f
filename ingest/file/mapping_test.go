package file_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
)

func mapped(t *testing.T, mapping, csv string) []ingest.Item {
	t.Helper()
	m, err := file.ParseMapping(strings.NewReader(mapping))
	require.NoError(t, err)
	items, err := file.CSV(strings.NewReader(csv), file.Options{Name: "x.csv", Mapping: m})
	require.NoError(t, err)
	var all []ingest.Item
	for item, err := range items {
		require.NoError(t, err)
		all = append(all, item)
	}
	return all
}

// The example of the documentation.
func TestMapping_Example(t *testing.T) {
	t.Parallel()
	mapping, err := os.ReadFile("../../docs/examples/mapping.yaml")
	require.NoError(t, err)
	csv, err := os.ReadFile("../../docs/examples/export.csv")
	require.NoError(t, err)
	items := mapped(t, string(mapping), string(csv))
	require.Len(t, items, 3)
	first := items[0].Event
	require.NotNil(t, first, "%v", items[0].Err)
	assert.Equal(t, domain.EventType("order.submitted"), first.Type)
	assert.Equal(t, time.Date(2026, 3, 2, 8, 30, 0, 250_000_000, time.UTC), first.OccurredAt)
	assert.Equal(t, "4711", first.OrderID)
	assert.Equal(t, "D-1", first.AccountID)
	assert.Equal(t, "production", first.Environment)
	assert.JSONEq(t, `{"price":"98.70","quantity":"1500","Bemerkung":"Limit; bis Ultimo"}`, string(first.Data))
	assert.Equal(t, domain.EventType("order.filled"), items[1].Event.Type)
	assert.Equal(t, time.Date(2026, 3, 29, 13, 0, 0, 0, time.UTC), items[2].Event.OccurredAt, "summer time")
	assert.JSONEq(t, `{"price":"1250.5","quantity":"10"}`, string(items[2].Event.Data))
	assert.Equal(t, 4, items[2].Line)
}

func TestMapping_Rows(t *testing.T) {
	t.Parallel()
	const head = "fields:\n  event_type: {constant: note}\n  occurred_at: "
	for _, c := range []struct{ name, field, cell, want string }{
		{"epoch milliseconds", "{column: c, time: epoch_ms}", "1700000000123", "2023-11-14T22:13:20.123Z"},
		{"epoch with a fraction", "{column: c, time: epoch_s}", "1700000000.000000001", "2023-11-14T22:13:20.000000001Z"},
		{"offset in the text", "{column: c, time: '2006-01-02 15:04:05 -0700'}", "2026-03-02 09:30:00 +0130", "2026-03-02T08:00:00Z"},
		{"zone", "{column: c, time: '01/02/06 03:04:05 PM', zone: America/New_York}", "07/01/26 02:00:00 PM", "2026-07-01T18:00:00Z"},
		{"finer than a nanosecond", "{column: c, time: epoch_ns}", "1.5", ""},
		{"beyond all times", "{column: c, time: epoch_s}", "99999999999999", ""},
		{"no number", "{column: c, time: epoch_s}", "0x10", ""},
		{"another layout", "{column: c, time: '2006-01-02 15:04:05', zone: UTC}", "02.03.2026 09:30:00", ""},
		{"empty", "{column: c, time: epoch_s}", " ", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			items := mapped(t, head+c.field, "c,d\n"+c.cell+",x\n")
			require.Len(t, items, 1)
			if c.want == "" {
				require.NotNil(t, items[0].Err)
				assert.Equal(t, "occurred_at", items[0].Err.Field)
				assert.Equal(t, c.cell+",x", string(items[0].Raw), "as it came")
				return
			}
			require.Nil(t, items[0].Err)
			assert.Equal(t, c.want, items[0].Event.OccurredAt.Format(time.RFC3339Nano))
			assert.JSONEq(t, `{"d":"x"}`, string(items[0].Event.Data))
		})
	}
	values := "fields:\n  occurred_at: {column: t}\n  event_type: {column: c, values: {A: order.accepted}"
	items := mapped(t, values+"}\nunmapped: drop\n", "c,t,n\nA,1,x\nB,1,x\nA,1\n")
	assert.Equal(t, domain.EventType("order.accepted"), items[0].Event.Type)
	assert.Empty(t, items[0].Event.Data)
	assert.Equal(t, "event_type", items[1].Err.Field)
	assert.Equal(t, domain.CodeMalformed, items[2].Err.Code)
	items = mapped(t, values+", other: note}\n", "c,t\nB,1\n")
	assert.Equal(t, domain.EventType("note"), items[0].Event.Type)
	decimal := "fields:\n  occurred_at: {constant: \"2026-03-02T14:30:00Z\"}\n  event_type: {constant: note}\n  data.price: {column: p, decimal: ','}\n"
	items = mapped(t, decimal, "p\n\"1,5\"\n1.5\n\"1,5,5\"\nx\n")
	assert.JSONEq(t, `{"price":"1.5"}`, string(items[0].Event.Data))
	for _, bad := range items[1:] {
		require.NotNil(t, bad.Err)
		assert.Equal(t, "data.price", bad.Err.Field)
	}
}

// A number that is written the other way round is no number, not another one.
func TestMapping_Grouping(t *testing.T) {
	t.Parallel()
	const head = "separator: ';'\nfields:\n  occurred_at: {constant: \"2026-03-02T14:30:00Z\"}\n  event_type: {constant: note}\n  data.price: {column: p, "
	for mapping, cells := range map[string]map[string]string{
		"decimal: '.', grouping: ','}": {
			"1,234.5": "1234.5", "-12,345,678": "-12345678", "1234567.25": "1234567.25", "999": "999", "1e3": "1000",
			"101,25": "", "1,5": "", ",123": "", "1234,567": "", "1,,234": "", "1,234.5,6": "", "1.234,567": "", "1,2345": "", "1,234,": "",
			"-,123": "", "1,2e3": "", "--1,234": "",
		},
		"decimal: ',', grouping: '.'}": {
			"1.250,5": "1250.5", "+1.000.000": "1000000", "98,70": "98.70",
			"1.5": "", "101.25": "", "1,234.5": "", "1,250.500": "",
		},
		"decimal: '.', grouping: ' '}": {"1 234.5": "1234.5", "1 23": ""},
	} {
		for cell, want := range cells {
			items := mapped(t, head+mapping+"\n", "p;x\n"+cell+";\n")
			require.Len(t, items, 1)
			if want == "" {
				require.NotNil(t, items[0].Err, "%s with %s", cell, mapping)
				assert.Equal(t, domain.CodeInvalid, items[0].Err.Code)
				assert.Equal(t, "data.price", items[0].Err.Field)
				continue
			}
			require.Nil(t, items[0].Err, "%s with %s", cell, mapping)
			assert.JSONEq(t, `{"price":"`+want+`"}`, string(items[0].Event.Data), "%s with %s", cell, mapping)
		}
	}
}

func TestMapping_Refused(t *testing.T) {
	t.Parallel()
	const rest = "\n  event_type: {constant: note}\n"
	for mapping, message := range map[string]string{
		"":                                   "EOF",
		"fields: {}":                         "event_type",
		"colour: red":                        "line 1",
		"fields:" + rest + "  x: {colum: a}": "line 3",
		"fields:" + rest + "  x: {}":         "line 3",
		"fields:" + rest + "  x: {column: a, constant: b}":                       "line 3",
		"fields:" + rest + "  x: {column: a, time: '15:04'}":                     "date and time",
		"fields:" + rest + "  x: {column: a, time: '2006-01-02 15:04:05'}":       "no zone",
		"fields:" + rest + "  x: {column: a, time: epoch_s, zone: Mars/Olympus}": "time zone",
		"fields:" + rest + "  x: {column: a, zone: UTC}":                         "needs a time",
		"fields:" + rest + "  x: {column: a, other: b}":                          "values",
		"fields:" + rest + "  x: {column: a, grouping: .}":                       "grouping",
		"separator: \"\\n\"\nfields:" + rest:                                     "separate",
		"unmapped: perhaps\nfields:" + rest:                                      "keep or drop",
		strings.Repeat("#", 2<<20):                                               "longer",
	} {
		_, err := file.ParseMapping(strings.NewReader(mapping))
		require.Error(t, err, mapping)
		require.ErrorContains(t, err, message, mapping)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), mapping)
	}
	for mapping, header := range map[string]string{
		"fields:" + rest + "  x: {column: a}":                     "b\n",
		"fields:" + rest + "  x: {column: a}\n  x.y: {column: b}": "a,b\n",
		"fields:" + rest + "  data: {column: a}":                  "a,b\n",
		"fields:" + rest + "  y: {column: a}":                     "a,a\n",
	} {
		m, err := file.ParseMapping(strings.NewReader(mapping))
		require.NoError(t, err, mapping)
		_, err = file.CSV(strings.NewReader(header), file.Options{Mapping: m})
		assert.Error(t, err, mapping)
	}
}

func TestDecompress(t *testing.T) {
	t.Parallel()
	text := strings.Repeat(`{"event_type":"note","occurred_at":1}`+"\n", 1000)
	var zipped, zst bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := io.WriteString(z, text)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	s, err := zstd.NewWriter(&zst)
	require.NoError(t, err)
	_, err = io.WriteString(s, text)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	for _, packed := range []string{text, zipped.String(), zst.String(), "", "a"} {
		r, err := file.Decompress(strings.NewReader(packed))
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		if len(packed) > 1 {
			packed = text
		}
		assert.Equal(t, packed, string(got))
	}
	for _, broken := range []string{zipped.String()[:50], zst.String()[:30]} {
		r, err := file.Decompress(strings.NewReader(broken))
		require.NoError(t, err)
		_, err = io.ReadAll(r)
		require.Error(t, err)
	}
	assert.Equal(t, "a.csv", file.PlainName("a.csv.gz"))
	assert.Equal(t, "a.csv", file.PlainName("a.csv.zst"))
}
