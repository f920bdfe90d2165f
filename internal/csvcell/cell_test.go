package csvcell_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/csvcell"
)

func TestAppend_Cells(t *testing.T) {
	for cell, want := range map[string]string{
		"plain": "plain", "": "", "a,b": `"a,b"`, `say "x"`: `"say ""x"""`, "two\nlines": "\"two\nlines\"", " led": `" led"`,
		"=1+1": "'=1+1", "@SUM(A1)": "'@SUM(A1)", "+1;2": "'+1;2", "-x": "'-x", "\tx": "'\tx", "\r=x": "\"'\r=x\"",
		`=HYPERLINK("x","y")`: `"'=HYPERLINK(""x"",""y"")"`,
		"-5.25":               "-5.25", "+3": "+3", "-1e5": "-1e5", "-1+cmd": "'-1+cmd", "'quoted": "''quoted", "-": "'-",
		"\uff1d1+1": "'\uff1d1+1", "\uff0b1": "'\uff0b1", "\uff0d1": "'\uff0d1", "\uff20SUM(A1)": "'\uff20SUM(A1)", "\xff=": "\xff=",
	} {
		assert.Equal(t, want, string(csvcell.Append(nil, cell)), "%q", cell)
	}
}

// Whatever was recorded can be read back, and no cell is a formula.
func TestAppend_ReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringMatching(`[-+=@＋－＝＠'\t"a,0-9. \n]{0,8}`).Draw(t, "cell")
		records, err := csv.NewReader(strings.NewReader(string(csvcell.Append(nil, cell)) + ",end\r\n")).ReadAll()
		require.NoError(t, err)
		require.Len(t, records, 1)
		read := records[0][0]
		if read != "" && strings.ContainsRune("=+-@＝＋－＠\t\r", []rune(read)[0]) {
			_, err := domain.ParseDecimal(read)
			require.NoError(t, err, "%q could be a formula", read)
		}
		require.Equal(t, cell, strings.TrimPrefix(read, "'"))
	})
}
