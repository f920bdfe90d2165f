package report

import (
	"bufio"
	"cmp"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// writeJSON writes one object: title, created_at, position, about, and contents, an
// array of parts in their order, each with its "part". Values are strings, exactly as
// recorded; durations of a timeline are nanoseconds.
func writeJSON(w io.Writer, d Document) error {
	j := &jsonOutput{bufio.NewWriter(w)}
	head := struct {
		Title   string            `json:"title"`
		Created string            `json:"created_at"`
		UpTo    string            `json:"position"`
		About   map[string]string `json:"about"`
	}{d.Title, timeText(d.Created), d.UpTo.String(), valuesOf(d.About)}
	text, err := encodeJSON(head)
	if err != nil {
		return err
	}
	j.text(text[:len(text)-1])
	j.text(`,"contents":[`)
	first := true
	for block, err := range d.Contents {
		if err != nil {
			return err
		}
		if !first {
			j.text(",")
		}
		first = false
		j.text("\n")
		if err := j.block(block); err != nil {
			return err
		}
	}
	j.text("\n]}\n")
	return j.out.Flush()
}

type jsonOutput struct{ out *bufio.Writer }

// text leaves errors to Flush, which returns the first.
func (j *jsonOutput) text(text string) {
	j.out.WriteString(text) //nolint:errcheck // see above
}

func encodeJSON(value any) (string, error) {
	b, err := json.Marshal(value, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	return string(b), err
}

func (j *jsonOutput) value(value any) error {
	text, err := encodeJSON(value)
	j.text(text)
	return err
}

func (j *jsonOutput) block(block Block) error {
	switch b := block.(type) {
	case Section:
		return j.value(map[string]string{"part": "section", "title": b.Title})
	case Facts:
		return j.value(map[string]any{"part": "facts", "values": valuesOf(b)})
	case Note:
		return j.value(map[string]string{"part": "note", "text": b.Text, "tone": b.Tone.String()})
	case Timeline:
		return j.value(timelineBody(b))
	case Table:
		return j.table(b)
	default:
		return nil
	}
}

func timelineBody(t Timeline) any {
	type step struct {
		Name    string `json:"name"`
		From    int64  `json:"from_ns"`
		Latency int64  `json:"latency_ns"`
		Tone    string `json:"tone"`
	}
	steps := make([]step, len(t.Steps))
	for i, s := range t.Steps {
		steps[i] = step{s.Name, int64(s.From), int64(s.Latency), s.Tone.String()}
	}
	return map[string]any{"part": "timeline", "steps": steps, "total_ns": int64(t.Total), "left": t.Left}
}

func (j *jsonOutput) table(t Table) error {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = c.Key
	}
	head, err := encodeJSON(map[string]any{"part": "table", "table": t.Key, "columns": columns})
	if err != nil {
		return err
	}
	j.text(head[:len(head)-1])
	j.text(`,"rows":[`)
	separator := "\n"
	for row, err := range t.Rows {
		if err != nil {
			return err
		}
		j.text(separator)
		separator = ",\n"
		out := struct {
			Cells map[string]string `json:"cells"`
			Tone  string            `json:"tone"`
			Notes []string          `json:"notes,omitempty"`
		}{make(map[string]string, len(columns)), row.Tone.String(), row.Notes}
		for i, cell := range row.Cells {
			out.Cells[columns[i]] = cell
		}
		if err := cmp.Or(j.value(out), failed(j.out)); err != nil {
			return err
		}
	}
	j.text("]}")
	return nil
}

func valuesOf(facts Facts) map[string]string {
	values := make(map[string]string, len(facts))
	for _, f := range facts {
		values[f.Key] = f.Value
	}
	return values
}

func joined(notes []string) string { return strings.Join(notes, "; ") }
