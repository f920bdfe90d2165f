package report

import (
	"iter"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// Document is a report before it is written in some format. It can be written once.
type Document struct {
	Title    string
	Name     string // of its file, without an extension
	Created  time.Time
	UpTo     domain.Position // where the read models stood: later events are not in it
	About    Facts           // what it is about, in the order in which it is shown
	Contents iter.Seq2[Block, error]

	proof *proof // of its events; nil says nothing
}

// Block is a part of a document: Section, Facts, Table, Timeline or Note.
type Block interface{ block() }

// Section is the heading of what follows.
type Section struct{ Title string }

// Facts are single values with their names.
type Facts []Fact

// Fact is one value. Key is its name for programs and does not change.
type Fact struct{ Key, Name, Value string }

// Table is rows with the same columns. Its rows can be read once, when the table is
// reached.
type Table struct {
	Key     string // its name for programs
	Columns []Column
	Rows    iter.Seq2[Row, error]
	Empty   string // what is said when there are no rows
}

// Column is a column of a table. Weight is its share of the width of a page.
type Column struct {
	Key, Name string
	Weight    float64
}

// Row is a row of a table.
type Row struct {
	Cells []string // as many as there are columns
	Tone  Tone
	Notes []string // why it stands out
}

// Note is a sentence.
type Note struct {
	Text string
	Tone Tone
}

// Timeline is a drawing of steps one after another, and of how long each took.
type Timeline struct {
	Steps []TimelineStep
	Total time.Duration
	Left  int // steps behind these, which are not drawn
}

// TimelineStep is one of a timeline.
type TimelineStep struct {
	Name    string
	From    time.Duration // after the first step, where the step before it was
	Latency time.Duration // from there; below 0 when clocks disagree
	Tone    Tone
}

func (Section) block()  {}
func (Facts) block()    {}
func (Table) block()    {}
func (Note) block()     {}
func (Timeline) block() {}

// Tone says how much something stands out. Its names are part of the formats for
// programs.
type Tone int

// The tones, from nothing to what somebody must look at.
const (
	Plain Tone = iota
	Notice
	Alarm
)

// String is the tone's name.
func (t Tone) String() string {
	switch t {
	case Notice:
		return "notice"
	case Alarm:
		return "alarm"
	default:
		return "plain"
	}
}

// mark is the tone for whoever sees no colours.
func (t Tone) mark() string {
	switch t {
	case Notice:
		return "!"
	case Alarm:
		return "!!"
	default:
		return ""
	}
}

// counted counts the rows of a document as they are written.
func (d Document) counted(one func()) Document {
	contents := d.Contents
	d.Contents = func(yield func(Block, error) bool) {
		for block, err := range contents {
			if table, ok := block.(Table); ok {
				block = table.counted(one)
			}
			if !yield(block, err) {
				return
			}
		}
	}
	return d
}

func (t Table) counted(one func()) Table {
	rows := t.Rows
	t.Rows = func(yield func(Row, error) bool) {
		for row, err := range rows {
			if err == nil {
				one()
			}
			if !yield(row, err) {
				return
			}
		}
	}
	return t
}

// timeText writes a moment in UTC, as it is in the events.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// durationText writes a length of time exactly.
func durationText(d time.Duration) string { return d.String() }

// fileName makes a name that every file system takes.
func fileName(parts ...string) string {
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			return c
		}
		return '_'
	}, strings.Join(parts, "-"))
	return name[:min(len(name), maxFileName)]
}

const maxFileName = 120
