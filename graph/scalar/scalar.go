// Package scalar holds the GraphQL scalars: exact times, durations, decimals and
// raw JSON.
package scalar

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// MarshalTime writes RFC 3339 in UTC with up to nine digits after the second.
func MarshalTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		text := append(make([]byte, 0, len(time.RFC3339Nano)+2), '"')
		text = append(t.UTC().AppendFormat(text, time.RFC3339Nano), '"')
		_, _ = w.Write(text)
	})
}

// UnmarshalTime reads RFC 3339 with a zone.
func UnmarshalTime(v any) (time.Time, error) {
	text, ok := v.(string)
	if !ok {
		return time.Time{}, domain.Rejectf(domain.CodeWrongType, "", "a Time must be a string, not %T", v)
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, domain.Rejectf(domain.CodeInvalid, "", "%.64q is not an RFC 3339 time with a zone", text)
	}
	return t.UTC(), nil
}

// MarshalDuration writes ISO 8601 seconds: PT1.000000001S.
func MarshalDuration(d time.Duration) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		sign, ns := "", uint64(d) //nolint:gosec // made positive below
		if d < 0 {
			sign, ns = "-", -uint64(d) //nolint:gosec // two's complement: right for the smallest Duration too
		}
		seconds := strconv.FormatUint(ns/1e9, 10)
		if fraction := ns % 1e9; fraction != 0 {
			seconds += "." + strings.TrimRight(fmt.Sprintf("%09d", fraction), "0")
		}
		_, _ = io.WriteString(w, `"`+sign+"PT"+seconds+`S"`)
	})
}

// UnmarshalDuration reads hours, minutes and seconds of ISO 8601: PT1H30M,
// -PT0.001S. Years to days have no fixed length, or are ambiguous, and are refused.
func UnmarshalDuration(v any) (time.Duration, error) {
	text, ok := v.(string)
	if !ok {
		return 0, domain.Rejectf(domain.CodeWrongType, "", "a Duration must be a string, not %T", v)
	}
	positive, negative := strings.CutPrefix(text, "-")
	units, ok := strings.CutPrefix(positive, "PT")
	d, err := time.ParseDuration(strings.NewReplacer("H", "h", "M", "m", "S", "s").Replace(units))
	if !ok || err != nil || d < 0 || strings.ContainsAny(units, "hmsnuµ") {
		return 0, domain.Rejectf(domain.CodeInvalid, "", "%.64q is not a duration such as PT90S", text)
	}
	if negative {
		d = -d
	}
	return d, nil
}

// MarshalDecimal writes the number as a string.
func MarshalDecimal(d decimal.Decimal) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) { _, _ = io.WriteString(w, `"`+d.String()+`"`) })
}

// UnmarshalDecimal reads a string or a whole number; floats have lost digits
// before they get here and are refused.
func UnmarshalDecimal(v any) (domain.Decimal, error) {
	switch v := v.(type) {
	case string:
		return domain.ParseDecimal(v)
	case json.Number:
		return domain.ParseDecimal(v.String())
	case int64:
		return decimal.NewFromInt(v), nil
	default:
		return domain.Decimal{}, domain.Rejectf(domain.CodeWrongType, "", "a Decimal must be a string, not %T", v)
	}
}

// MarshalJSON writes the value as it is.
func MarshalJSON(v jsontext.Value) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		if len(v) == 0 {
			_, _ = io.WriteString(w, "null")
			return
		}
		_, _ = w.Write(v)
	})
}

// UnmarshalJSON keeps what the request held. Numbers of variables are json.Number
// and lose no digit; fractions written into the query text have lost theirs
// before they get here, and are refused.
func UnmarshalJSON(v any) (jsontext.Value, error) {
	if hasFloat(v) {
		return nil, domain.Rejectf(domain.CodeInvalid, "", "write fractions in a query's text as strings, or send them as variables")
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding JSON: %w", err)
	}
	return data, nil
}

func hasFloat(v any) bool {
	switch v := v.(type) {
	case float64:
		return true
	case []any:
		return slices.ContainsFunc(v, hasFloat)
	case map[string]any:
		for _, inner := range v {
			if hasFloat(inner) {
				return true
			}
		}
	}
	return false
}
