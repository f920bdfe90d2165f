package rest

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog"
)

// entry is an event in an answer: the canonical event and where it is kept, in a
// chain with its step.
type entry struct {
	Stage   domain.Stage // in chains only, as Latency
	Latency *nanoseconds
	*domain.Event

	Stream   string
	Revision uint64
	Position string
	Seal     tlog.Seal

	State *domain.Anomaly // of anomalies only
}

// appendJSON writes an entry around the canonical event.
func (e entry) appendJSON(b []byte) ([]byte, error) {
	event, err := e.Encode()
	if err != nil {
		return nil, err
	}
	b = append(b, '{')
	if e.Stage != "" {
		b = append(append(append(b, `"stage":"`...), e.Stage...), `",`...)
	}
	if e.Latency != nil {
		b = append(strconv.AppendInt(append(b, `"latency_ns":`...), int64(*e.Latency), 10), ',')
	}
	b = append(b, event[1:len(event)-1]...)
	if b, err = jsontext.AppendQuote(append(b, `,"stream":`...), e.Stream); err != nil {
		return nil, err
	}
	b = strconv.AppendUint(append(b, `,"revision":`...), e.Revision, 10)
	b = append(append(b, `,"position":"`...), e.Position...)
	b = append(append(b, `","seal":"`...), e.Seal...)
	b = append(b, '"')
	if e.State != nil {
		state, err := json.Marshal(stateOf(*e.State), jsontext.AllowInvalidUTF8(true))
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"state":`...), state...)
	}
	return append(b, '}'), nil
}

// appendArray writes entries as a JSON array.
func appendArray(b []byte, entries []entry) ([]byte, error) {
	b = append(b, '[')
	for i, e := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = e.appendJSON(b); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// nanoseconds is a length of time as it stands in answers.
type nanoseconds int64

func entryOf(e domain.Located, state tlog.State) entry {
	return entry{Event: e.Event, Stream: e.Stream, Revision: e.Revision, Position: e.Position.String(), Seal: state.Of(e.Position)}
}

// entries are events, and how far they are sealed by now.
func (a *Audit) entries(events []domain.Located) []entry {
	state, _ := a.seals.State()
	entries := make([]entry, len(events))
	for i, e := range events {
		entries[i] = entryOf(e, state)
	}
	return entries
}

// format writes events one after the other.
type format struct {
	media string
	head  func(steps bool) []byte
	line  func(b []byte, e entry, steps bool) ([]byte, error)
}

// lasting are the formats in which a history of any length can be written.
func lasting(media string) format {
	if media == mediaCSV {
		return format{media: mediaCSV + "; charset=utf-8; header=present", head: csvHead, line: appendCSV}
	}
	return format{media: mediaLines, head: func(bool) []byte { return nil }, line: appendLine}
}

func appendLine(b []byte, e entry, _ bool) ([]byte, error) {
	b, err := e.appendJSON(b)
	return append(b, '\n'), err
}

// lines writes a page.
func (f format) lines(b []byte, entries []entry, steps bool) ([]byte, error) {
	for _, e := range entries {
		var err error
		if b, err = f.line(b, e, steps); err != nil {
			return nil, err
		}
	}
	return b, nil
}
