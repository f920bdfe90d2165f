package fix_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/fix"
	"github.com/tradetrail/tradetrail/ingest/fix/fixtest"
)

var morning = time.Date(2026, 3, 2, 14, 31, 0, 0, time.UTC)

func items(t testing.TB, m *fix.Mapper, raw []byte) []ingest.Item {
	t.Helper()
	out, err := m.Items(t.Context(), fix.Piece{Line: 1, Raw: raw}, time.Time{})
	require.NoError(t, err)
	for _, item := range out {
		requireSound(t, item)
	}
	return out
}

// one is the only event of a message.
func one(t testing.TB, m *fix.Mapper, raw []byte) *domain.Event {
	t.Helper()
	out := items(t, m, raw)
	require.Len(t, out, 1)
	require.Nil(t, out[0].Err)
	return out[0].Event
}

func refused(t testing.TB, m *fix.Mapper, raw []byte) *domain.Error {
	t.Helper()
	out := items(t, m, raw)
	require.Len(t, out, 1)
	require.NotNil(t, out[0].Err)
	return out[0].Err
}

// requireSound holds an item against what every door asks for: what comes over
// HTTP must mean the same as what is recorded here.
func requireSound(t testing.TB, item ingest.Item) {
	t.Helper()
	if item.Err != nil {
		require.Nil(t, item.Event)
		require.Equal(t, domain.ClassRejected, item.Err.Class)
		return
	}
	encoded, err := item.Event.Encode()
	require.NoError(t, err)
	require.LessOrEqual(t, len(encoded), domain.MaxEventBytes)
	over, err := domain.Normalise(encoded)
	require.NoError(t, err, "%s", encoded)
	again, err := over.Encode()
	require.NoError(t, err)
	require.Equal(t, string(encoded), string(again), "over HTTP it is the same event")
}

func dataOf(t testing.TB, e *domain.Event) map[string]any {
	t.Helper()
	var data map[string]any
	require.NoError(t, json.Unmarshal(e.Data, &data))
	return data
}

func TestMapper_AnExecutionWithAllThatItSays(t *testing.T) {
	raw := fixtest.Of("FIXT.1.1", 7, "35=8|1128=9|50=DESK|37=V-1|198=S-1|11=C-2|41=C-1|17=E-1|150=F|39=1|1=ACC-1|55=MSFT|54=1|40=2|59=0|38=100|44=412.50"+
		"|32=40|31=412.4000|14=40|151=60|6=412.40|12=0.10|13=3|30=XNAS|851=1|528=A|15=USD|453=2|448=TRADER|447=D|452=12|448=FUND|452=3"+
		"|627=2|628=HUB|629=20260302-14:29:59.5|628=HUB2|58=gr\xfc\xdfe|60=20260302-14:30:00.123456789123")
	mapper := fix.NewMapper(fix.Options{})
	out, err := mapper.Items(t.Context(), fix.Piece{Line: 9, Raw: fixtest.Bars(raw)}, morning)
	require.NoError(t, err)
	require.Len(t, out, 2, "the link of the ClOrdID, and the event")
	assert.Equal(t, domain.OrderLinked, out[0].Event.Type)
	e := out[1].Event
	assert.Equal(t, 9, out[1].Line)
	assert.Equal(t, domain.OrderPartiallyFilled, e.Type)
	assert.Equal(t, "C-1", e.OrderID)
	assert.Equal(t, "C-2", e.ClientOrderID)
	assert.Equal(t, "V-1", e.BrokerOrderID)
	assert.Equal(t, "ACC-1", e.AccountID)
	assert.Equal(t, "MSFT", e.Ticker)
	assert.Equal(t, "FIXT.1.1:BROKER/FIRM", e.SessionID)
	assert.Equal(t, "2026-03-02T14:30:00.123456789Z", e.OccurredAt.Format(time.RFC3339Nano))
	assert.Equal(t, raw, e.Raw, "with the separators of the wire")
	sent := time.Date(2026, 3, 2, 14, 30, 0, 7e6, time.UTC)
	assert.Equal(t, []domain.Hop{
		{Hop: "BROKER", Out: sent}, {Hop: "HUB", Out: time.Date(2026, 3, 2, 14, 29, 59, 5e8, time.UTC)}, {Hop: "HUB2"}, {Hop: "FIRM", In: morning},
	}, e.Path)
	assert.Equal(t, map[string]any{
		"msg_type": "8", "msg_seq_num": 7.0, "sending_time": "2026-03-02T14:30:00.007Z",
		"sender_comp_id": "BROKER", "sender_sub_id": "DESK", "target_comp_id": "FIRM",
		"orig_client_order_id": "C-1", "secondary_order_id": "S-1", "exec_id": "E-1", "exec_type": "F", "ord_status": "PARTIALLY_FILLED",
		"side": "buy", "order_type": "limit", "time_in_force": "day", "quantity": "100", "limit_price": "412.50",
		"last_quantity": "40", "last_price": "412.4000", "cum_quantity": "40", "leaves_quantity": "60", "avg_price": "412.40",
		"commission": "0.10", "commission_type": "3", "last_market": "XNAS", "last_liquidity": "1", "order_capacity": "A", "currency": "USD",
		"text": "gr\uFFFDe", "appl_ver_id": "9",
		"parties": []any{map[string]any{"id": "TRADER", "id_source": "D", "role": "12"}, map[string]any{"id": "FUND", "role": "3"}},
	}, dataOf(t, e))
}

// Each row of the table, by a message that it asks for.
func TestMapper_EveryRow(t *testing.T) {
	common := "11=C-1|37=V-1|17=E-2|19=E-1|55=MSFT|54=1|38=100|32=40|31=9|41=C-0|127=A|70=AL-1|45=3|372=8|380=2|7=1|16=0|36=9"
	seen := map[domain.EventType]bool{}
	for _, row := range fix.Table() {
		said := []string{"35=" + row.MsgType, common, "60=20260302-14:30:00"}
		for _, c := range row.When {
			said = append(said, fmt.Sprintf("%d=%s", c.Tag, strings.Fields(c.Values)[0]))
		}
		fields := strings.Join(said, "|")
		if row.Event == fix.UnknownExecution {
			fields += "|150=Z"
		}
		out := items(t, fix.NewMapper(fix.Options{}), fixtest.Message(1, fields))
		require.NotEmpty(t, out)
		last := out[len(out)-1]
		require.Nil(t, last.Err, "%v", row)
		assert.Equal(t, row.Event, last.Event.Type, "%v", row)
		seen[row.Event] = true
		for _, tag := range row.Needs {
			without := slices.DeleteFunc(strings.Split(fields, "|"), func(f string) bool { return strings.HasPrefix(f, fmt.Sprint(tag, "=")) })
			out := items(t, fix.NewMapper(fix.Options{}), fixtest.Message(1, strings.Join(without, "|")))
			if tag == 150 {
				continue // then it is no such report
			}
			require.NotNil(t, out[0].Err, "%v without %d", row, tag)
			assert.Equal(t, fmt.Sprint("tag ", tag), out[0].Err.Field)
		}
	}
	for _, known := range domain.EventTypes() {
		if f := known.Family(); f != "order" && f != "trade" || seen[known] {
			continue
		}
		assert.Contains(t, []domain.EventType{
			domain.OrderRouted, domain.OrderSubmitted, domain.OrderDuplicatePrevented, domain.OrderLinked,
		}, known, "an event type that no message leads to")
	}
}

// docs/fix.md shows the table that the code uses.
func TestTable_IsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/fix.md")
	require.NoError(t, err)
	for _, row := range fix.Table() {
		var when, needs []string
		for _, c := range row.When {
			when = append(when, fmt.Sprintf("%d=%s", c.Tag, strings.ReplaceAll(c.Values, " ", "/")))
		}
		for _, tag := range row.Needs {
			needs = append(needs, fmt.Sprint(tag))
		}
		line := fmt.Sprintf("| %s | %s | %s | `%s` | %s |", row.MsgType, row.Name, strings.Join(when, ", "), row.Event, strings.Join(needs, " "))
		assert.Contains(t, string(doc), strings.ReplaceAll(line, "|  |", "| |"))
	}
}

func TestMapper_RoutedIsWhatWeSend(t *testing.T) {
	order := "35=D|11=C-1|55=MSFT|54=1|38=100|60=20260302-14:30:00"
	mapper := fix.NewMapper(fix.Options{CompID: "FIRM"})
	assert.Equal(t, domain.OrderReceived, one(t, mapper, fixtest.Message(1, order)).Type)
	assert.Equal(t, domain.OrderRouted, one(t, mapper, fixtest.Message(1, order+"|49=FIRM|56=VENUE")).Type)
}

func TestMapper_AListIsAsManyOrders(t *testing.T) {
	out := items(t, fix.NewMapper(fix.Options{}), fixtest.Message(1,
		"35=E|66=L-1|73=2|11=C-1|67=1|55=MSFT|54=1|38=100|11=C-2|67=2|55=AAPL|54=2|38=50"))
	require.Len(t, out, 2)
	assert.Equal(t, []string{"C-1", "MSFT"}, []string{out[0].Event.OrderID, out[0].Event.Ticker})
	assert.Equal(t, []string{"C-2", "AAPL"}, []string{out[1].Event.OrderID, out[1].Event.Ticker})
	assert.Equal(t, "L-1", dataOf(t, out[1].Event)["list_id"])
	assert.NotEqual(t, out[0].Event.ID, out[1].Event.ID)
}

// A list of many orders is not kept as often as it has orders.
func TestMapper_AListIsKeptOnce(t *testing.T) {
	list := func(orders, text int) []byte {
		body := []byte("35=E|66=L|58=" + strings.Repeat("x", text))
		for i := range orders {
			body = fmt.Appendf(body, "|11=C-%d|54=1", i)
		}
		return fixtest.Message(2, string(body))
	}
	raw := list(1000, 100)
	out := items(t, fix.NewMapper(fix.Options{}), raw)
	require.Len(t, out, 1000)
	assert.Equal(t, raw, out[0].Event.Raw)
	assert.Equal(t, "8=FIX.4.4\x0111=C-1\x0154=1\x01", string(out[1].Event.Raw))
	assert.Equal(t, "tag 11", refused(t, fix.NewMapper(fix.Options{}), list(1000, 60000)).Field)
}

func TestMapper_HeartbeatsAreNoEvents(t *testing.T) {
	mapper := fix.NewMapper(fix.Options{Gaps: true})
	assert.Empty(t, items(t, mapper, fixtest.Message(1, "35=0")))
	assert.Empty(t, items(t, mapper, fixtest.Message(2, "35=1|112=x")))
}

// Unknown messages are recorded with every field; of an order, in its stream.
func TestMapper_UnknownTypesKeepEverything(t *testing.T) {
	e := one(t, fix.NewMapper(fix.Options{}), fixtest.Message(1, "35=UX|55=MSFT|20001=a|20001=b"))
	assert.Equal(t, fix.UnknownMessage, e.Type)
	assert.False(t, e.Type.Known())
	assert.Contains(t, string(e.Data), `["20001","a"],["20001","b"]`)
	e = one(t, fix.NewMapper(fix.Options{}), fixtest.Message(1, "35=8|11=C-1|37=V|17=E|150=Z|39=1"))
	assert.Equal(t, fix.UnknownExecution, e.Type)
	assert.Equal(t, "C-1", e.OrderID)
	assert.Contains(t, string(e.Data), `["150","Z"]`)
}

func TestMapper_Refuses(t *testing.T) {
	for name, tt := range map[string]struct{ fields, field string }{
		"no number of a message":     {"35=8|34=|11=C", "tag 34"},
		"a number that is none":      {"35=8|34=x|11=C", "tag 34"},
		"no sender":                  {"35=8|49=|11=C", "tag 49"},
		"no sending time":            {"35=8|52=|11=C", "tag 52"},
		"a time that is none":        {"35=8|52=20261345-00:00:00|11=C", "tag 52"},
		"a time without milli":       {"35=8|11=C|150=0|60=20260302-14:30:00.|37=V", "tag 60"},
		"no order at all":            {"35=8|150=0|39=0", "tag 11"},
		"an order that is NONE":      {"35=8|150=8|39=8|37=NONE", "tag 11"},
		"no execution type":          {"35=8|11=C", "tag 150"},
		"a fill without quantity":    {"35=8|11=C|17=E|150=F|39=1|31=9", "tag 32"},
		"two quantities":             {"35=8|11=C|17=E|150=F|39=1|31=9|32=1|32=2", "tag 32"},
		"two senders":                {"35=D|49=A|49=B|11=C|55=X|54=1", "tag 49"},
		"a quantity that is none":    {"35=8|11=C|150=0|38=1e3", "tag 38"},
		"a price that is NaN":        {"35=8|11=C|150=0|44=NaN", "tag 44"},
		"a price of too many digits": {"35=8|11=C|150=0|44=0." + strings.Repeat("1", 30), "tag 44"},
		"a flag that is none":        {"35=A|141=X|98=0|108=30", "tag 141"},
		"an id of control bytes":     {"35=8|11=C\x02|150=0", "tag 11"},
		"an id that is no UTF-8":     {"35=8|11=C\xff|150=0", "tag 11"},
		"an id that is too long":     {"35=8|11=" + strings.Repeat("C", 300) + "|150=0", "tag 11"},
		"a replace of nothing":       {"35=G|11=C-2", "tag 41"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tt.field, refused(t, fix.NewMapper(fix.Options{}), fixtest.Message(1, tt.fields)).Field)
		})
	}
}

func TestMapper_PasswordsAreNotKept(t *testing.T) {
	for _, fields := range []string{
		"35=A|98=0|108=30|553=drop|554=hunter2|925=hunter3|95=7|96=hunter4|1401=7|1402=hunter5|1403=7|1404=hunter6",
		"35=BE|923=r|924=3|553=joe|554=hunter2|925=hunter3|554=hunter4",
		"35=|553=joe|554=hunter2|96=hunter3",
	} {
		whole := fixtest.Message(1, fields)
		broken := append(slices.Clone(whole[:len(whole)-4]), "000\x01"...)
		data := bytes.Replace(broken, []byte("1402=hunter5"), []byte("1402=h\x01nter5"), 1)
		for _, raw := range [][]byte{whole, broken, data, fixtest.Bars(broken), broken[bytes.IndexByte(broken, 1)+1:], []byte("554=hunter2|35=A|")} {
			for _, item := range items(t, fix.NewMapper(fix.Options{}), raw) {
				kept := string(item.Raw)
				if item.Event != nil {
					encoded, err := item.Event.Encode()
					require.NoError(t, err)
					kept = string(encoded) + string(item.Event.Raw)
					assert.Len(t, item.Event.Raw, len(whole))
				}
				assert.NotContains(t, kept, "hunter")
				assert.NotContains(t, kept, "nter5")
			}
		}
	}
	news := fixtest.Message(1, "35=B|148=news|95=4|96=open")
	assert.Equal(t, news, one(t, fix.NewMapper(fix.Options{}), news).Raw, "no password there")
}

// What is sent again is the same event, however it comes; what is said otherwise is
// another one.
func TestMapper_Ids(t *testing.T) {
	id := func(raw []byte) string { return one(t, fix.NewMapper(fix.Options{}), raw).ID }
	again := "|43=Y|122=20260302-14:30:00.007|52=20260302-15:00:00"
	resent := "|97=Y|34=90|52=20260302-15:00:00"
	logon := "35=A|98=0|108=30"
	cancel := "35=F|11=C-2|41=C-2|60=20260302-14:30:00"
	for name, message := range map[string]string{"execution": fill, "request": cancel} {
		first := id(fixtest.Message(7, message))
		assert.Equal(t, first, id(fixtest.Bars(fixtest.Message(7, message))), name)
		assert.Equal(t, first, id(fixtest.Message(7, message+again)), name)
		assert.Equal(t, first, id(fixtest.Message(7, message+resent)), name)
		assert.NotEqual(t, first, id(fixtest.Message(7, message+"|58=x")), name)
		assert.NotEqual(t, first, id(fixtest.Message(7, message+"|49=OTHER")), name)
		assert.NotEqual(t, first, id(fixtest.Of("FIX.4.2", 7, message)), name)
		fields := strings.Split(message, "|")
		slices.Reverse(fields[1:])
		assert.Equal(t, first, id(fixtest.Message(7, strings.Join(fields, "|"))), "an engine may put fields in another order")
	}
	assert.Equal(t, id(fixtest.Message(7, logon)), id(fixtest.Message(7, logon+again)))
	assert.NotEqual(t, id(fixtest.Message(7, logon)), id(fixtest.Message(8, logon)))
	assert.NotEqual(t, id(fixtest.Message(7, logon)), id(fixtest.Message(7, logon+"|52=20260303-14:30:00.007")), "numbers begin again each day")
	assert.NotEqual(t, id(fixtest.Message(7, fill)), id(fixtest.Message(7, strings.Replace(fill, "60=20260302", "60=20260303", 1))), "so do the ids of executions")
	status := "35=8|37=V|11=C|17=0|20=3|150=0|39=0|55=MSFT|54=1|38=1"
	assert.NotEqual(t, id(fixtest.Of("FIX.4.2", 7, status)), id(fixtest.Of("FIX.4.2", 8, status)), "FIX 4.2 says 0 for every status")
}

func TestMapper_Times(t *testing.T) {
	for text, want := range map[string]string{
		"20260302-14:30:00":              "2026-03-02T14:30:00Z",
		"20260302-14:30:00.5":            "2026-03-02T14:30:00.5Z",
		"20260302-14:30:00.123456":       "2026-03-02T14:30:00.123456Z",
		"20260302-14:30:00.123456789":    "2026-03-02T14:30:00.123456789Z",
		"20260302-14:30:00.123456789999": "2026-03-02T14:30:00.123456789Z",
		"20161231-23:59:60":              "2017-01-01T00:00:00Z",
	} {
		e := one(t, fix.NewMapper(fix.Options{}), fixtest.Message(1, "35=8|11=C|150=0|60="+text))
		assert.Equal(t, want, e.OccurredAt.Format(time.RFC3339Nano), text)
	}
	for _, text := range []string{"2026-03-02T14:30:00Z", "20260302", "20260302-24:00:00", "20260302-14:30:00.1234567890123", "20260302-14:30:00Z", "19691231-23:59:59", "99990101-00:00:00"} {
		assert.Equal(t, "tag 60", refused(t, fix.NewMapper(fix.Options{}), fixtest.Message(1, "35=8|11=C|150=0|60="+text)).Field, text)
	}
	assert.Equal(t, "2026-03-02T14:30:00.001Z", one(t, fix.NewMapper(fix.Options{}), fixtest.Message(1, "35=8|11=C|150=0")).OccurredAt.Format(time.RFC3339Nano))
}

// remembered is an Origins in memory, fed with what would have been recorded.
type remembered map[string]string

func (r remembered) keep(t testing.TB, items []ingest.Item) {
	for _, item := range items {
		if e := item.Event; e != nil && e.Type == domain.OrderLinked {
			data := dataOf(t, e)
			r[fmt.Sprint(data["linked_client_order_id"])] = fmt.Sprint(data["linked_order_id"])
		}
	}
}

func TestMapper_OneOrderThroughReplacements(t *testing.T) {
	messages := []string{
		"35=D|11=A|55=MSFT|54=1|38=100|60=20260302-14:30:00",
		"35=8|11=A|37=V|17=1|150=0|39=0",
		"35=G|11=B|41=A|55=MSFT|54=1|38=120|60=20260302-14:30:01",
		"35=8|11=B|41=A|37=V|17=2|150=5|39=0|38=120",
		"35=G|11=C|41=B|55=MSFT|54=1|38=130|60=20260302-14:30:02",
		"35=9|11=C|41=B|37=V|39=0|434=2",
		"35=F|11=D|41=B|55=MSFT|54=1|60=20260302-14:30:03",
		"35=8|11=B|37=V|17=3|150=F|39=1|32=10|31=9",
		"35=8|11=D|41=B|37=V|17=4|150=4|39=4",
		"35=Q|37=V|17=3|127=A|55=MSFT|54=1",
		"35=8|37=V|17=5|150=H|39=4|19=3",
	}
	// A process that ends after every message, and remembers by what is recorded.
	whole := fix.NewMapper(fix.Options{OrderPrefix: "BR-"})
	links := map[string]string{}
	for i, message := range messages {
		raw := fixtest.Message(i+1, message)
		out := items(t, whole, raw)
		assert.Equal(t, "BR-A", out[len(out)-1].Event.OrderID, message)
		assert.Equal(t, strings.Contains(message, "|11=B|41") && i == 2 || strings.Contains(message, "|11=C|41") && i == 4 || i == 6 || i == 9, len(out) == 2, "links are noted once: %s", message)
		if strings.Contains(message, "|11=") {
			restarted := fix.NewMapper(fix.Options{OrderPrefix: "BR-", Origins: origins(links)})
			after := items(t, restarted, raw)
			assert.Equal(t, out[len(out)-1].Event, after[len(after)-1].Event, message)
		}
		remembered(links).keep(t, out)
	}
	names := slices.Sorted(maps.Keys(links))
	require.Len(t, names, 4)
	assert.Equal(t, []string{"BR-B", "BR-C", "BR-D"}, names[1:], "and one of the OrderID, for messages that name nothing else")
	last := items(t, fix.NewMapper(fix.Options{OrderPrefix: "BR-", Origins: origins(links)}), fixtest.Message(11, messages[10]))
	assert.Equal(t, "BR-A", last[0].Event.OrderID)
}

func TestMapper_AnOrderThatBeganBeforeTheLog(t *testing.T) {
	m := fix.NewMapper(fix.Options{})
	out := items(t, m, fixtest.Message(1, "35=8|11=C|41=B|37=V|17=1|150=5|39=0"))
	assert.Equal(t, "B", out[1].Event.OrderID, "the first ClOrdID that anybody knows of")
	assert.Equal(t, "B", one(t, m, fixtest.Message(2, "35=8|11=C|37=V|17=2|150=F|39=1|32=1|31=1")).OrderID)
	assert.Equal(t, "T-9", one(t, m, fixtest.Message(3, "35=8|37=T-9|17=3|150=0|39=0")).OrderID, "an order by telephone")
}

// Orders of one id don't displace what was learned of others.
func TestMapper_LinksAreRememberedForLong(t *testing.T) {
	m := fix.NewMapper(fix.Options{})
	items(t, m, fixtest.Message(1, "35=G|11=B|41=A|55=X|54=1|60=20260302-14:30:00"))
	for i := range 70000 {
		_, err := m.Items(t.Context(), fix.Piece{Raw: fixtest.Message(2+i, fmt.Sprintf("35=8|11=N%d|37=V%d|17=%d|150=0|39=0", i, i, i))}, time.Time{})
		require.NoError(t, err)
	}
	assert.Equal(t, "A", one(t, m, fixtest.Message(1, "35=8|11=B|37=V|17=1|150=F|39=1|32=1|31=1")).OrderID)
}

// The same log twice, with a process that ends anywhere in between: every message
// comes to the order that it came to first.
func TestMapper_TheSameLogAgain(t *testing.T) {
	for name, messages := range map[string][]string{
		"an order that begins in the middle of its chain": {
			"35=8|11=B|37=V|17=1|150=F|39=1|32=1|31=1|60=20260302-14:30:00",
			"35=8|11=B|41=A|37=V|17=2|150=5|39=1|60=20260302-14:30:01",
			"35=8|11=B|37=V|17=3|150=F|39=1|32=1|31=1|60=20260302-14:30:02",
		},
		"messages that name an OrderID only": {
			"35=8|11=A|37=V|17=1|150=0|39=0",
			"35=Q|37=V|17=1|127=A|55=X|54=1",
			"35=8|37=V|17=2|150=H|39=0|19=1",
		},
		"links that two messages tell": {
			"35=G|11=B|41=A|55=X|54=1|60=20260302-14:30:00",
			"35=8|11=B|41=A|37=V|17=2|150=5|39=1|60=20260303-14:30:01",
		},
	} {
		for ends := range len(messages) {
			t.Run(fmt.Sprint(name, ", ended before ", ends), func(t *testing.T) {
				h := newHouse(t)
				for life := range 3 {
					m := fix.NewMapper(fix.Options{Origins: fix.NewLinks(h.store)})
					for i, message := range messages {
						if life == 0 && i == ends {
							m = fix.NewMapper(fix.Options{Origins: fix.NewLinks(h.store)})
						}
						receipts, err := h.recorder.Record(t.Context(), "x", items(t, m, fixtest.Message(2+i, message)))
						require.NoError(t, err)
						for _, r := range receipts {
							assert.True(t, life == 0 && r.Status == ingest.Recorded || r.Status == ingest.Duplicate, "life %d, message %d: %v", life, i, r)
						}
					}
				}
				ids := map[string]bool{}
				for _, e := range h.events() {
					assert.False(t, ids[e.ID], "%s is recorded twice", e.Type)
					ids[e.ID] = true
				}
			})
		}
	}
}

// Another reader sees the same link by another message.
func TestMapper_ALinkIsSaidOnce(t *testing.T) {
	h := newHouse(t)
	for i, message := range []string{
		"35=G|11=B|41=A|55=X|54=1|60=20260302-14:30:00", "35=8|17=1|150=5|39=0|11=B|41=A|55=X|54=1|60=20260303-14:30:00",
	} {
		receipts, err := h.recorder.Record(t.Context(), "x", items(t, fix.NewMapper(fix.Options{}), fixtest.Message(2+i, message)))
		require.NoError(t, err)
		assert.Equal(t, []ingest.Status{ingest.Recorded, ingest.Duplicate}[i], receipts[0].Status)
	}
	assert.Zero(t, h.count(domain.InputQuarantined))
}
