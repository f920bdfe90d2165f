package embedded

import (
	"bytes"
	"regexp"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// defaultWindow is EventStoreDB's search window when a client asks for none.
const defaultWindow = 32

// filter selects records of $all by stream name or event type. Nil selects all.
type filter struct {
	byType   bool
	prefixes [][]byte
	regex    *regexp.Regexp
	// checkpointEvery is how many records are considered between two checkpoints.
	checkpointEvery uint64
}

func parseFilter(o *streams.ReadReq_Options, subscription bool) (*filter, error) {
	wanted := o.GetFilter()
	if wanted == nil {
		return nil, nil //nolint:nilnil // nil is the filter that selects all
	}
	f := &filter{}
	var expression *streams.ReadReq_Options_FilterOptions_Expression
	switch e := wanted.GetFilter().(type) {
	case *streams.ReadReq_Options_FilterOptions_EventType:
		f.byType, expression = true, e.EventType
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		expression = e.StreamIdentifier
	default:
		return nil, badRequest("filter has neither event type nor stream name")
	}
	for _, p := range expression.GetPrefix() {
		f.prefixes = append(f.prefixes, []byte(p))
	}
	switch {
	case len(f.prefixes) > 0 && expression.GetRegex() != "":
		return nil, badRequest("filter has both prefixes and a regular expression")
	case expression.GetRegex() != "":
		regex, err := regexp.Compile(expression.GetRegex())
		if err != nil {
			return nil, badRequest("filter: %v", err)
		}
		f.regex = regex
	case len(f.prefixes) == 0:
		return nil, badRequest("filter has neither prefixes nor a regular expression")
	}
	window := uint64(defaultWindow)
	if m, ok := wanted.GetWindow().(*streams.ReadReq_Options_FilterOptions_Max); ok {
		window = uint64(m.Max)
	}
	f.checkpointEvery = window * uint64(wanted.GetCheckpointIntervalMultiplier())
	if subscription && f.checkpointEvery == 0 {
		return nil, badRequest("filter's window and checkpoint interval must be greater than 0")
	}
	return f, nil
}

func (f *filter) match(r *record) bool {
	if f == nil {
		return true
	}
	text := r.stream
	if f.byType {
		text = r.eventType
	}
	if f.regex != nil {
		return f.regex.Match(text)
	}
	for _, p := range f.prefixes {
		if bytes.HasPrefix(text, p) {
			return true
		}
	}
	return false
}
