package fix_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/fix"
	"github.com/tradetrail/tradetrail/ingest/fix/fixtest"
)

// The order state change matrices of FIX 4.4, volume 4, appendix D, from raw
// messages to the state of the order. After each message stands the state, then
// what is executed and what is left, and at the end the average price.
func TestFlows_OrderStateChangeMatrices(t *testing.T) {
	type line struct{ message, want string }
	const (
		order  = "35=D|11=X|55=MSFT|54=1|40=2|44=50|38=10000|60=20260302-14:30:00"
		accept = "35=8|11=X|37=V|17=A|150=0|39=0|151=10000|14=0"
	)
	started := []line{{order, "PENDING_NEW 0/10000"}, {accept, "NEW 0/10000"}}
	report := func(client, exec, kind, status, more string) string {
		return fmt.Sprintf("35=8|37=V|11=%s|17=%s|150=%s|39=%s|%s", client, exec, kind, status, more)
	}
	fill := func(client, exec, status string, quantity, cum int) string {
		return report(client, exec, "F", status, fmt.Sprintf("32=%d|31=50|14=%d|6=50", quantity, cum))
	}
	replace := func(client, orig string, quantity int) string {
		return fmt.Sprintf("35=G|11=%s|41=%s|37=V|55=MSFT|54=1|38=%d|60=20260302-14:31:00", client, orig, quantity)
	}
	cancel := func(client, orig string) string {
		return fmt.Sprintf("35=F|11=%s|41=%s|37=V|55=MSFT|54=1|60=20260302-14:31:00", client, orig)
	}
	tests := []struct {
		name  string
		begun bool
		lines []line
	}{
		{"A.1.a filled order", true, []line{
			{fill("X", "B", "1", 2000, 2000), "PARTIALLY_FILLED 2000/8000"},
			{fill("X", "C", "1", 1000, 3000), "PARTIALLY_FILLED 3000/7000"},
			{fill("X", "D", "2", 7000, 10000), "FILLED 10000/0"},
		}},
		{"A.1.b part-filled day order, done for day", true, []line{
			{fill("X", "B", "1", 2000, 2000), "PARTIALLY_FILLED 2000/8000"},
			{report("X", "C", "3", "3", "14=2000|151=0"), "DONE_FOR_DAY 2000/0"},
		}},
		{"B.1.a cancel of a zero-filled order", true, []line{
			{cancel("Y", "X"), "PENDING_CANCEL 0/10000"},
			{report("Y", "B", "6", "6", "41=X|14=0"), "PENDING_CANCEL 0/10000"},
			{report("Y", "C", "4", "4", "41=X|14=0|151=0"), "CANCELED 0/0"},
		}},
		{"B.1.b executions while the cancel is pending", true, []line{
			{fill("X", "B", "1", 2000, 2000), "PARTIALLY_FILLED 2000/8000"},
			{cancel("Y", "X"), "PENDING_CANCEL 2000/8000"},
			{fill("X", "C", "1", 3000, 5000), "PENDING_CANCEL 5000/5000"},
			{report("Y", "D", "6", "6", "41=X|14=5000"), "PENDING_CANCEL 5000/5000"},
			{fill("X", "E", "6", 1000, 6000), "PENDING_CANCEL 6000/4000"},
			{report("Y", "F", "4", "4", "41=X|14=6000|151=0"), "CANCELED 6000/0"},
		}},
		{"B.1.c filled before the cancel is accepted", true, []line{
			{fill("X", "B", "1", 2000, 2000), "PARTIALLY_FILLED 2000/8000"},
			{cancel("Y", "X"), "PENDING_CANCEL 2000/8000"},
			{fill("X", "C", "2", 8000, 10000), "FILLED 10000/0"},
			{"35=9|11=Y|41=X|37=V|39=2|434=1|102=0", "FILLED 10000/0"},
		}},
		{"B.1.d cancel rejected, order goes on", true, []line{
			{cancel("Y", "X"), "PENDING_CANCEL 0/10000"},
			{"35=9|11=Y|41=X|37=V|39=0|434=1|102=2", "NEW 0/10000"},
			{fill("X", "B", "2", 10000, 10000), "FILLED 10000/0"},
		}},
		{"C.1.a replace of a zero-filled order", true, []line{
			{replace("Y", "X", 11000), "PENDING_REPLACE 0/10000"},
			{report("Y", "B", "E", "E", "41=X|38=10000"), "PENDING_REPLACE 0/10000"},
			{report("Y", "C", "5", "0", "41=X|38=11000"), "NEW 0/11000"},
			{fill("Y", "D", "1", 1000, 1000), "PARTIALLY_FILLED 1000/10000"},
		}},
		{"C.1.b replace while filling", true, []line{
			{fill("X", "B", "1", 1000, 1000), "PARTIALLY_FILLED 1000/9000"},
			{replace("Y", "X", 12000), "PENDING_REPLACE 1000/9000"},
			{report("Y", "C", "E", "E", "41=X|38=10000"), "PENDING_REPLACE 1000/9000"},
			{fill("X", "D", "E", 100, 1100), "PENDING_REPLACE 1100/8900"},
			{report("Y", "E", "5", "1", "41=X|38=12000|14=1100"), "PARTIALLY_FILLED 1100/10900"},
			{fill("Y", "F", "2", 10900, 12000), "FILLED 12000/0"},
		}},
		{"C.2.a replace rejected, since it was filled", true, []line{
			{replace("Y", "X", 12000), "PENDING_REPLACE 0/10000"},
			{fill("X", "B", "2", 10000, 10000), "FILLED 10000/0"},
			{"35=9|11=Y|41=X|37=V|39=2|434=2|102=0", "FILLED 10000/0"},
		}},
		{"C.2.d cut down to what is done", true, []line{
			{fill("X", "B", "1", 8000, 8000), "PARTIALLY_FILLED 8000/2000"},
			{replace("Y", "X", 7000), "PENDING_REPLACE 8000/2000"},
			{report("Y", "C", "5", "2", "41=X|38=8000|14=8000"), "FILLED 8000/0"},
		}},
		{"C.3.a two replaces, one after the other", true, []line{
			{replace("Y", "X", 12000), "PENDING_REPLACE 0/10000"},
			{report("Y", "B", "5", "0", "41=X|38=12000"), "NEW 0/12000"},
			{replace("Z", "Y", 15000), "PENDING_REPLACE 0/12000"},
			{report("Z", "C", "5", "0", "41=Y|38=15000"), "NEW 0/15000"},
			{fill("Z", "D", "2", 15000, 15000), "FILLED 15000/0"},
		}},
		{"C.3.b one rejected, the next accepted", true, []line{
			{replace("Y", "X", 8000), "PENDING_REPLACE 0/10000"},
			{"35=9|11=Y|41=X|37=V|39=0|434=2|102=1", "NEW 0/10000"},
			{replace("Z", "X", 6000), "PENDING_REPLACE 0/10000"},
			{report("Z", "B", "5", "0", "41=X|38=6000"), "NEW 0/6000"},
			{fill("Z", "C", "2", 6000, 6000), "FILLED 6000/0"},
		}},
		{"D.1 telephoned order, cancelled unasked", false, []line{
			{"35=8|37=V|17=A|150=0|39=0|38=10000|14=0", "NEW 0/10000"},
			{"35=8|37=V|17=B|150=4|39=4|14=0|151=0", "CANCELED 0/0"},
		}},
		{"D.1 reduced by the broker", true, []line{
			{report("X", "B", "D", "0", "38=9000|14=0|378=5"), "NEW 0/9000"},
			{fill("X", "C", "2", 9000, 9000), "FILLED 9000/0"},
		}},
		{"D.1 held, then triggered", true, []line{
			{report("X", "B", "9", "9", "14=0"), "SUSPENDED 0/10000"},
			{report("X", "C", "L", "0", "14=0"), "NEW 0/10000"},
			{fill("X", "D", "1", 1, 1), "PARTIALLY_FILLED 1/9999"},
		}},
		{"D.2 rejected as a duplicate", false, []line{
			{order, "PENDING_NEW 0/10000"},
			{report("X", "A", "8", "8", "103=6|58=Duplicate ClOrdID|14=0|151=0"), "REJECTED 0/0"},
		}},
		{"D.2 status requests during the life", true, []line{
			{report("X", "0", "I", "0", "14=0|151=10000"), "NEW 0/10000"},
			{fill("X", "B", "1", 2000, 2000), "PARTIALLY_FILLED 2000/8000"},
			{report("X", "0", "I", "1", "14=2000|151=8000"), "PARTIALLY_FILLED 2000/8000"},
		}},
		{"D.3 good till cancelled, renewed the next day", true, []line{
			{fill("X", "B", "1", 2000, 2000), "PARTIALLY_FILLED 2000/8000"},
			{report("X", "C", "3", "3", "14=2000"), "DONE_FOR_DAY 2000/0"},
			{report("X", "D", "D", "1", "378=1|38=10000|14=2000|6=50"), "PARTIALLY_FILLED 2000/8000"},
			{fill("X", "E", "1", 3000, 5000), "PARTIALLY_FILLED 5000/5000"},
		}},
		{"D.3 good till cancelled, 2:1 split", true, []line{
			{fill("X", "B", "1", 2000, 2000), "PARTIALLY_FILLED 2000/8000"},
			{report("X", "C", "3", "3", "14=2000"), "DONE_FOR_DAY 2000/0"},
			{report("X", "D", "D", "1", "378=0|38=20000|14=4000|6=25|151=16000"), "PARTIALLY_FILLED 4000/16000"},
			{fill("X", "E", "2", 16000, 20000), "FILLED 20000/0"},
		}},
		{"D.4 fill or kill, killed", true, []line{{report("X", "B", "4", "4", "14=0|151=0"), "CANCELED 0/0"}}},
		{"D.4 expired at the end of the day", true, []line{{report("X", "B", "C", "C", "14=0|151=0"), "EXPIRED 0/0"}}},
		{"D.5.a filled, then correction and bust", true, []line{
			{fill("X", "B", "1", 1000, 1000), "PARTIALLY_FILLED 1000/9000"},
			{fill("X", "C", "2", 9000, 10000), "FILLED 10000/0"},
			{report("X", "D", "G", "1", "19=C|32=8000|31=50|14=9000|6=50"), "PARTIALLY_FILLED 9000/1000"},
			{report("X", "E", "H", "1", "19=B|14=8000|6=50"), "PARTIALLY_FILLED 8000/2000"},
			{fill("X", "F", "2", 2000, 10000), "FILLED 10000/0"},
		}},
		{"D.5.b cancelled, a bust, and a new execution", true, []line{
			{fill("X", "B", "1", 5000, 5000), "PARTIALLY_FILLED 5000/5000"},
			{cancel("Y", "X"), "PENDING_CANCEL 5000/5000"},
			{report("Y", "C", "4", "4", "41=X|14=5000|151=0"), "CANCELED 5000/0"},
			{report("Y", "D", "H", "4", "19=B|14=0|6=0|151=0"), "CANCELED 0/0"},
			{fill("Y", "E", "4", 4000, 4000), "CANCELED 4000/0"},
		}},
		{"D.5.d done for day, then correction and bust", true, []line{
			{fill("X", "B", "1", 1000, 1000), "PARTIALLY_FILLED 1000/9000"},
			{report("X", "C", "3", "3", "14=1000|151=0"), "DONE_FOR_DAY 1000/0"},
			{report("X", "D", "G", "3", "19=B|32=500|31=50|14=500|6=50"), "DONE_FOR_DAY 500/0"},
			{report("X", "E", "H", "3", "19=D|14=0|6=0"), "DONE_FOR_DAY 0/0"},
		}},
		{"D.7 stopped, then filled", true, []line{
			{report("X", "B", "7", "7", "14=0"), "STOPPED 0/10000"},
			{fill("X", "C", "2", 10000, 10000), "FILLED 10000/0"},
		}},
		{"filled, then calculated", true, []line{
			{fill("X", "B", "2", 10000, 10000), "FILLED 10000/0"},
			{report("X", "C", "B", "B", "14=10000|151=0"), "FILLED 10000/0"},
		}},
		{"FIX 4.2: partial fill, fill, cancel and correct by ExecTransType", true, []line{
			{"35=8|37=V|11=X|17=B|20=0|150=1|39=1|32=4000|31=50|14=4000|6=50", "PARTIALLY_FILLED 4000/6000"},
			{"35=8|37=V|11=X|17=C|20=0|150=2|39=2|32=6000|31=50|14=10000|6=50", "FILLED 10000/0"},
			{"35=8|37=V|11=X|17=D|20=2|19=C|150=1|39=1|32=5000|31=50|14=9000|6=50", "PARTIALLY_FILLED 9000/1000"},
			{"35=8|37=V|11=X|17=E|20=1|19=B|150=1|39=1|32=0|31=0|14=5000|6=50", "PARTIALLY_FILLED 5000/5000"},
			{"35=8|37=V|11=X|17=0|20=3|150=1|39=1|14=5000|6=50", "PARTIALLY_FILLED 5000/5000"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mapper := fix.NewMapper(fix.Options{})
			lines := tt.lines
			if tt.begun {
				lines = append(started[:len(started):len(started)], lines...)
			}
			var o domain.Order
			for i, l := range lines {
				for _, item := range items(t, mapper, fixtest.Message(i+1, l.message)) {
					require.Nil(t, item.Err, l.message)
					if item.Event.OrderID == "" {
						require.Equal(t, domain.OrderLinked, item.Event.Type)
						continue
					}
					require.Contains(t, []string{"X", "V"}, item.Event.OrderID)
					o.Apply(item.Event)
				}
				leaves := o.Leaves()
				assert.Equal(t, l.want, fmt.Sprintf("%s %s/%s", o.Status, o.CumQuantity, leaves.Decimal), "after %s", l.message)
			}
		})
	}
}
