package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// textBar is how wide the timeline is drawn, in characters.
const textBar = 40

// writeText writes for a terminal. A row of a table is a line of its own, or, where
// it is long, goes on below: nothing is cut off.
func writeText(w io.Writer, d Document) error {
	t := &textOutput{out: bufio.NewWriter(w)}
	t.line("%s", visible(d.Title, nil))
	t.line("%s", strings.Repeat("=", utf8.RuneCountInString(d.Title)))
	t.facts(d.About)
	for block, err := range d.Contents {
		if err == nil {
			err = t.block(block)
		}
		if err != nil {
			return err
		}
	}
	return t.out.Flush()
}

type textOutput struct{ out *bufio.Writer }

// line leaves errors to Flush, which returns the first.
func (t *textOutput) line(format string, args ...any) {
	fmt.Fprintf(t.out, format, args...)
	t.out.WriteByte('\n') //nolint:errcheck // see above
}

func (t *textOutput) block(block Block) error {
	switch b := block.(type) {
	case Section:
		t.line("\n%s\n%s", visible(b.Title, nil), strings.Repeat("-", utf8.RuneCountInString(b.Title)))
	case Facts:
		t.facts(b)
	case Note:
		t.line("%s", strings.TrimLeft(b.Tone.mark()+" "+visible(b.Text, nil), " "))
	case Timeline:
		t.timeline(b)
	case Table:
		return t.table(b)
	}
	return nil
}

func (t *textOutput) facts(facts Facts) {
	width := 0
	for _, f := range facts {
		width = max(width, utf8.RuneCountInString(f.Name))
	}
	for _, f := range facts {
		t.line("%-*s  %s", width, f.Name, visible(f.Value, nil))
	}
}

func (t *textOutput) table(table Table) error {
	empty := true
	for row, err := range table.Rows {
		if err != nil {
			return err
		}
		if empty {
			empty = false
			names := make([]string, len(table.Columns))
			for i, c := range table.Columns {
				names[i] = c.Name
			}
			t.line("   %s", strings.Join(names, " | "))
		}
		cells := make([]string, len(row.Cells))
		for i, cell := range row.Cells {
			if cells[i] = visible(cell, nil); cell == "" {
				cells[i] = "-"
			}
		}
		t.line("%-2s %s", row.Tone.mark(), strings.Join(cells, " | "))
		for _, note := range row.Notes {
			t.line("   ^ %s", visible(note, nil))
		}
		if err := failed(t.out); err != nil {
			return err
		}
	}
	if empty {
		t.line("%s", table.Empty)
	}
	return nil
}

func (t *textOutput) timeline(drawing Timeline) {
	width := 0
	for _, s := range drawing.Steps {
		width = max(width, utf8.RuneCountInString(visible(s.Name, nil)))
	}
	for _, s := range drawing.Steps {
		from, length := bar(s, drawing.Total, textBar)
		t.line("%-2s %-*s |%s%s%s| %s", s.Tone.mark(), width, visible(s.Name, nil),
			strings.Repeat(" ", from), strings.Repeat("#", length), strings.Repeat(" ", textBar-from-length), durationText(s.Latency))
	}
	if drawing.Left > 0 {
		t.line("   %d more steps are in the table", drawing.Left)
	}
}

// bar places a step on a scale of the whole: where it begins, and its length, which is
// at least one.
func bar(s TimelineStep, total time.Duration, scale int) (from, length int) {
	place := func(at time.Duration) int {
		if total <= 0 {
			return 0
		}
		return int(float64(min(max(at, 0), total)) / float64(total) * float64(scale))
	}
	begin, end := min(s.From, s.From+s.Latency), max(s.From, s.From+s.Latency)
	from = min(place(begin), scale-1)
	return from, max(1, place(end)-from)
}
