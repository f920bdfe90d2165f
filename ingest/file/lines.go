package file

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/tradetrail/tradetrail/domain"
)

// utf8BOM is what some editors and spreadsheets put before the first line.
const utf8BOM = "\xEF\xBB\xBF"

// row is one row of a file: a line, or several where CSV cells hold line breaks.
type row struct {
	line int           // of its beginning, from 1
	text []byte        // without the line's end; never written to again; a prefix if too large
	err  *domain.Error // why there is nothing to parse: too large, a quote that never closes
}

// lines splits a stream into lines of at most domain.MaxEventBytes, whatever the
// stream holds. Lines end with LF or CRLF.
type lines struct {
	in     *bufio.Reader
	name   string
	number int   // of the line last read from in
	unread []row // read ahead in vain, to be given again
}

func newLines(r io.Reader, name string) *lines {
	if name == "" {
		name = "input"
	}
	return &lines{in: bufio.NewReaderSize(r, 64<<10), name: name}
}

// next gives the next line that is not blank; not ok is the end, or an error.
func (l *lines) next() (r row, ok bool, err error) {
	for {
		r, ok, err = l.any()
		if !ok || r.err != nil || len(bytes.TrimSpace(r.text)) > 0 {
			return r, ok, err
		}
	}
}

// any gives the next line, blank or not. A line that an I/O error cuts is not
// given: nobody knows how it ends.
func (l *lines) any() (r row, ok bool, err error) {
	if len(l.unread) > 0 {
		r, l.unread = l.unread[0], l.unread[1:]
		return r, true, nil
	}
	const limit = domain.MaxEventBytes + len(utf8BOM) + len("\r\n")
	size := 0
	for {
		part, err := l.in.ReadSlice('\n')
		size += len(part)
		r.text = append(r.text, part[:min(len(part), limit-len(r.text))]...)
		if err == nil || errors.Is(err, io.EOF) && size > 0 {
			break // the last line needs no end
		}
		if errors.Is(err, io.EOF) {
			return row{}, false, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return row{}, false, fmt.Errorf("reading %s after line %d: %w", l.name, l.number, err)
		}
	}
	l.number++
	r.line = l.number
	if r.line == 1 {
		r.text = bytes.TrimPrefix(r.text, []byte(utf8BOM))
	}
	r.text = bytes.TrimSuffix(bytes.TrimSuffix(r.text, []byte("\n")), []byte("\r"))
	if size > limit || len(r.text) > domain.MaxEventBytes {
		r.err = domain.Rejectf(domain.CodeTooLarge, "", "line has %d bytes, at most %d are taken", size, domain.MaxEventBytes)
	}
	return r, true, nil
}
