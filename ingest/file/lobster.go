package file

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // New York's offsets, also where the machine has no zoneinfo

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// Lobster reads a LOBSTER message file: the venue's record of every limit order
// of one ticker on one day. Ticker and date come from the options, else from the
// name that LOBSTER gives its files. The sequence can be ranged over once.
//
// The reader follows each order that the file opens, to tell partial fills from
// the last one. An order that was resting before the file begins stays unknown:
// its fills are partial and name no leaves_quantity.
func Lobster(r io.Reader, o Options) (iter.Seq2[ingest.Item, error], error) {
	f, err := newLobster(o)
	if err != nil {
		return nil, err
	}
	return items(newLines(r, o.Name).next, f.understand), nil
}

// lobster is the state of one file.
type lobster struct {
	template  domain.Event
	partition string    // of the event ids
	midnight  time.Time // in New York
	resting   restingOrders
}

func newLobster(o Options) (*lobster, error) {
	if ticker, date, ok := splitLobsterName(o.Name); ok {
		o.Ticker, o.Date = cmp.Or(o.Ticker, ticker), cmp.Or(o.Date, date)
	}
	for _, need := range []struct{ field, value string }{{"ticker", o.Ticker}, {"date", o.Date}} {
		if need.value == "" {
			return nil, domain.Rejectf(domain.CodeMissing, need.field,
				"the name %q does not tell it (TICKER_YYYY-MM-DD_start_end_message_LEVEL.csv does): give --%s", o.Name, need.field)
		}
	}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		return nil, fmt.Errorf("loading the exchange's time zone: %w", err)
	}
	midnight, err := time.ParseInLocation(time.DateOnly, o.Date, zone)
	if err != nil {
		return nil, domain.Rejectf(domain.CodeInvalid, "date", "%.64q is not a date such as 2012-06-21: give --date", o.Date)
	}
	f := &lobster{
		template: domain.Event{
			AccountID: o.Account, StrategyID: o.Strategy, Ticker: o.Ticker,
			SchemaVersion: domain.SchemaVersion,
		},
		partition: strings.Join([]string{o.Ticker, o.Date, o.Account, o.Strategy}, "|"),
		midnight:  midnight,
		resting:   restingOrders{},
	}
	return f, f.checkOptions()
}

// checkOptions has the door judge what the options put into every event.
func (f *lobster) checkOptions() error {
	probe := f.template
	probe.Type, probe.OccurredAt = domain.TradeReported, f.midnight
	data, err := probe.Encode()
	if err == nil {
		_, err = domain.Normalise(data)
	}
	return err
}

// splitLobsterName reads TICKER_YYYY-MM-DD_start_end_message_LEVEL.csv.
func splitLobsterName(name string) (ticker, date string, ok bool) {
	parts := strings.Split(strings.TrimSuffix(name, ".csv"), "_")
	if len(parts) != 6 || parts[4] != "message" || parts[0] == "" {
		return "", "", false
	}
	if _, err := time.Parse(time.DateOnly, parts[1]); err != nil {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// understand reads one row.
func (f *lobster) understand(r row) ingest.Item {
	item := ingest.Item{Line: r.line, Raw: r.text}
	text := string(r.text)
	var m message
	if m, item.Err = parseMessage(text); item.Err == nil {
		item.Event = f.event(m)
		item.Event.ID = domain.DeriveID(FormatLobster, f.partition, strconv.Itoa(r.line)+" "+text)
		if m.finer {
			item.Event.Raw = r.text // the only place that has all digits
		}
	}
	return item
}

func (f *lobster) event(m message) *domain.Event {
	e := f.template
	e.OccurredAt = f.at(m.second, m.nanosecond)
	if m.order != 0 {
		e.OrderID = strconv.FormatUint(m.order, 10)
	}
	switch m.kind {
	case kindSubmission:
		f.submitted(&e, m)
	case kindPartialCancel:
		f.reduced(&e, m)
	case kindDeletion:
		f.cancelled(&e, m)
	case kindExecution:
		f.executed(&e, m)
	case kindHidden:
		hidden(&e, m)
	case kindHalt:
		// About the instrument, not about an account or a strategy.
		e.EntityType, e.EntityID = "instrument", e.Ticker
		halt(&e, m)
	}
	if e.EntityID == "" {
		home := e.Home()
		e.EntityType, e.EntityID = home.Kind, home.ID
	}
	return &e
}

// at is the moment of a second after midnight as the exchange counts: 34200 is
// half past nine on New York's clocks on every day. It is not 34200 seconds after
// midnight on the two days a year on which the clocks are changed.
func (f *lobster) at(second, nanosecond int) time.Time {
	year, month, day := f.midnight.Date()
	return time.Date(year, month, day, 0, 0, second, nanosecond, f.midnight.Location()).UTC()
}
