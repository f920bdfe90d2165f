package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/client/internal/spool"
	"github.com/tradetrail/tradetrail/domain"
)

// What is sent is, byte for byte, the canonical JSON of the event.
func TestBody_BecomesCanonicalJSON(t *testing.T) {
	t.Parallel()
	c := &Client{}
	text := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 20, 200), rapid.StringMatching(`[a-z0-9_-]{0,300}`))
	rapid.Check(t, func(t *rapid.T) {
		e := Event{
			ID: rapid.StringMatching(`[a-z0-9]{1,40}`).Draw(t, "id"), Type: domain.EventType("x." + text.Draw(t, "type")),
			OccurredAt:    time.Unix(0, rapid.Int64Range(0, 9e18).Draw(t, "at")).UTC(),
			SchemaVersion: domain.SchemaVersion,
		}
		for _, field := range []*string{
			&e.EntityType, &e.EntityID, &e.OrderID, &e.ClientOrderID, &e.BrokerOrderID, &e.ParentOrderID, &e.AccountID, &e.UserID,
			&e.StrategyID, &e.Ticker, &e.RecommendationID, &e.ComputationID, &e.EvaluationID, &e.ApprovalID, &e.SessionID,
			&e.Environment, &e.Version, &e.Actor, &e.CorrelationID, &e.CausationID,
		} {
			*field = text.Draw(t, "field")
		}
		if rapid.Bool().Draw(t, "clock") {
			e.Clock = &domain.Clock{SourceID: "a", Sync: "PTP_LOCKED", OffsetNs: rapid.Int64().Draw(t, "offset")}
		}
		if rapid.Bool().Draw(t, "path") {
			e.Path = []domain.Hop{{Hop: text.Draw(t, "hop"), In: e.OccurredAt}}
		}
		if rapid.Bool().Draw(t, "data") {
			var w members
			w.text("a", text.Draw(t, "a"))
			w.number("n", rapid.Int().Draw(t, "n"))
			e.Data = w.object()
		}
		e.Raw = rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "raw")
		want, err := e.Encode()
		require.NoError(t, err)

		body, err := c.appendBody(nil, &e, time.Time{})
		require.NoError(t, err)
		line, id, err := appendLine(nil, spool.Record{Body: body})
		require.NoError(t, err)
		require.Equal(t, string(want), string(line))
		require.Equal(t, e.ID, id)
	})
}

// FuzzBody sends whatever the checksum says is a record.
func FuzzBody(f *testing.F) {
	e := Event{Type: domain.OrderAccepted, OrderID: "o", Data: []byte(`{"a":1}`), Raw: []byte("raw")}
	body, err := (&Client{}).appendBody(nil, &e, time.Unix(1_800_000_000, 0))
	require.NoError(f, err)
	f.Add(body)
	f.Add(body[:10])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		line, _, err := appendLine(nil, spool.Record{Body: body})
		if err != nil {
			require.Empty(t, line)
			return
		}
		require.NotContains(t, string(line), "\n", "a line is one line")
	})
}

func TestHistogram_BoundsWhatItCounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1<<maxBits-1).Draw(t, "d"))
		bound := upperBound(bucketOf(d))
		require.GreaterOrEqual(t, bound, d)
		require.LessOrEqual(t, float64(bound), float64(d)*(1+1.0/16)+1)
	})
	var h histogram
	for n := range 1000 {
		h.add(time.Duration(n))
	}
	c := h.look()
	require.InEpsilon(t, 500, int64(c.quantile(0.5)), 0.07)
	require.InEpsilon(t, 990, int64(c.quantile(0.99)), 0.07)
	before := c
	h.add(time.Hour)
	c = h.look().less(&before)
	require.Equal(t, uint64(1), c.total)
}
