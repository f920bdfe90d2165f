// Package csvcell writes the cells of CSV files (RFC 4180) that hold what strangers
// have said.
package csvcell

import (
	"strings"
	"unicode/utf8"

	"github.com/tradetrail/tradetrail/domain"
)

// formulas are what programs that open tables take for the beginning of a formula, of
// both widths, and the apostrophe.
const formulas = "=+-@\uff1d\uff0b\uff0d\uff20\t\r\n'"

// Append quotes where RFC 4180 asks for it. What begins like a formula gets an
// apostrophe in front, which makes it text again: it came from strangers. A number, also a negative
// one, can't be a formula and stays. Cells that begin with an apostrophe get a second
// one, so that taking the first away always gives what was recorded.
//
// This holds for programs that part cells at commas. One that parts them elsewhere, say
// at semicolons, sees cells that nobody has written: a;=1 ends with a formula.
func Append(b []byte, cell string) []byte {
	if first, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune(formulas, first) && !isNumber(cell) {
		cell = "'" + cell
	}
	if !strings.ContainsAny(cell, ",\"\r\n") && !strings.HasPrefix(cell, " ") {
		return append(b, cell...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(cell, `"`, `""`)...)
	return append(b, '"')
}

func isNumber(text string) bool {
	_, err := domain.ParseDecimal(text)
	return err == nil
}
