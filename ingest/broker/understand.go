package broker

import (
	"bytes"
	"strconv"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// Understand makes items of one message, which holds an event, an array of
// events, or NDJSON. Events without an id get one from the message's place and,
// from the second on, from where they stand in it. What can't be understood says
// in its reason which message it was in.
func Understand(source string, m Message) []ingest.Item {
	items := takeApart(m)
	for i := range items {
		item := &items[i]
		if item.Err != nil {
			said := *item.Err
			said.Message += " (message " + m.Offset + " of " + m.Partition + ")"
			item.Err = &said
			continue
		}
		if item.Event.ID == "" {
			item.Event.ID = domain.DeriveID(source, m.Partition, place(m.Offset, i))
		}
	}
	return items
}

// place is where the i-th event of a message stands.
func place(offset string, i int) string {
	if i == 0 {
		return offset
	}
	return offset + "/" + strconv.Itoa(i)
}

func takeApart(m Message) []ingest.Item {
	switch {
	case m.Err != nil:
		return []ingest.Item{{Line: 1, Raw: m.Body, Err: m.Err}}
	case len(m.Body) > ingest.MaxBodyBytes:
		// Quarantine keeps its beginning, and the size and digest of the whole.
		return []ingest.Item{{Line: 1, Raw: m.Body, Err: domain.Rejectf(domain.CodeTooLarge, "",
			"the message is longer than %d bytes", ingest.MaxBodyBytes)}}
	}
	// Nearly every message is one object: no need to look for others.
	if item := ingest.Understand(1, m.Body); item.Err == nil {
		return []ingest.Item{item}
	}
	items, err := ingest.ParseBody(bytes.NewReader(m.Body), ingest.FramingGuess)
	if err != nil { // no reader fails less
		return []ingest.Item{{Line: 1, Raw: m.Body, Err: domain.Rejectf(domain.CodeMalformed, "", "%v", err)}}
	}
	return items
}
