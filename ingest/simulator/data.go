package simulator

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"
)

// object writes name, value pairs as a JSON object, in their order.
func object(pairs ...any) jsontext.Value {
	var b jsontext.Value
	for i := 0; i+1 < len(pairs); i += 2 {
		separator := ","
		if i == 0 {
			separator = "{"
		}
		b = append(append(append(append(b, separator...), encode(pairs[i])...), ':'), encode(pairs[i+1])...)
	}
	if b == nil {
		return nil
	}
	return append(b, '}')
}

func encode(value any) []byte {
	if text, ok := value.(string); ok { // nearly all of them; ASCII, so without an error
		b, _ := jsontext.AppendQuote(nil, text)
		return b
	}
	b, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("simulator: encoding %v: %v", value, err))
	}
	return b
}

// cents is an amount of money as data has it: a string with two decimals.
func cents(n int64) string { return decimal.New(n, -2).StringFixed(2) }

func shares(n int64) decimal.Decimal { return decimal.NewFromInt(n) }

// hundredths is a JSON number: some fields of the input shapes are no decimals.
func hundredths(n int64) jsontext.Value { return jsontext.Value(decimal.New(n, -2).String()) }

func moment(t time.Time) string { return t.Format(time.RFC3339Nano) }
