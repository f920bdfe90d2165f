// Package csvcell writes the cells of CSV files (RFC 4180) that hold what strangers
// have said.
package csvcell

import (
	"strings"

	"github.com/tradetrail/tradetrail/domain"
)

// Append quotes where RFC 4180 asks for it. Programs that open tables take a cell
// that begins with one of these characters for a formula, and its text came from
// strangers: an apostrophe in front makes it text again. A number, also a negative
// one, can't be a formula and stays. Cells that begin with an apostrophe get a second
// one, so that taking the first away always gives what was recorded.
func Append(b []byte, cell string) []byte {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n'", rune(cell[0])) && !isNumber(cell) {
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
