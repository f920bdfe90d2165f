package report

import (
	"bufio"
	"io"

	"github.com/tradetrail/tradetrail/internal/csvcell"
)

// writeCSV writes records of RFC 4180, parts set apart by an empty one: a heading is
// a record of one cell, facts are records of name and value, a table begins with its
// columns. A row's tone and notes stand behind its cells. The timeline is left out: its
// numbers are in the table of steps. Cells hold what is recorded, character by
// character, and no text that begins like a formula: see csvcell.
func writeCSV(w io.Writer, d Document) error {
	c := &csvOutput{out: bufio.NewWriter(w)}
	c.record(d.Title)
	c.facts(d.About)
	for block, err := range d.Contents {
		if err == nil {
			err = c.block(block)
		}
		if err != nil {
			return err
		}
	}
	return c.out.Flush()
}

type csvOutput struct {
	out  *bufio.Writer
	line []byte
}

func (c *csvOutput) record(cells ...string) {
	c.line = c.line[:0]
	for i, cell := range cells {
		if i > 0 {
			c.line = append(c.line, ',')
		}
		c.line = csvcell.Append(c.line, cell)
	}
	c.line = append(c.line, '\r', '\n')
	c.out.Write(c.line) //nolint:errcheck // Flush returns the first error
}

func (c *csvOutput) block(block Block) error {
	switch b := block.(type) {
	case Section:
		c.record()
		c.record(b.Title)
	case Facts:
		c.facts(b)
	case Note:
		c.record(b.Text)
	case Table:
		return c.table(b)
	}
	return nil
}

func (c *csvOutput) facts(facts Facts) {
	for _, f := range facts {
		c.record(f.Key, f.Value)
	}
}

func (c *csvOutput) table(t Table) error {
	empty := true
	for row, err := range t.Rows {
		if err != nil {
			return err
		}
		if empty {
			empty = false
			columns := make([]string, 0, len(t.Columns)+2)
			for _, column := range t.Columns {
				columns = append(columns, column.Key)
			}
			c.record(append(columns, "tone", "notes")...)
		}
		cells := append(append(make([]string, 0, len(row.Cells)+2), row.Cells...), row.Tone.String(), joined(row.Notes))
		c.record(cells...)
		if err := failed(c.out); err != nil {
			return err
		}
	}
	if empty {
		c.record(t.Empty)
	}
	return nil
}
