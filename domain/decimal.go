package domain

import (
	"strings"

	"github.com/shopspring/decimal"
)

// Decimal is an exact decimal number. Money and quantities are never floats.
type Decimal = decimal.Decimal

// The bounds of a decimal: enough for any price or notional in any currency
// (FIX Price and Qty, ISO 20022 amounts allow 18 digits), small enough that
// arithmetic on hostile input stays cheap.
const (
	MaxDecimalDigits = 38 // significant digits
	MaxDecimalScale  = 18 // digits after the point
)

// ParseDecimal reads a decimal in plain or exponent notation. NaN, infinities,
// hexadecimal, more than MaxDecimalDigits digits or more than MaxDecimalScale
// digits after the point are errors of code invalid or too_large, without Field.
func ParseDecimal(text string) (Decimal, error) {
	if len(text) > 64 {
		return Decimal{}, Rejectf(CodeTooLarge, "", "number has more than 64 characters")
	}
	if !isDecimal(text) {
		return Decimal{}, Rejectf(CodeInvalid, "", "%q is not a decimal number", text)
	}
	d, err := decimal.NewFromString(text)
	if err != nil { // of all that isDecimal takes, only an exponent beyond 32 bits
		return Decimal{}, Rejectf(CodeTooLarge, "", "number has an exponent beyond all bounds")
	}
	if d.IsZero() {
		if d.Exponent() < -MaxDecimalScale || d.Exponent() > MaxDecimalDigits {
			return decimal.Zero, nil // 0e-999 is zero; its exponent must not travel on
		}
		return d, nil
	}
	// The exponent is looked at before any arithmetic: 1e1000000 is nine bytes
	// here and a million digits there.
	exponent, digits := int(d.Exponent()), d.NumDigits()
	if digits > MaxDecimalDigits || exponent > 0 && digits+exponent > MaxDecimalDigits {
		return Decimal{}, Rejectf(CodeTooLarge, "", "number has more than %d digits", MaxDecimalDigits)
	}
	if -exponent > MaxDecimalScale {
		return Decimal{}, Rejectf(CodeTooLarge, "", "number has more than %d digits after the point", MaxDecimalScale)
	}
	return d, nil
}

// isDecimal checks the form [+-] digits [. digits] [e [+-] digits], with a digit
// on one side of the point at least. NewFromString alone takes ".-5" too.
func isDecimal(text string) bool {
	rest := skipSign(text)
	whole, fraction := countDigits(rest), 0
	rest = rest[whole:]
	if strings.HasPrefix(rest, ".") {
		fraction = countDigits(rest[1:])
		rest = rest[1+fraction:]
	}
	if whole+fraction == 0 {
		return false
	}
	if rest == "" {
		return true
	}
	exponent := skipSign(rest[1:])
	return rest[0]|0x20 == 'e' && exponent != "" && countDigits(exponent) == len(exponent)
}

func skipSign(text string) string {
	if text != "" && (text[0] == '+' || text[0] == '-') {
		return text[1:]
	}
	return text
}

func countDigits(text string) int {
	n := 0
	for n < len(text) && '0' <= text[n] && text[n] <= '9' {
		n++
	}
	return n
}
