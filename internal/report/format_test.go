package report_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/internal/report"
)

// full is a disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, assert.AnError }

// A report that can't be written is given up at once, not when all of it was read.
func TestFormats_EndWithTheWriter(t *testing.T) {
	for _, f := range report.Formats() {
		read := 0
		d := report.Document{Title: "Endless", Contents: func(yield func(report.Block, error) bool) {
			yield(report.Table{Columns: []report.Column{{Key: "a", Name: "A", Weight: 1}}, Rows: func(yield func(report.Row, error) bool) {
				for yield(report.Row{Cells: []string{"0123456789"}}, nil) && read < 100_000 {
					read++
				}
			}}, nil)
		}}
		require.ErrorIs(t, f.Write(full{}, d), assert.AnError, f)
		assert.Less(t, read, 10_000, f)
	}
}
