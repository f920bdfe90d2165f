package client

import (
	"strconv"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
)

// Amount is money, a quantity, a price or a ratio: an exact decimal. The zero value
// is none, and is left out; 0 is Fixed(0, 0).
type Amount struct {
	text     string
	unscaled int64
	scale    uint8
	set      bool
}

// Fixed is unscaled / 10^scale: Fixed(41244, 2) is 412.44. It costs no allocation.
// Digits after the point beyond domain.MaxDecimalScale are refused by the server.
func Fixed(unscaled int64, scale uint8) Amount {
	return Amount{unscaled: unscaled, scale: scale, set: true}
}

// Exact is a decimal in plain notation, such as "412.44". It is sent as it is; text
// that is no decimal makes the server refuse the event. Empty is none.
func Exact(text string) Amount { return Amount{text: text, set: text != ""} }

// FromDecimal is a decimal of the domain.
func FromDecimal(d domain.Decimal) Amount { return Exact(d.String()) }

// IsZero reports whether the amount is none, or 0.
func (a Amount) IsZero() bool {
	if a.text != "" {
		return strings.Trim(a.text, "+-0.") == ""
	}
	return a.unscaled == 0
}

// String is the amount in plain notation.
func (a Amount) String() string {
	if a.text != "" || !a.set {
		return a.text
	}
	return string(a.appendTo(nil))
}

func (a Amount) appendTo(b []byte) []byte {
	if a.scale == 0 {
		return strconv.AppendInt(b, a.unscaled, 10)
	}
	magnitude := uint64(a.unscaled) //nolint:gosec // also right for the smallest one
	if a.unscaled < 0 {
		b, magnitude = append(b, '-'), -magnitude
	}
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], magnitude, 10)
	scale := int(a.scale)
	if len(text) <= scale {
		b = append(b, '0', '.')
		for range scale - len(text) {
			b = append(b, '0')
		}
		return append(b, text...)
	}
	point := len(text) - scale
	return append(append(append(b, text[:point]...), '.'), text[point:]...)
}

func toValid(text string) string { return strings.ToValidUTF8(text, "�") }
