package file

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// maxColumns bounds the header: each name is compared with all before it.
const maxColumns = 2000

// header is what the columns of a CSV file mean: the JSON object that each row
// stands for.
type header struct {
	columns []string
	object  field
}

// field is a member of that object: a cell, or an object of fields.
type field struct {
	name   string
	cell   int // index; meaningless when there are fields
	fields []*field
	number bool // written as a JSON number where the cell is one
}

// numeric reports whether the door takes the column's numbers only as JSON
// numbers: epoch seconds, and the integers of clock. All others stay strings.
func numeric(column string) bool {
	switch column {
	case "occurred_at", "created_at", "timestamp", "clock.offset_ns", "clock.max_error_ns":
		return true
	default:
		return false
	}
}

func parseHeader(text []byte) (*header, *domain.Error) {
	cells, bad := splitCells(string(text), comma)
	if bad != nil {
		return nil, bad
	}
	if len(cells) > maxColumns {
		return nil, domain.Rejectf(domain.CodeTooLarge, "", "has %d columns, at most %d are taken", len(cells), maxColumns)
	}
	h := &header{}
	for i, cell := range cells {
		column := strings.TrimSpace(cell)
		if slices.Contains(h.columns, column) {
			return nil, domain.Rejectf(domain.CodeInvalid, column, "stands twice in the header")
		}
		h.columns = append(h.columns, column)
		path := strings.Split(column, ".")
		if slices.Contains(path, "") {
			return nil, domain.Rejectf(domain.CodeInvalid, column, "column %d has no name, or one with an empty part", i+1)
		}
		if len(path) > domain.MaxDepth {
			return nil, domain.Rejectf(domain.CodeTooLarge, column, "nested deeper than %d", domain.MaxDepth)
		}
		if !h.object.add(path, &field{cell: i, number: numeric(column)}) {
			return nil, domain.Rejectf(domain.CodeInvalid, column, "another column makes it both a value and an object")
		}
	}
	if !slices.Contains(h.columns, "event_type") {
		return nil, domain.Rejectf(domain.CodeMissing, "event_type", "missing in the header")
	}
	return h, nil
}

// add puts leaf under path; false when a value stands in the way.
func (f *field) add(path []string, leaf *field) bool {
	at := slices.IndexFunc(f.fields, func(c *field) bool { return c.name == path[0] })
	switch {
	case len(path) == 1 && at < 0:
		leaf.name = path[0]
		f.fields = append(f.fields, leaf)
		return true
	case len(path) == 1:
		return false
	case at < 0:
		at = len(f.fields)
		f.fields = append(f.fields, &field{name: path[0]})
	case len(f.fields[at].fields) == 0:
		return false
	}
	return f.fields[at].add(path[1:], leaf)
}

// understand reads one row.
func (h *header) understand(r row) ingest.Item {
	object, err := h.parse(r)
	if err != nil {
		return ingest.Item{Line: r.line, Raw: r.text, Err: err}
	}
	// The id is of the object, not the row: a row means nothing without its header.
	return understand(FormatCSV, r, object)
}

func (h *header) parse(r row) ([]byte, *domain.Error) {
	cells, bad := splitCells(string(r.text), comma)
	if bad != nil {
		return nil, bad
	}
	if len(cells) != len(h.columns) {
		return nil, domain.Rejectf(domain.CodeMalformed, "", "row has %d cells, the header %d", len(cells), len(h.columns))
	}
	object, err := h.object.append(nil, cells)
	if err != nil {
		return nil, domain.Rejectf(domain.CodeMalformed, "", "invalid UTF-8")
	}
	return object, nil
}

// append writes the object of the cells that are not empty.
func (f *field) append(b []byte, cells []string) ([]byte, error) {
	b = append(b, '{')
	for _, c := range f.fields {
		if !c.filled(cells) {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		var err error
		if b, err = jsontext.AppendQuote(b, c.name); err != nil {
			return nil, err
		}
		b = append(b, ':')
		switch {
		case len(c.fields) > 0:
			b, err = c.append(b, cells)
		case c.number && jsontext.Value(cells[c.cell]).Kind() == '0' && jsontext.Value(cells[c.cell]).IsValid():
			b = append(b, cells[c.cell]...)
		default:
			b, err = jsontext.AppendQuote(b, cells[c.cell])
		}
		if err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func (f *field) filled(cells []string) bool {
	if len(f.fields) == 0 {
		return cells[f.cell] != ""
	}
	return slices.ContainsFunc(f.fields, func(c *field) bool { return c.filled(cells) })
}
