package rest

import (
	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
)

// sealRecorded is what holds of every event that can be read: it is in the log.
const sealRecorded = "RECORDED"

// entry is an event in an answer: the canonical event and where it is kept, in a
// chain with its step.
type entry struct {
	Stage   domain.Stage `json:"stage,omitzero"`
	Latency *nanoseconds `json:"latency_ns,omitzero"`
	*domain.Event

	Stream   string `json:"stream"`
	Revision uint64 `json:"revision"`
	Position string `json:"position"`
	Seal     string `json:"seal"`
}

// nanoseconds is a length of time as it stands in answers.
type nanoseconds int64

func entryOf(e domain.Located) entry {
	return entry{Event: e.Event, Stream: e.Stream, Revision: e.Revision, Position: e.Position.String(), Seal: sealRecorded}
}

func entriesOf(events []domain.Located) []entry {
	entries := make([]entry, len(events))
	for i, e := range events {
		entries[i] = entryOf(e)
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
	line, err := json.Marshal(&e)
	if err != nil {
		return nil, err
	}
	return append(append(b, line...), '\n'), nil
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
