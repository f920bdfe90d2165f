package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"go.yaml.in/yaml/v3"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// maxMappingBytes bounds a mapping file.
const maxMappingBytes = 1 << 20

// Mapping says what the columns of somebody else's CSV mean. See docs/recording.md
// for the form of the file.
type Mapping struct {
	separator string
	drop      bool // columns that nothing names; else they are kept in data
	fields    []mapped
}

// mapped is one field of the event.
type mapped struct {
	name string // dots nest, as in a header
	line int    // of the mapping file
	from source

	zone *time.Location
}

// source is where a field's text comes from, as the file says it.
type source struct {
	Column   string            `yaml:"column"`
	Columns  []string          `yaml:"columns"` // joined with a space
	Constant *string           `yaml:"constant"`
	Values   map[string]string `yaml:"values"` // what the cell says: what is meant
	Other    string            `yaml:"other"`  // what is meant by all other values
	Time     string            `yaml:"time"`   // layout of Go's time package, or epoch_s, epoch_ms, epoch_us, epoch_ns
	Zone     string            `yaml:"zone"`   // of times that have none: a name of the IANA database
	Decimal  string            `yaml:"decimal"`
	Grouping string            `yaml:"grouping"` // what stands between thousands
}

// ParseMapping reads a mapping file. Unknown names in it, and what can't mean
// anything, are ClassRejected errors that name the line.
func ParseMapping(r io.Reader) (*Mapping, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxMappingBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the mapping: %w", err)
	}
	if len(raw) > maxMappingBytes {
		return nil, domain.Rejectf(domain.CodeTooLarge, "", "the mapping is longer than %d bytes", maxMappingBytes)
	}
	var said struct {
		Separator string            `yaml:"separator"`
		Unmapped  string            `yaml:"unmapped"`
		Fields    map[string]source `yaml:"fields"`
	}
	strict := yaml.NewDecoder(bytes.NewReader(raw))
	strict.KnownFields(true)
	if err := strict.Decode(&said); err != nil {
		return nil, domain.Rejectf(domain.CodeMalformed, "", "reading the mapping: %v", err)
	}
	m := &Mapping{separator: comma, drop: said.Unmapped == "drop"}
	if said.Separator != "" {
		m.separator = said.Separator
	}
	if m.separator == `"` || strings.ContainsAny(m.separator, "\r\n") || len(m.separator) > 4 {
		return nil, domain.Rejectf(domain.CodeInvalid, "separator", "%q can't separate cells", m.separator)
	}
	if said.Unmapped != "" && said.Unmapped != "drop" && said.Unmapped != "keep" {
		return nil, domain.Rejectf(domain.CodeInvalid, "unmapped", "must be keep or drop, not %q", said.Unmapped)
	}
	if _, ok := said.Fields["event_type"]; !ok {
		return nil, domain.Rejectf(domain.CodeMissing, "fields.event_type", "missing")
	}
	lines := fieldLines(raw)
	for name, from := range said.Fields {
		f := mapped{name: name, from: from, line: lines[name]}
		if bad := f.check(); bad != nil {
			return nil, fmt.Errorf("line %d of the mapping: %w", f.line, bad)
		}
		m.fields = append(m.fields, f)
	}
	slices.SortFunc(m.fields, func(a, b mapped) int { return a.line - b.line })
	return m, nil
}

// fieldLines are the lines on which fields are named. The file is known to be well-formed.
func fieldLines(raw []byte) map[string]int {
	var root yaml.Node
	lines := make(map[string]int)
	if yaml.Unmarshal(raw, &root) != nil || len(root.Content) == 0 {
		return lines
	}
	top := root.Content[0].Content
	for i := 0; i+1 < len(top); i += 2 {
		if top[i].Value != "fields" {
			continue
		}
		fields := top[i+1].Content
		for j := 0; j+1 < len(fields); j += 2 {
			lines[fields[j].Value] = fields[j].Line
		}
	}
	return lines
}

func (f *mapped) check() *domain.Error {
	invalid := func(format string, args ...any) *domain.Error {
		return domain.Rejectf(domain.CodeInvalid, "fields."+f.name, format, args...)
	}
	given := 0
	for _, is := range []bool{f.from.Column != "", len(f.from.Columns) > 0, f.from.Constant != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return invalid("needs one of column, columns and constant")
	}
	if f.from.Other != "" && len(f.from.Values) == 0 {
		return invalid("other means something beside values only")
	}
	if f.from.Decimal == "" && f.from.Grouping != "" || f.from.Decimal != "" && f.from.Decimal == f.from.Grouping {
		return invalid("grouping needs a decimal separator that is another one")
	}
	if f.from.Zone != "" && f.from.Time == "" {
		return invalid("a zone needs a time")
	}
	if f.from.Time == "" {
		return nil
	}
	f.zone = time.UTC
	if f.from.Zone != "" {
		zone, err := time.LoadLocation(f.from.Zone)
		if err != nil {
			return invalid("%.64q is no time zone that is known", f.from.Zone)
		}
		f.zone = zone
	}
	if _, epoch := epochUnits[f.from.Time]; !epoch {
		// A layout that does not hold a moment would give every row the same one.
		at := time.Date(2031, 11, 29, 13, 47, 58, 0, time.UTC)
		if back, err := time.ParseInLocation(f.from.Time, at.Format(f.from.Time), time.UTC); err != nil || !back.Equal(at) {
			return invalid("the time %.64q does not say date and time to the second", f.from.Time)
		}
		if f.from.Zone == "" && !zoned(f.from.Time) {
			return invalid("the time %.64q has no zone, so zone must say it", f.from.Time)
		}
	}
	return nil
}

// zoned reports whether times in a layout say their offset. Names of zones don't
// count: MST means many things.
func zoned(layout string) bool {
	return strings.Contains(layout, "-07") || strings.Contains(layout, "Z07")
}

var epochUnits = map[string]time.Duration{
	"epoch_s": time.Second, "epoch_ms": time.Millisecond, "epoch_us": time.Microsecond, "epoch_ns": time.Nanosecond,
}

// bound is a mapping under a header.
type bound struct {
	mapping *Mapping
	columns int
	cells   [][]int // of each field
	object  field   // its leaves are fields, then columns that are kept
	kept    []int
}

func (m *Mapping) bind(header []byte) (func(row) ingest.Item, *domain.Error) {
	columns, bad := splitCells(string(header), m.separator)
	if bad != nil {
		return nil, bad
	}
	if len(columns) > maxColumns {
		return nil, domain.Rejectf(domain.CodeTooLarge, "", "has %d columns, at most %d are taken", len(columns), maxColumns)
	}
	for i := range columns {
		if columns[i] = strings.TrimSpace(columns[i]); columns[i] != "" && slices.Contains(columns[:i], columns[i]) {
			return nil, domain.Rejectf(domain.CodeInvalid, columns[i], "stands twice in the header")
		}
	}
	b := &bound{mapping: m, columns: len(columns)}
	used := make([]bool, len(columns))
	for i, f := range m.fields {
		var cells []int
		for _, name := range append(slices.Clone(f.from.Columns), f.from.Column) {
			at := slices.Index(columns, name)
			if name == "" {
				continue
			}
			if at < 0 {
				return nil, domain.Rejectf(domain.CodeMissing, name, "line %d of the mapping names a column that is not there", f.line)
			}
			cells = append(cells, at)
			used[at] = true
		}
		b.cells = append(b.cells, cells)
		path := strings.Split(f.name, ".")
		if slices.Contains(path, "") || len(path) > domain.MaxDepth ||
			!b.object.add(path, &field{cell: i, number: f.from.Time == "" && numeric(f.name)}) {
			return nil, domain.Rejectf(domain.CodeInvalid, f.name, "line %d of the mapping: no name of a field, or another one makes it both a value and an object", f.line)
		}
	}
	for i, column := range columns {
		if used[i] || m.drop || column == "" {
			continue
		}
		if !b.object.add([]string{"data", column}, &field{cell: len(m.fields) + len(b.kept)}) {
			return nil, domain.Rejectf(domain.CodeInvalid, column, "is kept in data, where a field of the mapping has its name already")
		}
		b.kept = append(b.kept, i)
	}
	return b.understand, nil
}

func (b *bound) understand(r row) ingest.Item {
	object, bad := b.parse(r)
	if bad != nil {
		return ingest.Item{Line: r.line, Raw: r.text, Err: bad}
	}
	return understand(FormatCSV, r, object)
}

func (b *bound) parse(r row) ([]byte, *domain.Error) {
	cells, bad := splitCells(string(r.text), b.mapping.separator)
	if bad != nil {
		return nil, bad
	}
	if len(cells) != b.columns {
		return nil, domain.Rejectf(domain.CodeMalformed, "", "row has %d cells, the header %d", len(cells), b.columns)
	}
	texts := make([]string, 0, len(b.cells)+len(b.kept))
	for i := range b.mapping.fields {
		text, bad := b.mapping.fields[i].text(cells, b.cells[i])
		if bad != nil {
			return nil, bad
		}
		texts = append(texts, text)
	}
	for _, at := range b.kept {
		texts = append(texts, cells[at])
	}
	object, err := b.object.append(nil, texts)
	if err != nil {
		return nil, domain.Rejectf(domain.CodeMalformed, "", "invalid UTF-8")
	}
	return object, nil
}

// text is what a field says in one row; empty where it says nothing.
func (f *mapped) text(cells []string, from []int) (string, *domain.Error) {
	if f.from.Constant != nil {
		return *f.from.Constant, nil
	}
	var parts []string
	for _, at := range from {
		if cell := strings.TrimSpace(cells[at]); cell != "" {
			parts = append(parts, cell)
		}
	}
	said := strings.Join(parts, " ")
	if said == "" {
		return "", nil
	}
	switch {
	case len(f.from.Values) > 0:
		if meant, ok := f.from.Values[said]; ok {
			return meant, nil
		}
		if f.from.Other != "" {
			return f.from.Other, nil
		}
		return "", domain.Rejectf(domain.CodeInvalid, f.name, "%.64q stands for nothing in the mapping", said)
	case f.from.Time != "":
		return f.moment(said)
	case f.from.Decimal != "":
		plain, ok := ungrouped(said, f.from.Decimal, f.from.Grouping)
		if !ok {
			return "", domain.Rejectf(domain.CodeInvalid, f.name, "%.64q is not grouped in thousands by %.8q", said, f.from.Grouping)
		}
		if f.from.Decimal != "." && strings.Contains(plain, ".") {
			return "", domain.Rejectf(domain.CodeInvalid, f.name, "%.64q has a point, which is not its decimal separator", said)
		}
		plain = strings.Replace(plain, f.from.Decimal, ".", 1)
		if _, err := domain.ParseDecimal(plain); err != nil {
			return "", domain.Rejectf(domain.CodeInvalid, f.name, "%.64q is no number", said)
		}
		return plain, nil
	default:
		return said, nil
	}
}

// ungrouped leaves out what stands between thousands. It is nowhere else: a number
// that is written the other way round must not become another number.
func ungrouped(said, decimal, grouping string) (plain string, ok bool) {
	whole, fraction, _ := strings.Cut(said, decimal)
	if grouping == "" || !strings.Contains(said, grouping) {
		return said, true
	}
	groups := strings.Split(whole, grouping)
	for i, group := range groups {
		if i == 0 {
			group = strings.TrimLeft(group, "+-")
		}
		if len(group) != 3 && (i > 0 || len(group) == 0 || len(group) > 3) || strings.Trim(group, "0123456789") != "" {
			return "", false
		}
	}
	return strings.Join(groups, "") + said[len(whole):], !strings.Contains(fraction, grouping)
}

func (f *mapped) moment(said string) (string, *domain.Error) {
	at, err := f.parseTime(said)
	if err != nil {
		return "", domain.Rejectf(domain.CodeInvalid, f.name, "%.64q is no time of the form %.64q", said, f.from.Time)
	}
	return at.UTC().Format(time.RFC3339Nano), nil
}

var errNoMoment = errors.New("not a moment in nanoseconds")

func (f *mapped) parseTime(said string) (time.Time, error) {
	unit, epoch := epochUnits[f.from.Time]
	if !epoch {
		return time.ParseInLocation(f.from.Time, said, f.zone)
	}
	// A decimal, not a float, which would invent nanoseconds.
	d, err := domain.ParseDecimal(said)
	if err != nil {
		return time.Time{}, err
	}
	ns := d.Mul(decimal.NewFromInt(int64(unit)))
	if !ns.IsInteger() || !ns.BigInt().IsInt64() {
		return time.Time{}, errNoMoment
	}
	return time.Unix(0, ns.IntPart()), nil
}
