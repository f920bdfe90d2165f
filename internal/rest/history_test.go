package rest_test

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// parse reads events as the door does.
func parse(t testing.TB, path string) []*domain.Event {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	items, err := ingest.ParseBody(file, ingest.FramingLines)
	require.NoError(t, err)
	var events []*domain.Event
	for _, item := range items {
		require.Nil(t, item.Err)
		if item.Event.ID == "" {
			item.Event.ID = "line-" + item.Event.OccurredAt.Format("150405.000000000")
		}
		events = append(events, item.Event)
	}
	return events
}

// mostFrequent is the name that most events carry.
func mostFrequent(log []feed.Event, name func(*domain.Event) string) (best string) {
	counts := make(map[string]int)
	for _, e := range log {
		if e.Event == nil || name(e.Event) == "" {
			continue
		}
		counts[name(e.Event)]++
		if counts[name(e.Event)] > counts[best] {
			best = name(e.Event)
		}
	}
	return best
}

func reverse[T any](list []T) { slices.Reverse(list) }
