package views

import (
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// eventsView keeps every event's body once; the other views hold places.
//
//	b:<place>  string  the event and where the store keeps it
type eventsView struct{}

// body is the value of a b: key.
type body struct {
	Stream   string         `json:"s"`
	Revision uint64         `json:"r"`
	Event    jsontext.Value `json:"e"` // canonical, as stored
}

func (eventsView) name() string { return "events" }
func (eventsView) version() int { return 1 }

func (eventsView) fold(ctx context.Context, _ redis.Cmdable, k keys, events []feed.Event) (func(redis.Pipeliner), []string, error) {
	type write struct {
		key   string
		value []byte
	}
	writes := make([]write, 0, len(events))
	for _, e := range events {
		if e.Event == nil {
			continue
		}
		value, err := json.Marshal(body{e.Stream, e.Revision, e.Payload})
		if err != nil {
			continue // readable but no JSON that may be written: readers turn to the store
		}
		writes = append(writes, write{k.at("b", place(e.Position)), value})
	}
	return func(p redis.Pipeliner) {
		for _, w := range writes {
			p.Set(ctx, w.key, w.value, 0)
		}
	}, nil, nil
}

func parseBody(position domain.Position, value string) (domain.Located, error) {
	var b body
	if err := json.Unmarshal([]byte(value), &b); err != nil {
		return domain.Located{}, damaged("an unreadable body at %s", position)
	}
	e, err := domain.Decode(b.Event)
	if err != nil {
		return domain.Located{}, damaged("an unreadable event at %s", position)
	}
	return domain.Located{Event: e, Stream: b.Stream, Revision: b.Revision, Position: position}, nil
}
