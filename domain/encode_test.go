package domain_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
)

// reflected has no methods: the library encodes it field by field.
type reflected domain.Event

// The encoding by hand is the library's, byte for byte, and fails where it fails.
func TestEncode_IsTheLibrarys(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[ -~]{1,12}`), rapid.String(),
		rapid.SampledFrom([]string{"\xff\xfe", "<&>\u2028", "\"\\\n\x00\x7f", "ü€𝄞"}))
	data := rapid.OneOf(rapid.Just(""), rapid.SampledFrom([]string{
		`{}`, ` { "a" : [ 1 , 2.50 ] } `, `{"a":"\u00fc\/"}`, `{"a":1,"a":2}`, `{"a":`, "{\"a\":\"\xff\"}", `null`, `{"n":1e400,"d":"1.10"}`, `{"<":"&"}`,
	}))
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		at := time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		if zone := rapid.IntRange(-2, 2).Draw(t, "zone"); zone != 0 {
			return at.In(time.FixedZone("", zone*5400+zone))
		}
		return rapid.SampledFrom([]time.Time{at.UTC(), {}, at.UTC().Truncate(time.Second)}).Draw(t, "at")
	})
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) string { return text.Draw(t, name) }
		e := domain.Event{
			ID: draw("id"), Type: domain.EventType(draw("type")), OccurredAt: moment.Draw(t, "occurred"), RecordedAt: moment.Draw(t, "recorded"),
			EntityType: draw("entity_type"), EntityID: draw("entity_id"), OrderID: draw("order"), ClientOrderID: draw("client"), BrokerOrderID: draw("broker"),
			ParentOrderID: draw("parent"), AccountID: draw("account"), UserID: draw("user"), StrategyID: draw("strategy"), Ticker: draw("ticker"),
			RecommendationID: draw("recommendation"), ComputationID: draw("computation"), EvaluationID: draw("evaluation"), ApprovalID: draw("approval"),
			SessionID: draw("session"), Environment: draw("environment"), Version: draw("version"), Actor: draw("actor"), Source: draw("source"),
			CorrelationID: draw("correlation"), CausationID: draw("causation"), SchemaVersion: rapid.Int().Draw(t, "schema"),
			Raw: rapid.SliceOfN(rapid.Byte(), -1, 5).Draw(t, "raw"),
		}
		if d := data.Draw(t, "data"); d != "" {
			e.Data = jsontext.Value(d)
		}
		if rapid.Bool().Draw(t, "with path") {
			e.Path = []domain.Hop{{Hop: draw("hop"), In: moment.Draw(t, "in")}, {Out: moment.Draw(t, "out")}}
		}
		if rapid.Bool().Draw(t, "with clock") {
			e.Clock = &domain.Clock{SourceID: draw("clock"), OffsetNs: rapid.Int64().Draw(t, "offset")}
		}
		want, wantErr := json.Marshal((*reflected)(&e))
		hash := sha256.New()
		got, err := e.EncodeTo(hash)
		require.Equal(t, wantErr == nil, err == nil, "%v, %v", wantErr, err)
		if err != nil {
			return
		}
		require.Equal(t, string(want), string(got))

		said := reflected(e)
		said.RecordedAt, said.Source, said.Path = time.Time{}, "", nil
		want, err = json.Marshal(&said)
		require.NoError(t, err)
		digest, err := e.Digest()
		require.NoError(t, err)
		assert.Equal(t, sha256.Sum256(want), digest)
		assert.Equal(t, digest[:], hash.Sum(nil))
	})
}
