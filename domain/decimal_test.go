package domain_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
)

func TestParseDecimal(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "00": "0", "412.50": "412.5", "0412.50": "412.5", "+5": "5", "5.": "5", ".5": "0.5", "-.5": "-0.5", "-1.45": "-1.45",
		"1e3": "1000", "1E3": "1000", "1e+3": "1000", "1e-3": "0.001", "1.5e1": "15", "5.e3": "5000", ".5e1": "5", "1e03": "1000",
		"0e20": "0", "0e1000000000": "0", "0e-1000000000": "0", "0.000e-30": "0",
		"1e37":                  "1" + strings.Repeat("0", 37),
		strings.Repeat("9", 38): strings.Repeat("9", 38),
		"12345678901234567890.123456789012345678": "12345678901234567890.123456789012345678",
		"0.000000000000000001":                    "0.000000000000000001",
		"1e-18":                                   "0.000000000000000001",
		strings.Repeat("0", 63) + "7":             "7",
	} {
		d, err := domain.ParseDecimal(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, d.String(), text)
	}
}

func TestParseDecimal_Refuses(t *testing.T) {
	for code, texts := range map[string][]string{
		domain.CodeInvalid: {
			"", " ", "-", "+", ".", "-.", "e", "e5", ".e5", "1e", "1e+", "1e-", "1ee5", "1e5e5", "1e5.5", "1.2.3", "--1", "+-1", "-+1", "1-", "1+1",
			".-5", ".+5", "1.-5", "-.-5", "1e--5", "1e+-5", " 1", "1 ", "1\n", "1_000", "1,000", "1'000", "$1", "1%", "0x10", "0b1", "1p4", "1f", "1m",
			"NaN", "nan", "sNaN", "Inf", "-Inf", "Infinity", "null", "true", "١٢٣", "１", "1\x00", "½", "−1",
		},
		domain.CodeTooLarge: {
			"1e38", "-1e38", "10e37", "1" + strings.Repeat("0", 38), strings.Repeat("9", 39), "1e1000000000", "1e2147483647", "1e2147483648",
			"1e99999999999999999999", "-1e1000000000", "0.0000000000000000001", "1e-19", "1e-1000000000", "1e-2147483648", "1.5e-2147483648",
			"1e-99999999999999999999", strings.Repeat("1", 65), strings.Repeat("x", 1<<20), "12345678901234567890123456789012345678.9",
		},
	} {
		for _, text := range texts {
			d, err := domain.ParseDecimal(text)
			var rejected *domain.Error
			require.ErrorAs(t, err, &rejected, "%.80q = %s", text, d)
			assert.Equal(t, code, rejected.Code, "%.80q: %s", text, rejected.Message)
			assert.Equal(t, domain.ClassRejected, rejected.Class)
			assert.Empty(t, rejected.Field)
			assert.Less(t, len(rejected.Message), 400)
			assert.True(t, d.IsZero())
		}
	}
}

// What a nine-byte number costs must not depend on what it says.
func BenchmarkParseDecimal_Hostile(b *testing.B) {
	for _, text := range []string{"412.50", "1e1000000000", "-9e999999999", "0e1000000000", "1e-1000000000", "9e37", strings.Repeat("9", 64)} {
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				if d, err := domain.ParseDecimal(text); err == nil {
					_ = d.Add(d).Mul(d).String()
				}
			}
		})
	}
}

func FuzzParseDecimal(f *testing.F) {
	for _, text := range []string{
		"0", "-0", "412.50", "1e3", ".5", "5.", "-.5e-3", ".-5", "1e1000000000", "0e1000000000", "1e-18", "NaN", "1e", "+",
		strings.Repeat("9", 38), "00012", "1.5e-2147483648", "0.10e1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := domain.ParseDecimal(text)
		if err != nil {
			require.Equal(t, domain.ClassRejected, domain.ClassOf(err))
			return
		}
		// The bounds that arithmetic relies on.
		plain := d.String()
		whole, fraction, _ := strings.Cut(strings.TrimPrefix(plain, "-"), ".")
		require.LessOrEqual(t, len(whole)+len(fraction), domain.MaxDecimalDigits+domain.MaxDecimalScale)
		require.LessOrEqual(t, len(fraction), domain.MaxDecimalScale)

		// An independent reader sees the same number.
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			// big.Rat bounds exponents; only zeros pass there that we take.
			require.True(t, d.IsZero(), text)
			return
		}
		require.Zero(t, want.Cmp(d.Rat()), "%q = %s", text, d)

		again, err := domain.ParseDecimal(plain)
		require.NoError(t, err, plain)
		require.True(t, again.Equal(d))
		require.Equal(t, plain, again.String())
	})
}
