package domain

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"
)

// SlippageOf is how much worse than expected an execution was, in basis points, as its
// source says: slippage_bps, or slippage, which is a fraction (0.005 is 50 bps). Worse is
// above 0. ok is false if the event names neither.
func SlippageOf(e *Event) (bps Decimal, ok bool) {
	var d struct {
		Bps      jsontext.Value `json:"slippage_bps"`
		Fraction jsontext.Value `json:"slippage"`
	}
	if len(e.Data) == 0 || json.Unmarshal(e.Data, &d) != nil {
		return Decimal{}, false
	}
	if named := number(d.Bps); named.Valid {
		return named.Decimal, true
	}
	named := number(d.Fraction)
	return named.Decimal.Shift(4), named.Valid
}

// Slippage is summed over the executions that name one. The order of the Adds does not
// matter.
type Slippage struct {
	Fills int64   `json:"fills"`
	Bps   Decimal `json:"bps"`
}

// Add counts an execution so many times: -1 takes it out again.
func (s *Slippage) Add(bps Decimal, times int64) {
	s.Fills += times
	s.Bps = s.Bps.Add(bps.Mul(decimal.NewFromInt(times)))
}

// averageDigits is how many digits behind the point an average has.
const averageDigits = 4

// Average is the mean over the executions, each of the same weight, rounded to 4 digits
// behind the point; not valid if none names a slippage.
func (s *Slippage) Average() decimal.NullDecimal {
	if s.Fills == 0 {
		return decimal.NullDecimal{}
	}
	return decimal.NewNullDecimal(s.Bps.DivRound(decimal.NewFromInt(s.Fills), averageDigits))
}
