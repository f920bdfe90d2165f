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
		`{"event_type":"x","path":[],"clock":{}}`, `{"event_type":"x","path":null,"clock":null}`, `{"event_type":"x","path":[{}],"clock":{"offset_ns":0}}`,
		`{"event_type":"x","path":[{"hop":"a","in":"2026-03-02T14:30:05Z","out":"2026-03-02T14:30:05.5Z"},{"hop":"b"}]}`,
		`{"event_type":"x","path":[{"hop":"a","later":1},null],"clock":{"sync":"PTP_LOCKED","later":[],"max_error_ns":100}}`,
		`{"event_type":"x","clock":{"source_id":"c","sync":"s","offset_ns":-9223372036854775808,"max_error_ns":9223372036854775807}}`,
		`{"event_type":"x","clock":{"offset_ns":123456789012345678,"max_error_ns":-12}}`, `{"event_type":"x","clock":{"offset_ns":-0}}`,
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
		`{"event_type":"x","clock":{"offset_ns":01}}`, `{"event_type":"x","clock":{"offset_ns":1.5}}`, `{"event_type":"x","clock":{"offset_ns":}}`, `{"event_type":"x","clock":{"offset_ns":1`,
		`{"event_type":"x","clock":{"sync":"a","sync":"b"}}`, `{"event_type":"x","clock":{"offset_ns":9223372036854775808}}`, `{"event_type":"x","clock":[]}`,
		`{"event_type":"x","path":[{"hop":"a","hop":"b"}]}`, `{"event_type":"x","path":[{"hop":"a"},]}`, `{"event_type":"x","path":[{"hop":1}]}`, `{"event_type":"x","path":[{"hop":"a"}`,
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

// What is read of an order's data by hand is what the library reads.
func TestOrderData_IsReadAlike(t *testing.T) {
	t.Parallel()
	for text, byHand := range map[string]bool{
		`{}`: true,
		`{"side":"buy","order_type":"2","ord_status":"0","quantity":"10","fill_quantity":1,"last_quantity":"1.5","limit_price":"5","price":6,"fill_price":"7",` +
			`"last_price":"8","commission":"0.1","cum_quantity":"9","avg_price":"10","exec_id":"e","exec_ref_id":"f"}`: true,
		`{"side":null,"quantity":{"a":[1,{"side":"sell"}]},"price":[],"other":"x"}`: true,
		`{"side":"bu\u0079"}`:           false,
		`{"s\u0069de":"buy"}`:           false,
		`{"side":"buy","side":"sell"}`:  false,
		`{"x":1,"x":2,"side":"sell"}`:   false,
		`{ "side" : "buy" }`:            false,
		`{"side":"buy"`:                 false,
		`{"side":"buy"}}`:               false,
		`["side"]`:                      false,
		`"side"`:                        false,
		`null`:                          false,
		`{"side":"buy","quantity":01}`:  false,
		`{"Side":"buy","quantity":"1"}`: true,
	} {
		want, got, plain := domain.OrderDataBothWays([]byte(text))
		assert.Equal(t, byHand, plain, text)
		if plain {
			assert.Equal(t, want, got, text)
		}
	}
}

func FuzzOrderData(f *testing.F) {
	f.Add([]byte(`{"side":"buy","quantity":"10","fill_price":5.25,"exec_id":"e"}`))
	f.Add([]byte(`{"side":"buy","side":"sell"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if want, got, plain := domain.OrderDataBothWays(text); plain {
			require.Equal(t, want, got, "%s", text)
		}
	})
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
