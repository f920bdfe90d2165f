package domain_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
)

// plain are canonical events that are read by hand; foreign are those that are not,
// whether they are events or not.
var (
	plain = []string{
		`{"event_type":"x","occurred_at":"2026-03-02T14:30:05Z","schema_version":1}`,
		`{"event_id":"","event_type":"order.filled","occurred_at":"2026-03-02T14:30:05.000000001Z","recorded_at":"2024-02-29T23:59:59.12Z","schema_version":0}`,
		`{"event_type":"x","occurred_at":"0000-01-01T00:00:00Z","schema_version":123456789,"data":{}}`,
		`{"event_type":"ü","occurred_at":"2026-03-02T14:30:05Z","schema_version":1,"actor":"😀","data":{"":[1,-0,0.5,1e9,-1.25E-7,true,false,null,"",{"a":{"a":[]}}]}}`,
		`{"event_type":"x","path":[{"hop":"h","in":"2026-03-02T14:30:05+01:00"}],"clock":{"source_id":"c","offset_ns":-1},"raw":"AP8=","data":null}`,
	}
	foreign = []string{
		``, ` `, `{`, `{}`, `[]`, `null`, `{"event_type":"x"} `, ` {"event_type":"x"}`, `{"event_type": "x"}`, `{"event_type":"x"}{}`, `{"event_type":"x",}`, `{,"event_type":"x"}`,
		`{"event_type":"x" "actor":"y"}`, `{"event_type":"x","event_type":"y"}`, `{"event_type":"x","later":1}`, `{"event_type":null}`, `{"event_type":1}`, `{"event_type":"x\u0041"}`,
		"{\"event_type\":\"x\xff\"}", "{\"event_type\":\"x\x01\"}", `{"event_type":"x`, `{"event_type":"x"`,
		`{"event_type":"x","occurred_at":"2026-02-30T00:00:00Z"}`, `{"event_type":"x","occurred_at":"2026-13-01T00:00:00Z"}`, `{"event_type":"x","occurred_at":"2026-00-01T00:00:00Z"}`,
		`{"event_type":"x","occurred_at":"2026-03-02T24:00:00Z"}`, `{"event_type":"x","occurred_at":"2026-03-02T14:60:00Z"}`, `{"event_type":"x","occurred_at":"2026-03-02T14:30:60Z"}`,
		`{"event_type":"x","occurred_at":"2026-03-02T14:30:05.Z"}`, `{"event_type":"x","occurred_at":"2026-03-02T14:30:05,1Z"}`, `{"event_type":"x","occurred_at":"2026-03-02T14:30:05.1234567890Z"}`,
		`{"event_type":"x","occurred_at":"2026-03-02T14:30:05"}`, `{"event_type":"x","occurred_at":"2026-03-02T14:30:05+00:00"}`, `{"event_type":"x","occurred_at":"2026-03-02 14:30:05Z"}`, `{"event_type":"x","occurred_at":""}`,
		`{"event_type":"x","schema_version":01}`, `{"event_type":"x","schema_version":-1}`, `{"event_type":"x","schema_version":1.0}`, `{"event_type":"x","schema_version":1-}`, `{"event_type":"x","schema_version":1e1}`, `{"event_type":"x","schema_version":1234567890123}`, `{"event_type":"x","schema_version":}`, `{"event_type":"x","schema_version":1`,
		`{"event_type":"x","data":{"a":1,"a":2}}`, `{"event_type":"x","data":{"a":01}}`, `{"event_type":"x","data":{"a":1.}}`, `{"event_type":"x","data":{"a":1e}}`, `{"event_type":"x","data":{"a":-}}`, `{"event_type":"x","data":{"a":+1}}`, `{"event_type":"x","data":{"a":.5}}`,
		`{"event_type":"x","data":{"a"}}`, `{"event_type":"x","data":{"a":}}`, `{"event_type":"x","data":{"a":1,}}`, `{"event_type":"x","data":[1,]}`, `{"event_type":"x","data":[,1]}`, `{"event_type":"x","data":tru}`, `{"event_type":"x","data":{"a":"\n"}}`, `{"event_type":"x","data":{1:1}}`, `{"event_type":"x","data":NaN}`,
		`{"event_type":"x","raw":"?"}`, `{"event_type":"x","path":{}}`, `{"event_type":"x","clock":{"offset_ns":"1"}}`,
		`{"event_type":"x","data":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`,
	}
)

func TestDecode_ReadsPlainEventsByHand(t *testing.T) {
	t.Parallel()
	for _, text := range plain {
		_, ok := domain.DecodePlain([]byte(text))
		assert.True(t, ok, text)
		requireDecodedAlike(t, []byte(text))
	}
	for _, line := range shapes(t) { // what is recorded is plain
		encoded, err := normalise(t, string(line)).Encode()
		require.NoError(t, err)
		_, ok := domain.DecodePlain(encoded)
		assert.True(t, ok, "%s", encoded)
		requireDecodedAlike(t, encoded)
	}
}

func TestDecode_LeavesTheRestToTheLibrary(t *testing.T) {
	t.Parallel()
	for _, text := range foreign {
		e, ok := domain.DecodePlain([]byte(text))
		assert.False(t, ok && e.Type != "", "%s", text)
		requireDecodedAlike(t, []byte(text))
	}
}

// requireDecodedAlike holds what is read by hand against what the library reads.
func requireDecodedAlike(t require.TestingT, text []byte) {
	byHand, ok := domain.DecodePlain(text)
	if !ok {
		return
	}
	var want domain.Event
	require.NoError(t, json.Unmarshal(text, &want), "%s", text)
	require.Equal(t, &want, byHand, "%s", text)
}

func FuzzDecodePlain(f *testing.F) {
	for _, text := range append(append(plain, foreign...), corpus...) {
		f.Add([]byte(text))
	}
	for _, line := range shapes(f) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := string(text)
		requireDecodedAlike(t, text)
		require.Equal(t, before, string(text), "the text is the caller's")
	})
}
