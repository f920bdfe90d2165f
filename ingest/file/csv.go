package file

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// maxRowLines bounds how far a quote may stay open.
const maxRowLines = 1000

// comma separates cells where no mapping says otherwise.
const comma = ","

// CSV reads comma-separated rows (RFC 4180) under a header of field names: the
// canonical ones or their aliases of the flat and minimal shapes. A dot nests, as
// in data.limit_price or previous.shares. Empty cells are absent fields; all
// others are strings, except times as epoch seconds. The header must have
// event_type. The sequence can be ranged over once.
func CSV(r io.Reader, o Options) (iter.Seq2[ingest.Item, error], error) {
	in, separator := newLines(r, o.Name), comma
	if o.Mapping != nil {
		separator = o.Mapping.separator
	}
	first, ok, err := csvRow(in, separator)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, domain.Rejectf(domain.CodeMissing, "", "%s has no header", in.name)
	case first.err != nil:
		return nil, headerError(in.name, first.err)
	}
	understand, bad := rowMeaning(first.text, o.Mapping)
	if bad != nil {
		return nil, headerError(in.name, bad)
	}
	return items(func() (row, bool, error) { return csvRow(in, separator) }, understand), nil
}

// rowMeaning is what rows under a header mean: by its names, or by a mapping.
func rowMeaning(text []byte, m *Mapping) (func(row) ingest.Item, *domain.Error) {
	if m != nil {
		return m.bind(text)
	}
	h, bad := parseHeader(text)
	if bad != nil {
		return nil, bad
	}
	return h.understand, nil
}

func headerError(name string, bad *domain.Error) error {
	return fmt.Errorf("reading the header of %s: %w", name, bad)
}

// csvRow reads one row: lines are joined while a quote is open. When that leads
// nowhere, the quote was a stray one: its line alone is the bad row, and reading
// goes on with the line behind it, so one slip can't swallow its successors.
func csvRow(in *lines, separator string) (r row, ok bool, err error) {
	first, ok, err := in.next()
	if !ok || first.err != nil || !openQuote(first.text) {
		return first, ok, err
	}
	text, ahead, err := closeQuote(in, bytes.Clone(first.text))
	if err != nil {
		return row{}, false, err
	}
	if _, bad := splitCells(string(text), separator); bad == nil {
		return row{line: first.line, text: text}, true, nil
	}
	in.unread = append(ahead, in.unread...)
	first.err = domain.Rejectf(domain.CodeMalformed, "", "a quote is not closed, or stands inside a cell")
	return first, true, nil
}

// closeQuote appends lines to text, which has an open quote, until one closes it
// or none can any more. It also returns the lines that it has taken for that.
func closeQuote(in *lines, text []byte) (joined []byte, ahead []row, err error) {
	for len(ahead) < maxRowLines {
		more, ok, err := in.any()
		if !ok {
			return text, ahead, err
		}
		ahead = append(ahead, more)
		if more.err != nil || len(text)+1+len(more.text) > domain.MaxEventBytes {
			break
		}
		text = append(append(text, '\n'), more.text...)
		if openQuote(more.text) { // odd again: closed
			break
		}
	}
	return text, ahead, nil //nolint:nilerr // a line that is too large ends this row, not the file
}

// openQuote reports whether a line opens a quote (or closes one) without its
// counterpart: quotes inside of quotes are doubled, so they don't count.
func openQuote(line []byte) bool { return bytes.Count(line, []byte{'"'})%2 == 1 }

// splitCells splits a whole row.
func splitCells(text, separator string) ([]string, *domain.Error) {
	var cells []string
	for {
		cell, rest, more := strings.Cut(text, separator)
		if strings.HasPrefix(text, `"`) {
			var bad *domain.Error
			if cell, rest, more, bad = quotedCell(text[1:], separator); bad != nil {
				return nil, bad
			}
		} else if strings.Contains(cell, `"`) {
			return nil, domain.Rejectf(domain.CodeMalformed, "", "cell %d has a quote inside", len(cells)+1)
		}
		cells = append(cells, cell)
		if !more {
			return cells, nil
		}
		text = rest
	}
}

// quotedCell reads a cell behind its opening quote. It returns what is behind the
// separator that ends it, and whether there was one.
func quotedCell(text, separator string) (cell, rest string, more bool, bad *domain.Error) {
	var unquoted strings.Builder
	for {
		part, behind, ok := strings.Cut(text, `"`)
		if !ok {
			return "", "", false, domain.Rejectf(domain.CodeMalformed, "", "a quote is not closed")
		}
		unquoted.WriteString(part)
		switch {
		case behind == "":
			return unquoted.String(), "", false, nil
		case strings.HasPrefix(behind, separator):
			return unquoted.String(), behind[len(separator):], true, nil
		case behind[0] == '"':
			unquoted.WriteByte('"')
			text = behind[1:]
		default:
			return "", "", false, domain.Rejectf(domain.CodeMalformed, "", "%q stands behind a closing quote", behind[:1])
		}
	}
}
