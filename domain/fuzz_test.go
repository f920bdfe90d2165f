package domain_test

import (
	"bytes"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
)

// corpus are inputs near the edges; what a fuzzer starts from decides how far it
// gets.
var corpus = []string{
	`{"event_type":"x","timestamp":0}`,
	`{"event_type":"position_changed","timestamp":1.5,"previous":{"shares":0},"current":{"shares":"1e2"},"change":{"order_id":"o"}}`,
	`{"event_type":"mode_changed","occurred_at":"2026-03-02T14:30:05.000000001+05:30","account":7,"environment":"e","entity_type":"account"}`,
	`{"event_type":"order","created_at":1,"entity_id":"o","data":{"a":1,"price":1.10},"details":{"a":2},"a":3,"top.a":4}`,
	`{"event_type":"y","timestamp":1,"clock":{"offset_ns":-1,"x":[]},"path":[{"hop":"h","in":"2026-03-02T14:30:05+01:00","y":{}}],"raw":"AP8=","source":"s"}`,
	`{"event_type":"y","timestamp":1,"schema_version":1,"source":"s","recorded_at":"2026-03-02T14:30:05Z","user":"u","symbol":"T"}`,
	`{"event_type":"y","timestamp":1,"na\u006de":"\ud83d\ude00\u0000/\/<","":[[[{"price":"+1e-1"}]]]}`,
	`{"event_type":"$y","timestamp":-18446744072.709551616}`,
	`{"event_type":"y","timestamp":1,"quantity":1e999}`,
	`[{]`, ``, `{"a":NaN}`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"a":1,"a":2}`,
}

func FuzzNormalise(f *testing.F) {
	for _, line := range shapes(f) {
		f.Add(line)
	}
	for _, text := range corpus {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		before := bytes.Clone(input)
		e, err := domain.Normalise(input)
		require.Equal(t, before, input, "the input is the caller's")
		if err != nil {
			require.Nil(t, e)
			rejected, ok := err.(*domain.Error) //nolint:errorlint // the very type is the promise here
			require.True(t, ok)
			require.Equal(t, domain.ClassRejected, rejected.Class)
			require.NotEmpty(t, rejected.Code)
			require.NotEmpty(t, rejected.Message)
			require.True(t, utf8.ValidString(rejected.Field), "a field must fit into an answer: %q", rejected.Field)
			require.LessOrEqual(t, len(rejected.Field), 3*domain.MaxIDBytes)
			require.Less(t, len(rejected.Message), 1000)
			return
		}
		requireStable(t, e)
	})
}

// requireStable checks what holds for every event that Normalise lets in.
func requireStable(t require.TestingT, e *domain.Event) {
	require.NotEmpty(t, e.Type)
	require.Equal(t, time.UTC, e.OccurredAt.Location())
	require.NotEqual(t, byte('$'), e.Stream()[0])
	require.True(t, e.Data == nil || e.Data.IsValid() && e.Data.Kind() == '{')

	encoded, err := e.Encode()
	require.NoError(t, err)
	decoded, err := domain.Decode(encoded)
	require.NoError(t, err)
	require.Equal(t, string(e.Data), string(decoded.Data), "Data has one form only")
	reencoded, err := decoded.Encode()
	require.NoError(t, err)
	require.Equal(t, string(encoded), string(reencoded))

	again, err := domain.Normalise(encoded)
	require.NoError(t, err, string(encoded))
	normalised, err := again.Encode()
	require.NoError(t, err)
	require.Equal(t, string(encoded), string(normalised))
	require.Equal(t, e.Stream(), again.Stream())

	var o domain.Order
	o.Apply(e)
}

func FuzzDecode(f *testing.F) {
	encoded, err := full().Encode()
	require.NoError(f, err)
	f.Add(encoded)
	for _, line := range shapes(f) {
		f.Add(line)
	}
	for _, text := range corpus {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"event_type":"order.filled","order_id":"o","data":[{"quantity":"1"}],"raw":"","path":[],"clock":null}`))
	f.Add([]byte(`{"event_type":"x","occurred_at":"9999-12-31T23:59:59.999999999-23:59","path":[{"hop":"","in":"0001-01-01T00:00:00+24:00"}]}`))
	f.Fuzz(func(t *testing.T, input []byte) {
		e, err := domain.Decode(input)
		if err != nil {
			require.Nil(t, e)
			require.Equal(t, domain.ClassRejected, domain.ClassOf(err))
			return
		}
		// What is stored once can be written again, and says the same.
		first, err := e.Encode()
		require.NoError(t, err)
		decoded, err := domain.Decode(first)
		require.NoError(t, err)
		second, err := decoded.Encode()
		require.NoError(t, err)
		require.Equal(t, string(first), string(second))

		_, err = e.Digest()
		require.NoError(t, err)
		_ = e.StoreID()
		require.NotEmpty(t, e.Stream())
		var o domain.Order
		o.Apply(e)
		chain := domain.BuildChain(e.OrderID, []domain.Located{{Event: e}})
		require.Len(t, chain.Steps, 1)
	})
}
