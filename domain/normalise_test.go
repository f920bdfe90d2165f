package domain_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
)

func normalise(t testing.TB, input string) *domain.Event {
	t.Helper()
	e, err := domain.Normalise([]byte(input))
	require.NoError(t, err, input)
	return e
}

func TestNormalise_ExamplesOfTheThreeShapes(t *testing.T) {
	inputs, err := filepath.Glob("testdata/normalise/*.json")
	require.NoError(t, err)
	var examples []string
	for _, path := range inputs {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if strings.HasSuffix(name, ".golden") {
			continue
		}
		examples = append(examples, name)
		t.Run(name, func(t *testing.T) {
			input := strings.TrimSpace(string(readTestdata(t, "normalise/"+name+".json")))
			encoded, err := normalise(t, input).Encode()
			require.NoError(t, err)

			pretty := jsontext.Value(encoded)
			require.NoError(t, pretty.Indent())
			golden(t, "normalise/"+name+".golden.json", append(pretty, '\n'))

			assert.Contains(t, string(readTestdata(t, "shapes.ndjson")), input+"\n",
				"other packages post shapes.ndjson: it must hold every example as it is")
		})
	}
	assert.Len(t, examples, 8)
}

// at makes an event of the members given, with what every event must have.
func at(members string) string {
	input := `{"event_type":"order_submitted","timestamp":"2026-03-02T14:30:05Z"`
	if members != "" {
		input += "," + members
	}
	return input + "}"
}

func TestNormalise_BadInputNamesTheField(t *testing.T) {
	long := strings.Repeat("x", 10<<10)
	tests := []struct {
		name, input          string
		field, code, message string
	}{
		// Not one JSON object.
		{"nothing", "", "", domain.CodeMalformed, "empty"},
		{"white space", " \n\t", "", domain.CodeMalformed, "empty"},
		{"half an object", `{"event_type":"x","order_id":`, "order_id", domain.CodeMalformed, "unexpected EOF"},
		{"cut off in a nested object", `{"data":{"legs":[{"price":1},{"price":`, "data.legs.1.price", domain.CodeMalformed, "unexpected EOF"},
		{"word", `hello`, "", domain.CodeMalformed, "invalid character 'h'"},
		{"null", `null`, "", domain.CodeWrongType, "must be a JSON object, not null"},
		{"array", `[{"event_type":"x"}]`, "", domain.CodeWrongType, "must be a JSON object, not an array"},
		{"string", `"order_filled"`, "", domain.CodeWrongType, "must be a JSON object, not a string"},
		{"number", `17`, "", domain.CodeWrongType, "must be a JSON object, not a number"},
		{"boolean", `true`, "", domain.CodeWrongType, "must be a JSON object, not a boolean"},
		{"two objects", at("") + " " + at(`"order_id":"o2"`), "", domain.CodeMalformed, "more follows after the object"},
		{"garbage after the object", at("") + "}", "", domain.CodeMalformed, "more follows after the object"},
		{"trailing comma", `{"event_type":"x",}`, "event_type", domain.CodeMalformed, "invalid character"},
		{"missing comma", `{"event_type":"x" "order_id":"o"}`, "event_type", domain.CodeMalformed, "invalid character"},
		{"single quotes", `{'event_type':'x'}`, "", domain.CodeMalformed, "invalid character"},
		{"missing value", at(`"order_id":`), "order_id", domain.CodeMalformed, "missing value"},
		{"leading zero", at(`"quantity":0100`), "quantity", domain.CodeMalformed, "invalid character"},
		{"line break in a string", at("\"reason\":\"a\nb\""), "reason", domain.CodeMalformed, "invalid character"},
		{"unknown escape", at(`"reason":"\q"`), "reason", domain.CodeMalformed, "invalid escape"},
		{"duplicate name", at(`"order_id":"a","order_id":"b"`), "order_id", domain.CodeMalformed, "duplicate object member name"},
		{"duplicate name, escaped", at(`"order_id":"a","order\u005fid":"b"`), "order_id", domain.CodeMalformed, "duplicate object member name"},
		{"duplicate name, nested", at(`"data":{"legs":[{"a":1},{"a":1,"a":2}]}`), "data.legs.1.a", domain.CodeMalformed, "duplicate object member name"},
		{"byte order mark", "\ufeff" + at(""), "", domain.CodeMalformed, "invalid character"},
		{"NUL bytes", "\x00\x00", "", domain.CodeMalformed, "invalid character"},

		// Text that is no text.
		{"invalid UTF-8 in a value", at("\"ticker\":\"MS\xffFT\""), "ticker", domain.CodeMalformed, "invalid UTF-8"},
		{"invalid UTF-8 nested", at("\"data\":{\"note\":{\"text\":\"\xc3\x28\"}}"), "data.note.text", domain.CodeMalformed, "invalid UTF-8"},
		{"invalid UTF-8 in a name", at("\"tick\xffer\":\"MSFT\""), "timestamp", domain.CodeMalformed, "invalid UTF-8"},
		{"overlong UTF-8", at("\"ticker\":\"\xc0\xaf\""), "ticker", domain.CodeMalformed, "invalid UTF-8"},
		{"surrogate in UTF-8", at("\"ticker\":\"\xed\xa0\x80\""), "ticker", domain.CodeMalformed, "invalid UTF-8"},
		{"lone high surrogate", at(`"ticker":"\ud800"`), "ticker", domain.CodeMalformed, "surrogate"},
		{"lone low surrogate", at(`"data":{"x":["\udc00"]}`), "data.x.0", domain.CodeMalformed, "surrogate"},

		// Size.
		{"too many bytes", at(`"note":"` + strings.Repeat("n", domain.MaxEventBytes) + `"`), "", domain.CodeTooLarge, "at most 524288 are taken"},
		{"too deep", at(`"data":{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`), "data.a" + strings.Repeat(".0", 30), domain.CodeTooLarge, "nested deeper than 32"},
		{"far too deep", at(`"a":` + strings.Repeat("[", 100_000)), "a" + strings.Repeat(".0", 31), domain.CodeTooLarge, "nested deeper than 32"},
		{"too deep in objects", at(`"data":` + strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)), "data" + strings.Repeat(".a", 31), domain.CodeTooLarge, "nested deeper than 32"},

		// Numbers.
		{"NaN", at(`"quantity":NaN`), "quantity", domain.CodeMalformed, "invalid character 'N'"},
		{"NaN as text", at(`"quantity":"NaN"`), "quantity", domain.CodeInvalid, `"NaN" is not a decimal number`},
		{"NaN in data", at(`"data":{"quantity":"NaN"}`), "data.quantity", domain.CodeInvalid, `"NaN" is not a decimal number`},
		{"NaN in details", at(`"details":{"price":"nan"}`), "details.price", domain.CodeInvalid, `"nan" is not a decimal number`},
		{"infinity", at(`"data":{"legs":[1,{"price":-Infinity}]}`), "data.legs.1.price", domain.CodeMalformed, "invalid character 'I'"},
		{"infinity as text", at(`"fill_price":"Infinity"`), "fill_price", domain.CodeInvalid, "is not a decimal number"},
		{"hexadecimal", at(`"quantity":"0x64"`), "quantity", domain.CodeInvalid, "is not a decimal number"},
		{"thousands separator", at(`"quantity":"1,000"`), "quantity", domain.CodeInvalid, "is not a decimal number"},
		{"sign behind the point", at(`"quantity":".-5"`), "quantity", domain.CodeInvalid, "is not a decimal number"},
		{"number with a space", at(`"quantity":" 100"`), "quantity", domain.CodeInvalid, "is not a decimal number"},
		{"empty quantity", at(`"quantity":""`), "quantity", domain.CodeInvalid, "is not a decimal number"},
		{"boolean quantity", at(`"quantity":true`), "quantity", domain.CodeWrongType, "must be a decimal number, not a boolean"},
		{"word for a quantity", at(`"quantity":"lots"`), "quantity", domain.CodeInvalid, "is not a decimal number"},
		{"too large a number", at(`"quantity":1e400`), "quantity", domain.CodeTooLarge, "too large"},
		{"too large a number, nested", at(`"data":{"x":[0,{"y":-1e309}]}`), "data.x.1.y", domain.CodeTooLarge, "too large"},
		{"too large a quantity", at(`"quantity":1e39`), "quantity", domain.CodeTooLarge, "more than 38 digits"},
		{"huge exponent as text", at(`"quantity":"1e1000000000"`), "quantity", domain.CodeTooLarge, "more than 38 digits"},
		{"exponent beyond 32 bits", at(`"quantity":"1e99999999999"`), "quantity", domain.CodeTooLarge, "exponent"},
		{"tiny exponent", at(`"quantity":"1e-1000000000"`), "quantity", domain.CodeTooLarge, "after the point"},
		{"too many digits after the point", at(`"price":0.1234567890123456789`), "price", domain.CodeTooLarge, "after the point"},
		{"long number", at(`"x":` + strings.Repeat("1", 65)), "x", domain.CodeTooLarge, "more than 64 characters"},
		{"long number as text", at(`"quantity":"` + strings.Repeat("1", 65) + `"`), "quantity", domain.CodeTooLarge, "more than 64 characters"},
		{"shares of a position", `{"event_type":"position_changed","timestamp":1,"previous":{"shares":"NaN"}}`, "previous.shares", domain.CodeInvalid, "is not a decimal number"},
		{"shares of a position in data", `{"event_type":"position.updated","timestamp":1,"data":{"lots":[{"shares":"a"}]}}`, "data.lots.0.shares", domain.CodeInvalid, "is not a decimal number"},

		// The type.
		{"no type", `{"timestamp":1,"order_id":"o"}`, "event_type", domain.CodeMissing, "missing"},
		{"empty object", `{}`, "event_type", domain.CodeMissing, "missing"},
		{"null type", `{"event_type":null,"timestamp":1}`, "event_type", domain.CodeMissing, "missing"},
		{"empty type", `{"event_type":"","timestamp":1}`, "event_type", domain.CodeInvalid, "empty"},
		{"type in another case", `{"Event_Type":"x","timestamp":1}`, "event_type", domain.CodeMissing, "missing"},
		{"type is an object", `{"event_type":{},"timestamp":1}`, "event_type", domain.CodeWrongType, "must be a string, not an object"},
		{"type is a boolean", `{"event_type":true,"timestamp":1}`, "event_type", domain.CodeWrongType, "must be a string, not a boolean"},
		{"type is a number", `{"event_type":17,"timestamp":1}`, "event_type", domain.CodeWrongType, "must be a string, not a number"},
		{"entity type is a number", at(`"entity_type":1`), "entity_type", domain.CodeWrongType, "must be a string, not a number"},
		{"environment is a number", at(`"environment":1.5`), "environment", domain.CodeWrongType, "must be a string, not a number"},
		{"version is a fraction", at(`"version":1.5`), "version", domain.CodeWrongType, "whole number"},
		{"type is 10 KB long", `{"event_type":"` + long + `","timestamp":1}`, "event_type", domain.CodeTooLarge, "longer than 128 bytes"},
		{"type with a line break", `{"event_type":"a\nb","timestamp":1}`, "event_type", domain.CodeInvalid, "control character U+000A at byte 1"},
		{"type of the store's own", `{"event_type":"$>","timestamp":1}`, "event_type", domain.CodeInvalid, "begins with $"},

		// Ids.
		{"empty id", at(`"order_id":""`), "order_id", domain.CodeInvalid, "empty"},
		{"empty event id", at(`"event_id":""`), "event_id", domain.CodeInvalid, "empty"},
		{"blank id", at(`"order_id":" "`), "order_id", domain.CodeInvalid, "white space"},
		{"id with a space in front", at(`"order_id":" o"`), "order_id", domain.CodeInvalid, "white space"},
		{"id with no-break space behind", at(`"order_id":"o\u00a0"`), "order_id", domain.CodeInvalid, "white space"},
		{"10 KB id", at(`"order_id":"` + long + `"`), "order_id", domain.CodeTooLarge, "longer than 256 bytes"},
		{"10 KB entity id", at(`"entity_id":"` + long + `"`), "entity_id", domain.CodeTooLarge, "longer than 256 bytes"},
		{"10 KB id in data", at(`"data":{"recommendation_id":"` + long + `"}`), "data.recommendation_id", domain.CodeTooLarge, "longer than 256 bytes"},
		{"10 KB id in details", at(`"details":{"order_id":"` + long + `"}`), "details.order_id", domain.CodeTooLarge, "longer than 256 bytes"},
		{"10 KB id in change", at(`"change":{"order_id":"` + long + `"}`), "change.order_id", domain.CodeTooLarge, "longer than 256 bytes"},
		{"control characters", at(`"order_id":"ord\u0000"`), "order_id", domain.CodeInvalid, "control character U+0000 at byte 3"},
		{"escape sequences of terminals", at(`"actor":"\u001b[2J"`), "actor", domain.CodeInvalid, "control character U+001B at byte 0"},
		{"C1 control", at(`"user":"a\u0085b"`), "user", domain.CodeInvalid, "control character U+0085"},
		{"line separator", at(`"ticker":"a\u2028b"`), "ticker", domain.CodeInvalid, "control character U+2028"},
		{"byte order mark in an id", at(`"account":"\ufeffa"`), "account", domain.CodeInvalid, "control character U+FEFF"},
		{"array for an id", at(`"order_id":["o"]`), "order_id", domain.CodeWrongType, "must be a string, not an array"},
		{"object for an id", at(`"user":{"id":"u"}`), "user", domain.CodeWrongType, "must be a string, not an object"},
		{"fraction for an id", at(`"order_id":1.5`), "order_id", domain.CodeWrongType, "whole number"},
		{"exponent for an id", at(`"order_id":1e5`), "order_id", domain.CodeWrongType, "whole number"},
		{"environment too long", at(`"environment":"` + long + `"`), "environment", domain.CodeTooLarge, "longer than 128 bytes"},

		// The time.
		{"no time", `{"event_type":"x"}`, "occurred_at", domain.CodeMissing, "timestamp"},
		{"null time", `{"event_type":"x","timestamp":null}`, "occurred_at", domain.CodeMissing, "timestamp"},
		{"no zone", `{"event_type":"x","occurred_at":"2026-03-02T14:30:05"}`, "occurred_at", domain.CodeInvalid, "has no time zone"},
		{"no zone, fraction", `{"event_type":"x","created_at":"2026-03-02T14:30:05.123456"}`, "created_at", domain.CodeInvalid, "has no time zone"},
		{"no zone, space", `{"event_type":"x","timestamp":"2026-03-02 14:30:05"}`, "timestamp", domain.CodeInvalid, "has no time zone"},
		{"date only", `{"event_type":"x","timestamp":"2026-03-02"}`, "timestamp", domain.CodeInvalid, "is not an RFC 3339 time"},
		{"empty time", `{"event_type":"x","timestamp":""}`, "timestamp", domain.CodeInvalid, "is not an RFC 3339 time"},
		{"FIX time", `{"event_type":"x","timestamp":"20260302-14:30:05.123"}`, "timestamp", domain.CodeInvalid, "is not an RFC 3339 time"},
		{"named zone", `{"event_type":"x","timestamp":"2026-03-02T14:30:05 EST"}`, "timestamp", domain.CodeInvalid, "is not an RFC 3339 time"},
		{"no such day", `{"event_type":"x","timestamp":"2026-02-30T14:30:05Z"}`, "timestamp", domain.CodeInvalid, "is not an RFC 3339 time"},
		{"hour of one digit", `{"event_type":"x","timestamp":"2026-03-02T4:30:05Z"}`, "timestamp", domain.CodeInvalid, "is not an RFC 3339 time"},
		{"comma for the point", `{"event_type":"x","timestamp":"2026-03-02T14:30:05,123Z"}`, "timestamp", domain.CodeInvalid, "is not an RFC 3339 time"},
		{"long garbage for a time", `{"event_type":"x","timestamp":"` + long + `"}`, "timestamp", domain.CodeInvalid, "is not an RFC 3339 time"},
		{"picoseconds", `{"event_type":"x","timestamp":"2026-03-02T14:30:05.1234567891Z"}`, "timestamp", domain.CodeInvalid, "finer than a nanosecond"},
		{"picoseconds with an offset", `{"event_type":"x","timestamp":"2026-03-02T14:30:05.1234567891-05:00"}`, "timestamp", domain.CodeInvalid, "finer than a nanosecond"},
		{"epoch picoseconds", `{"event_type":"x","timestamp":1772461805.1234567891}`, "timestamp", domain.CodeInvalid, "finer than a nanosecond"},
		{"epoch milliseconds", `{"event_type":"x","timestamp":1772461805250}`, "timestamp", domain.CodeInvalid, "not milliseconds"},
		{"epoch nanoseconds", `{"event_type":"x","timestamp":1772461805250000000}`, "timestamp", domain.CodeInvalid, "not milliseconds"},
		{"huge epoch", `{"event_type":"x","timestamp":1e300}`, "timestamp", domain.CodeTooLarge, "more than 38 digits"},
		{"negative epoch", `{"event_type":"x","timestamp":-1}`, "timestamp", domain.CodeInvalid, "outside of the years 1970 to 2261"},
		{"negative epoch that wraps around 64 bits", `{"event_type":"x","timestamp":-18446744072.709551616}`, "timestamp", domain.CodeInvalid, "outside of the years 1970 to 2261"},
		{"before 1970", `{"event_type":"x","timestamp":"1969-12-31T23:59:59Z"}`, "timestamp", domain.CodeInvalid, "outside of the years 1970 to 2261"},
		{"zero time of Go", `{"event_type":"x","timestamp":"0001-01-01T00:00:00Z"}`, "timestamp", domain.CodeInvalid, "outside of the years 1970 to 2261"},
		{"after 2261", `{"event_type":"x","timestamp":"2262-01-01T00:00:00Z"}`, "timestamp", domain.CodeInvalid, "outside of the years 1970 to 2261"},
		{"epoch after 2261", `{"event_type":"x","timestamp":9214646400}`, "timestamp", domain.CodeInvalid, "after the year 2261"},
		{"boolean time", `{"event_type":"x","timestamp":true}`, "timestamp", domain.CodeWrongType, "must be an RFC 3339 string or epoch seconds, not a boolean"},
		{"object for a time", `{"event_type":"x","timestamp":{"$date":1}}`, "timestamp", domain.CodeWrongType, "not an object"},

		// Structured fields.
		{"data is an array", at(`"data":[1]`), "data", domain.CodeWrongType, "must be an object, not an array"},
		{"data is a string", at(`"data":"{}"`), "data", domain.CodeWrongType, "must be an object, not a string"},
		{"details is a number", at(`"details":1`), "details", domain.CodeWrongType, "must be an object, not a number"},
		{"path is an object", at(`"path":{}`), "path", domain.CodeWrongType, ""},
		{"hop is a number", at(`"path":[{"hop":"a"},{"hop":7}]`), "path.1.hop", domain.CodeWrongType, ""},
		{"hop time without a zone", at(`"path":[{"hop":"a","in":"2026-03-02T14:30:05"}]`), "path.0.in", domain.CodeWrongType, "parsing time"},
		{"clock is a string", at(`"clock":"PTP"`), "clock", domain.CodeWrongType, ""},
		{"clock offset with a fraction", at(`"clock":{"offset_ns":1.5}`), "clock.offset_ns", domain.CodeWrongType, ""},
		{"clock offset beyond 64 bits", at(`"clock":{"offset_ns":9223372036854775808}`), "clock.offset_ns", domain.CodeWrongType, "out of range"},
		{"raw is no base64", at(`"raw":"***"`), "raw", domain.CodeWrongType, "base64"},
		{"raw is an object", at(`"raw":{}`), "raw", domain.CodeWrongType, ""},

		// Hostile names don't fill the answer.
		{"long name of a bad field", at(`"` + long + `":NaN`), strings.Repeat("x", 256) + "…", domain.CodeMalformed, "invalid character 'N'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := domain.Normalise([]byte(tt.input))
			require.Nil(t, e)
			var rejected *domain.Error
			require.ErrorAs(t, err, &rejected)
			assert.Equal(t, domain.ClassRejected, rejected.Class)
			assert.Equal(t, tt.field, rejected.Field, rejected.Message)
			assert.Equal(t, tt.code, rejected.Code, rejected.Message)
			assert.Contains(t, rejected.Message, tt.message)
			assert.NotEmpty(t, rejected.Message)
			assert.Less(t, len(rejected.Message), 300, "an answer must not echo the input")
			assert.NotRegexp(t, `jsontext|Go |domain\.`, rejected.Message, "our insides are of no use to a sender")
		})
	}
}

func TestNormalise_BoundsAreInclusive(t *testing.T) {
	for _, tt := range []struct {
		name    string
		input   func(n int) string
		largest int
	}{
		{"bytes", func(n int) string { return at(`"x":"` + strings.Repeat("x", n-len(at(`"x":""`))) + `"`) }, domain.MaxEventBytes},
		{"bytes of an id", func(n int) string { return at(`"order_id":"` + strings.Repeat("x", n) + `"`) }, domain.MaxIDBytes},
		{"bytes of an id, not characters", func(n int) string {
			return at(`"order_id":"` + strings.Repeat("é", n/2) + strings.Repeat("x", n%2) + `"`)
		}, domain.MaxIDBytes},
		{"bytes of a name", func(n int) string { return at(`"environment":"` + strings.Repeat("x", n) + `"`) }, domain.MaxNameBytes},
		{"depth", func(n int) string { return at(`"x":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1)) }, domain.MaxDepth},
		{"digits", func(n int) string { return at(`"quantity":` + strings.Repeat("9", n)) }, domain.MaxDecimalDigits},
		{"digits after the point", func(n int) string { return at(`"quantity":0.` + strings.Repeat("9", n)) }, domain.MaxDecimalScale},
		{"characters of a number", func(n int) string { return at(`"x":` + strings.Repeat("9", n)) }, 64},
	} {
		_, err := domain.Normalise([]byte(tt.input(tt.largest)))
		require.NoError(t, err, tt.name)
		_, err = domain.Normalise([]byte(tt.input(tt.largest + 1)))
		var rejected *domain.Error
		require.ErrorAs(t, err, &rejected, tt.name)
		assert.Equal(t, domain.CodeTooLarge, rejected.Code, tt.name)
	}
}

func TestNormalise_DecimalsKeepTheirDigits(t *testing.T) {
	for sent, want := range map[string]string{
		`412.50`:         `"412.50"`,
		`"412.50"`:       `"412.50"`,
		`100`:            `"100"`,
		`"0100"`:         `"0100"`,
		`-1.45`:          `"-1.45"`,
		`0.10`:           `"0.10"`,
		`-0`:             `"-0"`,
		`1e3`:            `"1000"`,
		`1E+3`:           `"1000"`,
		`"1e3"`:          `"1000"`,
		`"+5"`:           `"5"`,
		`1.50e1`:         `"15"`,
		`15e-1`:          `"1.5"`,
		`0e999`:          `"0"`,
		`1e-18`:          `"0.000000000000000001"`,
		`1e37`:           `"1` + strings.Repeat("0", 37) + `"`,
		`0.1`:            `"0.1"`,
		`"\u0031\u0030"`: `"10"`,
		`12345678901234567890.123456789012345678`: `"12345678901234567890.123456789012345678"`,
		`null`: `null`,
	} {
		e := normalise(t, at(`"quantity":`+sent))
		assert.Equal(t, `{"quantity":`+want+`}`, string(e.Data), sent)
	}
}

func TestNormalise_DecimalsAtAnyDepth(t *testing.T) {
	e := normalise(t, at(`"data":{
		"legs":[{"price":1.10,"ratio":1.10},{"price":2e2,"tags":["price",1.0]}],
		"price":{"price":3.0},
		"size":[1.0,{"size":1.0}],
		"pri\u0063e2":1,"nested":{"pri\u0063e":4.0}}`))
	assert.Equal(t, `{"legs":[{"price":"1.10","ratio":1.10},{"price":"200","tags":["price",1.0]}],`+
		`"price":{"price":"3.0"},"size":[1.0,{"size":"1.0"}],"price2":1,"nested":{"price":"4.0"}}`, string(e.Data))
}

// Which string is a name, and what it names, is easy to lose track of.
func TestNormalise_NestsAreFollowed(t *testing.T) {
	for sent, want := range map[string]string{
		`{"a":{"b":{}},"price":1.0}`:                 `{"a":{"b":{}},"price":"1.0"}`,
		`{"a":[[{}]],"price":1.0}`:                   `{"a":[[{}]],"price":"1.0"}`,
		`[[{"a":{}}],{"price":1.0},1.0]`:             `[[{"a":{}}],{"price":"1.0"},1.0]`,
		`[{"price":1.0},2.0]`:                        `[{"price":"1.0"},2.0]`,
		`[{"price":"1"},2.0,"2.0"]`:                  `[{"price":"1"},2.0,"2.0"]`,
		`[{"price":null},2.0]`:                       `[{"price":null},2.0]`,
		`{"o":{"size":[1.0,{"x":1.0}]}}`:             `{"o":{"size":[1.0,{"x":1.0}]}}`,
		`{"o":{"size":{"x":1.0}}}`:                   `{"o":{"size":{"x":1.0}}}`,
		`["x","price",1.0,"price"]`:                  `["x","price",1.0,"price"]`,
		`{"x":"price","y":1.0}`:                      `{"x":"price","y":1.0}`,
		`{"a":"\"","price":1.0,"b":"\\","size":1.0}`: `{"a":"\"","price":"1.0","b":"\\","size":"1.0"}`,
		`{"a\"":{"\\":"}"},"price":1.0}`:             `{"a\"":{"\\":"}"},"price":"1.0"}`,
		`["]","[","{\"price\":1.0}",{"price":1.0}]`:  `["]","[","{\"price\":1.0}",{"price":"1.0"}]`,
		`[true,false,null,-0.5e-1,""]`:               `[true,false,null,-0.5e-1,""]`,
	} {
		assert.Equal(t, `{"x":`+want+`}`, string(normalise(t, at(`"x":`+sent)).Data), sent)
		spaced := strings.NewReplacer(`,`, " ,\n", `:`, "\t: ", `[`, `[ `, `]`, ` ]`, `{`, `{ `, `}`, "\r}").Replace(sent)
		if !strings.Contains(sent, `"]"`) && !strings.Contains(sent, `"}"`) {
			assert.Equal(t, `{"x":`+want+`}`, string(normalise(t, at(`"x":`+spaced)).Data), spaced)
		}
	}
	e := normalise(t, `{"na\"me":"a\"b\\","event_type":"x\\\"","timestamp":1,"data":{"\"":"\\"},"z":"}"}`)
	assert.Equal(t, domain.EventType(`x\"`), e.Type)
	assert.Equal(t, `{"\"":"\\","na\"me":"a\"b\\","z":"}"}`, string(e.Data))
}

// A check may be named as a quantity is, and an unknown maker may mean anything:
// what is recorded must not depend on our guess.
func TestNormalise_WordsUnderDecimalNames(t *testing.T) {
	e := normalise(t, at(`"pre_trade_checks":{"price":"pass","quantity":true}`))
	assert.Equal(t, `{"pre_trade_checks":{"price":"pass","quantity":true}}`, string(e.Data))

	e = normalise(t, `{"event_type":"warehouse.moved","timestamp":1,"size":"large","price":1.0,"fee":1e300}`)
	assert.Equal(t, `{"size":"large","price":"1.0","fee":1e300}`, string(e.Data))
}

func TestNormalise_Times(t *testing.T) {
	for sent, want := range map[string]string{
		`1772461805.25`:                         "2026-03-02T14:30:05.25Z",
		`1772461805.123456789`:                  "2026-03-02T14:30:05.123456789Z",
		`1772461805.1234567890`:                 "2026-03-02T14:30:05.123456789Z",
		`1772461805`:                            "2026-03-02T14:30:05Z",
		`1.77246180525e9`:                       "2026-03-02T14:30:05.25Z",
		`0`:                                     "1970-01-01T00:00:00Z",
		`0.000000001`:                           "1970-01-01T00:00:00.000000001Z",
		`9214646399.999999999`:                  "2261-12-31T23:59:59.999999999Z",
		`"2026-03-02T14:30:05Z"`:                "2026-03-02T14:30:05Z",
		`"2026-03-02T14:30:05.123456789Z"`:      "2026-03-02T14:30:05.123456789Z",
		`"2026-03-02T14:30:05.123456789000Z"`:   "2026-03-02T14:30:05.123456789Z",
		`"2026-03-02T14:30:05.000000001-05:00"`: "2026-03-02T19:30:05.000000001Z",
		`"2026-03-02T14:30:05.5+05:30"`:         "2026-03-02T09:00:05.5Z",
		`"2026-03-02\u005414:30:05Z"`:           "2026-03-02T14:30:05Z",
		`"2261-12-31T23:59:59.999999999Z"`:      "2261-12-31T23:59:59.999999999Z",
	} {
		e := normalise(t, `{"event_type":"x","timestamp":`+sent+`}`)
		assert.Equal(t, want, e.OccurredAt.Format("2006-01-02T15:04:05.999999999Z07:00"), sent)
		assert.Equal(t, "UTC", e.OccurredAt.Location().String())
	}
}

func TestNormalise_NamesOfTheTime(t *testing.T) {
	e := normalise(t, `{"event_type":"x","timestamp":3,"created_at":2,"occurred_at":1}`)
	assert.Equal(t, int64(1), e.OccurredAt.Unix())
	assert.Equal(t, `{"timestamp":3,"created_at":2}`, string(e.Data), "the other two say something of their own")
	assert.Equal(t, int64(2), normalise(t, `{"event_type":"x","timestamp":3,"created_at":2}`).OccurredAt.Unix())
	assert.Equal(t, int64(3), normalise(t, `{"event_type":"x","timestamp":3,"created_at":null}`).OccurredAt.Unix())
}

func TestNormalise_KeepsWhatNobodyKnows(t *testing.T) {
	tests := []struct{ name, input, data string }{
		{"fields at the top", at(`"venue":"XNAS","tags":["a",{"b":null}]`), `{"venue":"XNAS","tags":["a",{"b":null}]}`},
		{"data and the top", at(`"data":{"a":1},"b":2`), `{"a":1,"b":2}`},
		{"data before the top, whatever the order", at(`"b":2,"data":{"a":1}`), `{"a":1,"b":2}`},
		{"data, details and the top", at(`"details":{"b":2},"c":3,"data":{"a":1}`), `{"a":1,"b":2,"c":3}`},
		{"conflict between data and the top", at(`"data":{"side":"buy"},"side":"sell"`), `{"side":"buy","top.side":"sell"}`},
		{"conflict of data, details and the top", at(`"data":{"a":1},"details":{"a":2},"a":3`), `{"a":1,"top.a":2,"top.top.a":3}`},
		{"conflict with a name that is taken", at(`"data":{"a":1,"top.a":2},"a":3`), `{"a":1,"top.a":2,"top.top.a":3}`},
		{"decimal that lost its name", at(`"data":{"price":1.0},"price":2.0`), `{"price":"1.0","top.price":"2.0"}`},
		{"null at the top", at(`"venue":null,"order_id":null`), `{"venue":null}`},
		{"null in data", at(`"data":{"venue":null,"order_id":null}`), `{"venue":null,"order_id":null}`},
		{"nothing", at(""), ``},
		{"empty data", at(`"data":{}`), ``},
		{"null data", at(`"data":null,"details":null`), ``},
		{"empty name", at(`"":1`), `{"":1}`},
		{"numbers as they came", at(`"x":1.0,"y":1e2,"z":1e-400,"big":123456789012345678901234567890`), `{"x":1.0,"y":1e2,"z":1e-400,"big":123456789012345678901234567890}`},
		{"second name of a field", at(`"account_id":"a1","account":"a2"`), `{"account":"a2"}`},
		{"a sender's own source and record time", at(`"source":"feed7","recorded_at":"yesterday"`), `{"source":"feed7","recorded_at":"yesterday"}`},
		{"a sender's own schema version", at(`"schema_version":"2.1"`), `{"schema_version":"2.1"}`},
		{"a later schema version", at(`"schema_version":99,"source":"x"`), `{"schema_version":99,"source":"x"}`},
		{"no schema version of ours", at(`"schema_version":0,"source":"x"`), `{"schema_version":0,"source":"x"}`},
		{"our own source and record time", at(`"source":"http","recorded_at":"2026-03-02T14:30:06Z","schema_version":1`), ``},
		{"more than a clock holds", at(`"clock":{"source_id":"gps","drift_ppm":3}`), `{"clock":{"source_id":"gps","drift_ppm":3}}`},
		{"more than a hop holds", at(`"path":[{"hop":"a","host":"h1"}]`), `{"path":[{"hop":"a","host":"h1"}]}`},
		{"text in all scripts, unescaped once", at(`"note":"\u00e9\ud83d\ude00\/ \u0000<&>"`), "{\"note\":\"é😀/ \\u0000<&>\"}"},
		{"no white space", at("\"x\" : [ 1 ,\n 2 ]"), `{"x":[1,2]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.data, string(normalise(t, tt.input).Data))
		})
	}
}

func TestNormalise_Clock(t *testing.T) {
	e := normalise(t, at(`"clock":{"source_id":"gps","sync":"PTP_LOCKED","offset_ns":-40,"drift":1},"path":[{"hop":"gw","in":"2026-03-02T14:30:05.1Z","out":"2026-03-02T14:30:05.2Z"}],"raw":"AP8="`))
	assert.Equal(t, &domain.Clock{SourceID: "gps", Sync: "PTP_LOCKED", OffsetNs: -40}, e.Clock)
	require.Len(t, e.Path, 1)
	assert.Equal(t, "gw", e.Path[0].Hop)
	assert.Equal(t, []byte{0, 0xff}, e.Raw)
}

func TestNormalise_TheDoorsOwnFieldsCannotBeSet(t *testing.T) {
	for _, version := range []string{`1`, `99`, `"1"`} {
		e := normalise(t, at(`"source":"forged","recorded_at":"2020-01-01T00:00:00Z","schema_version":`+version))
		assert.Empty(t, e.Source)
		assert.True(t, e.RecordedAt.IsZero())
		assert.Equal(t, domain.SchemaVersion, e.SchemaVersion)
	}
}

func TestNormalise_UnknownTypesAreRecordedAsTheyCome(t *testing.T) {
	for _, name := range []string{"order.teleported", "Order_Filled", "anything at all", "événement", "a.b.c", "17"} {
		e := normalise(t, `{"event_type":"`+name+`","timestamp":1,"entity_id":"x"}`)
		assert.Equal(t, domain.EventType(name), e.Type)
		assert.False(t, e.Type.Known(), name)
	}
}

func TestNormalise_Links(t *testing.T) {
	tests := []struct {
		name, input string
		want        domain.Event // ids and entity only
	}{
		{
			"entity of each kind is its id too", `{"event_type":"x","timestamp":1,"entity_type":"strategy","entity_id":"s"}`,
			domain.Event{EntityType: "strategy", EntityID: "s", StrategyID: "s"},
		},
		{
			"position trails are kept under their order", `{"event_type":"position.opened","timestamp":1,"entity_type":"position","entity_id":"o"}`,
			domain.Event{EntityType: "position", EntityID: "o", OrderID: "o"},
		},
		{
			"an id wins over the entity", `{"event_type":"order.filled","timestamp":1,"order_id":"o","entity_type":"order","entity_id":"other"}`,
			domain.Event{EntityType: "order", EntityID: "other", OrderID: "o"},
		},
		{
			"ids in data", `{"event_type":"x","timestamp":1,"data":{"order_id":"o","client_order_id":"c","broker_order_id":"b","parent_order_id":"p",` +
				`"account":"a","user":"u","strategy":"s","symbol":"T","recommendation_id":"r","computation_id":"k","evaluation_id":"e","approval_id":"v"}}`,
			domain.Event{
				EntityType: "order", EntityID: "o", OrderID: "o", ClientOrderID: "c", BrokerOrderID: "b", ParentOrderID: "p", AccountID: "a",
				UserID: "u", Actor: "u", StrategyID: "s", Ticker: "T", RecommendationID: "r", ComputationID: "k", EvaluationID: "e", ApprovalID: "v",
			},
		},
		{
			"the top wins over data", `{"event_type":"x","timestamp":1,"order_id":"o","data":{"order_id":"p"}}`,
			domain.Event{EntityType: "order", EntityID: "o", OrderID: "o"},
		},
		{
			"an object under an id's name in data is no id", `{"event_type":"x","timestamp":1,"data":{"user":{"id":"u"},"account":["a"],"strategy":null,"ticker":true}}`,
			domain.Event{},
		},
		{
			"order of a position change", `{"event_type":"position_changed","timestamp":1,"change":{"order_id":"o"}}`,
			domain.Event{EntityType: "order", EntityID: "o", OrderID: "o"},
		},
		{
			"numeric ids", `{"event_type":"x","timestamp":1,"order_id":501,"account":12345678901234567890,"version":2}`,
			domain.Event{EntityType: "order", EntityID: "501", OrderID: "501", AccountID: "12345678901234567890"},
		},
		{
			"the user acts", `{"event_type":"user_login","timestamp":1,"user":"u"}`,
			domain.Event{EntityType: "user", EntityID: "u", UserID: "u", Actor: "u"},
		},
		{
			"the user acts, as an entity", `{"event_type":"user_login","timestamp":1,"entity_type":"user","entity_id":"u"}`,
			domain.Event{EntityType: "user", EntityID: "u", UserID: "u", Actor: "u"},
		},
		{
			"the actor stays", `{"event_type":"user_action","timestamp":1,"user":"u","actor":"a"}`,
			domain.Event{EntityType: "user", EntityID: "u", UserID: "u", Actor: "a"},
		},
		{"minimal order", minimal("order"), domain.Event{EntityType: "order", EntityID: "i", OrderID: "i"}},
		{"minimal execution", minimal("execution"), domain.Event{EntityType: "order", EntityID: "i", OrderID: "i"}},
		{"minimal cancellation", minimal("cancellation"), domain.Event{EntityType: "order", EntityID: "i", OrderID: "i"}},
		{"minimal signal", minimal("signal"), domain.Event{EntityType: "computation", EntityID: "i", ComputationID: "i"}},
		{"minimal risk control", minimal("risk_control"), domain.Event{EntityType: "risk_evaluation", EntityID: "i", EvaluationID: "i"}},
		{"minimal anomaly", minimal("anomaly"), domain.Event{EntityType: "entity", EntityID: "i"}},
		{"minimal recommendation", minimal("recommendation"), domain.Event{EntityType: "recommendation", EntityID: "i", RecommendationID: "i"}},
		{"nothing to link to", `{"event_type":"x","timestamp":1}`, domain.Event{}},
		{"only an instrument", `{"event_type":"x","timestamp":1,"symbol":"MSFT"}`, domain.Event{EntityType: "instrument", EntityID: "MSFT", Ticker: "MSFT"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := normalise(t, tt.input)
			assert.Equal(t, tt.want, domain.Event{
				EntityType: e.EntityType, EntityID: e.EntityID, Actor: e.Actor, OrderID: e.OrderID, ClientOrderID: e.ClientOrderID,
				BrokerOrderID: e.BrokerOrderID, ParentOrderID: e.ParentOrderID, AccountID: e.AccountID, UserID: e.UserID,
				StrategyID: e.StrategyID, Ticker: e.Ticker, RecommendationID: e.RecommendationID, ComputationID: e.ComputationID,
				EvaluationID: e.EvaluationID, ApprovalID: e.ApprovalID,
			})
		})
	}
}

func minimal(name string) string {
	return `{"timestamp":1772461805.25,"event_type":"` + name + `","entity_id":"i","details":{}}`
}

func TestNormalise_PositionChangedIsOpenedUpdatedOrClosed(t *testing.T) {
	for _, tt := range []struct {
		before, after string
		want          domain.EventType
	}{
		{`{"shares":0}`, `{"shares":100}`, domain.PositionOpened},
		{`{"shares":"0.00"}`, `{"shares":"-100"}`, domain.PositionOpened},
		{`{"shares":100}`, `{"shares":0}`, domain.PositionClosed},
		{`{"shares":-100}`, `{"shares":0.0}`, domain.PositionClosed},
		{`{"shares":500}`, `{"shares":600}`, domain.PositionUpdated},
		{`{"shares":100}`, `{"shares":-100}`, domain.PositionUpdated},
		{`{"shares":0}`, `{"shares":0}`, domain.PositionUpdated},
		{`{}`, `{"shares":0}`, domain.PositionUpdated},
		{`{"shares":null}`, `{"shares":1}`, domain.PositionUpdated},
		{`null`, `{"shares":1}`, domain.PositionUpdated},
	} {
		for _, form := range []string{`"previous":%s,"current":%s`, `"data":{"previous":%s,"current":%s}`} {
			input := strings.Replace(strings.Replace(form, "%s", tt.before, 1), "%s", tt.after, 1)
			e := normalise(t, `{"event_type":"position_changed","timestamp":1,`+input+`}`)
			assert.Equal(t, tt.want, e.Type, input)
		}
	}
}

// The input's buffer belongs to the caller, who may use it for the next line.
func TestNormalise_KeepsNothingOfTheInputBuffer(t *testing.T) {
	for _, line := range shapes(t) {
		e, err := domain.Normalise(line)
		require.NoError(t, err)
		before, err := e.Encode()
		require.NoError(t, err)
		clear(line)
		after, err := e.Encode()
		require.NoError(t, err)
		assert.Equal(t, string(before), string(after))
	}
}

// What the door hands out may come in again: an archive is imported, a message is
// recorded by two of us. It must be the same event, to the last byte.
func TestNormalise_OfItsOwnOutputChangesNothing(t *testing.T) {
	inputs := []string{
		`{"event_type":"user_login","timestamp":1,"entity_type":"user","entity_id":"u"}`,
		`{"event_type":"mode_changed","timestamp":1,"account":"a"}`,
		`{"event_type":"x","timestamp":1,"symbol":"MSFT"}`,
		`{"event_type":"config_changed","timestamp":1,"user":"u","environment":"prod"}`,
		`{"event_type":"x","timestamp":1,"clock":{"drift":1},"data":{"clock":2},"top.clock":3}`,
		`{"event_type":"x","timestamp":1,"entity_type":"risk_evaluation","evaluation_id":"e"}`,
		`{"event_type":"x","timestamp":1,"source":"mine"}`,
	}
	for _, line := range shapes(t) {
		inputs = append(inputs, string(line))
	}
	for _, input := range inputs {
		first := normalise(t, input)
		first.Source = "http"
		first.RecordedAt = first.OccurredAt.Add(1)
		encoded, err := first.Encode()
		require.NoError(t, err)

		second := normalise(t, string(encoded))
		second.Source, second.RecordedAt = first.Source, first.RecordedAt
		again, err := second.Encode()
		require.NoError(t, err)
		assert.Equal(t, string(encoded), string(again))
		assert.Equal(t, first.Stream(), second.Stream(), input)
	}
}

// hostile is input that costs more than it looks like, of any size.
type hostile struct {
	name  string
	input func(size int) string
	err   string // of the largest
}

func hostiles() []hostile {
	repeat := func(unit string, bytes int) string { return strings.Repeat(unit, bytes/len(unit)) }
	names := func(bytes int) string {
		var b strings.Builder
		for i := 0; b.Len() < bytes; i++ {
			b.WriteString(`"#` + strconv.FormatInt(int64(i), 36) + `":1,`)
		}
		return b.String()
	}
	return []hostile{
		{"names at the top", func(n int) string { return at(names(n) + `"z":1`) }, ""},
		{"names in data", func(n int) string { return at(`"data":{` + names(n) + `"z":1}`) }, ""},
		{"names in both", func(n int) string { return at(names(n/2) + `"data":{` + names(n/2) + `"z":1}`) }, "when written out"},
		{"decimals", func(n int) string { return at(`"x":[` + repeat(`{"price":"1"},`, n) + `0]`) }, ""},
		{"decimals that grow", func(n int) string { return at(`"x":[` + repeat(`{"price":1e37},`, n) + `0]`) }, "when written out"},
		{"arrays", func(n int) string { return at(`"x":[` + repeat(`[],`, n) + `0]`) }, ""},
		{"escapes", func(n int) string { return at(`"x":"` + repeat(`\n`, n) + `"`) }, ""},
		{"a nest around a string", func(n int) string {
			return at(strings.Repeat(`"x":{`, 30) + `"x":"` + repeat(`x`, n) + `"` + strings.Repeat(`}`, 30))
		}, ""},
		{"a nest around names", func(n int) string {
			return at(strings.Repeat(`"x":{`, 30) + names(n) + `"z":1` + strings.Repeat(`}`, 30))
		}, ""},
		{"brackets", func(n int) string { return at(`"x":` + repeat(`[`, n)) }, "nested deeper"},
		{"digits", func(n int) string { return at(`"x":` + repeat(`1`, n)) }, "more than 64 characters"},
		{"a long id", func(n int) string { return at(`"order_id":"` + repeat(`x`, n) + `"`) }, "longer than 256 bytes"},
	}
}

const largestInput = domain.MaxEventBytes - 1000

func TestNormalise_BearsHostileInput(t *testing.T) {
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			_, err := domain.Normalise([]byte(h.input(largestInput)))
			if h.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, h.err)
			}
		})
	}
}

// BenchmarkNormalise_Hostile shows that the cost of hostile input grows with its
// size and no faster: compare the MB/s of the two sizes.
func BenchmarkNormalise_Hostile(b *testing.B) {
	for _, h := range hostiles() {
		for _, size := range []int{largestInput / 8, largestInput} {
			b.Run(h.name+"/"+strconv.Itoa(size), func(b *testing.B) {
				input := []byte(h.input(size))
				b.SetBytes(int64(len(input)))
				for b.Loop() {
					_, _ = domain.Normalise(input) // refused or not
				}
			})
		}
	}
}

// An audit service loses nothing: whatever mixture of shapes comes in, every value
// in it is somewhere in the event, and the event comes out of a second pass as it
// went in.
func TestNormalise_LosesNothing(t *testing.T) {
	ids := []string{
		"event_id", "entity_type", "entity_id", "order_id", "client_order_id", "broker_order_id", "parent_order_id", "account_id", "account",
		"user_id", "user", "strategy_id", "strategy", "ticker", "symbol", "recommendation_id", "computation_id", "evaluation_id", "approval_id",
		"session_id", "environment", "version", "actor", "correlation_id", "causation_id", "source", "recorded_at",
	}
	decimals := []string{"quantity", "price", "fill_price", "shares", "commission"}
	others := []string{"x", "y", "top.x", "top.top.x", "", "reason", "change", "previous", "current", "clock", "path", "raw", "schema_version", "data", "details"}
	types := []string{"order", "execution", "position_changed", "position.closed", "mode_changed", "config_changed", "user_login", "anomaly", "risk_control", "no.such"}

	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		var leaves []string
		leaf := func(number bool) string {
			n := 1_000_001 + len(leaves)
			if number {
				leaves = append(leaves, strconv.Itoa(n))
				return strconv.Itoa(n) + rapid.SampledFrom([]string{"", ".50", "e0"}).Draw(t, "form")
			}
			leaves = append(leaves, "v"+strconv.Itoa(n))
			return `"v` + strconv.Itoa(n) + `"`
		}
		var object func(depth int) string
		value := func(name string, depth int) string {
			switch {
			case slices.Contains(decimals, name):
				return leaf(true)
			case name == "data" || name == "details" || depth < 4 && (depth > 0 || !slices.Contains(ids, name)) && rapid.IntRange(0, 5).Draw(t, "nest") == 0:
				return object(depth + 1)
			case name == "raw":
				return `"AP8="`
			case name == "path":
				return `[{"hop":` + leaf(false) + `}]`
			case name == "clock":
				return `{"sync":` + leaf(false) + `}`
			case name == "schema_version":
				return `"2"`
			case rapid.IntRange(0, 9).Draw(t, "null") == 0:
				return "null"
			case rapid.IntRange(0, 5).Draw(t, "array") == 0 && !slices.Contains(ids, name):
				return `[` + leaf(false) + ` , ` + leaf(true) + `]`
			default:
				return leaf(false)
			}
		}
		object = func(depth int) string {
			names := rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Concat(ids, decimals, others)), 0, 12, rapid.ID[string]).Draw(t, "names")
			var members []string
			for _, name := range names {
				members = append(members, `"`+name+`" : `+value(name, depth))
			}
			if depth == 0 {
				members = append(members, `"event_type":"`+rapid.SampledFrom(types).Draw(t, "type")+`"`, `"timestamp":1772461805.25`)
			}
			return "{" + strings.Join(members, ", ") + "}"
		}
		input := object(0)
		e, err := domain.Normalise([]byte(input))
		if err != nil {
			return // a nest in the place of a structured field, say
		}
		accepted++
		requireStable(t, e)
		encoded, err := e.Encode()
		require.NoError(t, err)
		for _, l := range leaves {
			require.Contains(t, string(encoded), l, input)
		}
	})
	assert.Greater(t, accepted, 20, "the inputs must get past the door")
}
