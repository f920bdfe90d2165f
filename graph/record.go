package graph

import (
	"encoding/json"
	"maps"
	"strings"
	"unicode"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/ingest"
)

// understand sends a GraphQL input through the same door as JSON: it becomes the
// canonical object, with the names of the canonical event, and is normalised.
func understand(line int, input *model.EventInput) (ingest.Item, error) {
	camel, err := json.Marshal(input)
	if err != nil {
		return ingest.Item{}, domain.Rejectf(domain.CodeInvalid, "", "encoding the event: %v", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(camel, &fields); err != nil {
		return ingest.Item{}, domain.Rejectf(domain.CodeInvalid, "", "encoding the event: %v", err)
	}
	if clock, ok := fields["clock"]; ok {
		var inner map[string]json.RawMessage
		if json.Unmarshal(clock, &inner) == nil {
			fields["clock"], _ = json.Marshal(snakeNames(inner)) // raw messages that were just decoded encode
		}
	}
	raw, err := json.Marshal(snakeNames(fields))
	if err != nil {
		return ingest.Item{}, domain.Rejectf(domain.CodeInvalid, "", "encoding the event: %v", err)
	}
	return ingest.Understand(line, raw), nil
}

func snakeNames(fields map[string]json.RawMessage) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(fields))
	for name, value := range maps.All(fields) {
		out[snake(name)] = value
	}
	return out
}

// snake turns occurredAt into occurred_at.
func snake(name string) string {
	var out strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// camel turns the first part of a path from occurred_at into occurredAt; what is
// inside data keeps the sender's names.
func camel(path string) string {
	head, rest, nested := strings.Cut(path, ".")
	var out strings.Builder
	up := false
	for _, r := range head {
		switch {
		case r == '_':
			up = true
		case up:
			out.WriteRune(unicode.ToUpper(r))
			up = false
		default:
			out.WriteRune(r)
		}
	}
	if nested {
		return out.String() + "." + rest
	}
	return out.String()
}

func toReceipt(r ingest.Receipt) *model.Receipt {
	out := &model.Receipt{
		EventID: optional(r.EventID), Status: model.ReceiptStatus(strings.ToUpper(string(r.Status))),
		Stream: optional(r.Stream), Position: optional(r.Position.String()),
	}
	revision := int(r.Revision) //nolint:gosec // revisions are int64 in the store
	out.Revision = &revision
	if r.Err != nil {
		out.Error = &model.ReceiptError{Code: r.Err.Code, Field: optional(camel(r.Err.Field)), Message: r.Err.Message}
	}
	return out
}
