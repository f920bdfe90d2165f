package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// fact is a field of data that rules read.
type fact int

const (
	factSide fact = iota
	factOrderType
	factQuantity
	factLimitPrice
	factPrice
	factFillQuantity
	factLastQuantity
	factFillPrice
	factLastPrice
	factCumQuantity
	factSlippage
	factSlippageBps
	factArrivalPrice
	factExpectedPrice
	factReferencePrice
	factExecID
	factFillID
	factExecutionID
	factTradeID
	factExecRefID
	factOrigClientOrderID
	factReason
	factReasons
	factEligible
	factChecks
	factBreaker
	factCount // how many there are
)

var factNames = map[string]fact{
	"side": factSide, "order_type": factOrderType, "quantity": factQuantity, "limit_price": factLimitPrice, "price": factPrice,
	"fill_quantity": factFillQuantity, "last_quantity": factLastQuantity, "fill_price": factFillPrice, "last_price": factLastPrice,
	"cum_quantity": factCumQuantity, "slippage": factSlippage, "slippage_bps": factSlippageBps,
	"arrival_price": factArrivalPrice, "expected_price": factExpectedPrice, "reference_price": factReferencePrice,
	"exec_id": factExecID, "fill_id": factFillID, "execution_id": factExecutionID, "trade_id": factTradeID,
	"exec_ref_id": factExecRefID, "orig_client_order_id": factOrigClientOrderID,
	"reason": factReason, "rejection_reasons": factReasons, "eligible": factEligible, "pre_trade_checks": factChecks,
	"breaker": factBreaker,
}

// facts reads an event's data once, and no value of it before somebody asks. What
// it holds is good until the next event.
type facts struct {
	values  [factCount]jsontext.Value
	decoder *jsontext.Decoder
	buffer  bytes.Buffer
}

// read takes the first of each field; what is no object tells nothing.
func (f *facts) read(data jsontext.Value) {
	clear(f.values[:])
	if len(data) == 0 || data.Kind() != '{' {
		return
	}
	f.buffer = *bytes.NewBuffer(data)
	options := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	if f.decoder == nil {
		f.decoder = jsontext.NewDecoder(&f.buffer, options...)
	} else {
		f.decoder.Reset(&f.buffer, options...)
	}
	if _, err := f.decoder.ReadToken(); err != nil {
		return
	}
	for f.decoder.PeekKind() == '"' {
		name, err := f.decoder.ReadValue()
		if err != nil {
			return
		}
		which, wanted := factNames[string(name[1:len(name)-1])]
		if !wanted && bytes.IndexByte(name, '\\') >= 0 {
			which, wanted = factNames[unquoted(name)]
		}
		if !wanted || len(f.values[which]) > 0 {
			if f.decoder.SkipValue() != nil {
				return
			}
			continue
		}
		v, err := f.decoder.ReadValue()
		if err != nil {
			return
		}
		end := f.decoder.InputOffset()
		f.values[which] = data[end-int64(len(v)) : end : end]
	}
}

func (f *facts) has(k fact) bool { return len(f.values[k]) > 0 && f.values[k].Kind() != 'n' }

// unquoted is what a string says; what is no UTF-8 becomes U+FFFD, so that it can be
// kept in a snapshot.
func unquoted(v jsontext.Value) string {
	text := v[1 : len(v)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		text, _ = jsontext.AppendUnquote(nil, v) // the decoder has accepted it
	}
	return strings.ToValidUTF8(string(text), "\uFFFD")
}

// id is a text that is kept to be compared: of a long one, a digest.
func (f *facts) id(ks ...fact) string {
	text := f.text(ks...)
	if len(text) <= domain.MaxIDBytes {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// bounded is the event as an order folds it, which keeps texts as they come: long
// ones are replaced by their digests.
func (f *facts) bounded(e *domain.Event) *domain.Event {
	const quotes = 2
	for _, k := range []fact{factSide, factOrderType, factExecID, factExecRefID} {
		v := f.values[k]
		if len(v) <= domain.MaxIDBytes+quotes {
			continue
		}
		clone := *e
		clone.Data = bytes.ReplaceAll(e.Data, v, []byte(`"`+f.id(k)+`"`))
		e = &clone
	}
	return e
}

// text is a string, or a number as it is written.
func (f *facts) text(ks ...fact) string {
	for _, k := range ks {
		v := f.values[k]
		switch {
		case len(v) == 0:
		case v.Kind() == '0':
			return string(v)
		case v.Kind() == '"':
			return unquoted(v)
		}
	}
	return ""
}

// number is the first of the fields that is one.
func (f *facts) number(ks ...fact) decimal.NullDecimal {
	for _, k := range ks {
		if len(f.values[k]) == 0 {
			continue
		}
		if d, err := domain.ParseDecimal(f.text(k)); err == nil {
			return decimal.NewNullDecimal(d)
		}
	}
	return decimal.NullDecimal{}
}

// refuses reports whether the field says false.
func (f *facts) refuses(k fact) bool { return f.values[k].Kind() == 'f' }

// fill is what an execution says, by the names that domain.FillOf knows.
func (f *facts) fill() domain.Fill {
	return domain.Fill{
		Quantity: f.number(factFillQuantity, factLastQuantity, factQuantity),
		Price:    f.number(factFillPrice, factLastPrice, factPrice),
	}
}

// list is the texts of a list, joined.
func (f *facts) list(k fact) string {
	var all []string
	if f.values[k].Kind() != '[' || json.Unmarshal(f.values[k], &all) != nil {
		return ""
	}
	return strings.Join(all, ", ")
}
