package report

import (
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// eventColumns are those of a table of events. Together they have all that is recorded
// of an event but its raw bytes, path and clock, and where it is sealed.
func eventColumns() []Column {
	return append([]Column{
		{"occurred_at", "Occurred at", 11},
		{"recorded_at", "Recorded at", 11},
		{"event_type", "Event", 11},
		{"about", "About", 17},
		{"actor", "Actor, source", 9},
		{"data", "Data", 30},
		{"event_id", "Event id", 13},
		{"stream", "Stream and revision", 11},
	}, leafColumns()...)
}

func eventRow(e domain.Located) Row {
	by := e.Actor
	if e.Source != "" {
		by += " via " + e.Source
	}
	return Row{Cells: []string{
		timeText(e.OccurredAt), timeText(e.RecordedAt), string(e.Type), about(e.Event), by, string(e.Data), e.ID,
		e.Stream + "@" + strconv.FormatUint(e.Revision, 10),
	}}
}

func nullText(d decimal.NullDecimal) string {
	if !d.Valid {
		return ""
	}
	return d.Decimal.String()
}
