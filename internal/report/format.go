package report

import (
	"bufio"
	"io"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
)

// Format is a way to write a report. Its value is part of the interfaces.
type Format string

// The formats.
const (
	PDF  Format = "pdf"
	HTML Format = "html"
	CSV  Format = "csv"
	JSON Format = "json"
	Text Format = "text"
)

// Formats lists every format.
func Formats() []Format { return []Format{PDF, HTML, CSV, JSON, Text} }

// ParseFormat reads a format's name.
func ParseFormat(name string) (Format, error) {
	for _, f := range Formats() {
		if strings.EqualFold(name, string(f)) {
			return f, nil
		}
	}
	return "", domain.Rejectf(domain.CodeInvalid, "format", "%.32q is none of pdf, html, csv, json and text", name)
}

// check takes what ParseFormat gives, letter by letter.
func (f Format) check() error {
	if known, err := ParseFormat(string(f)); err != nil || known == f {
		return err
	}
	return domain.Rejectf(domain.CodeInvalid, "format", "%.32q is not in lower case", string(f))
}

// Media is the format's media type.
func (f Format) Media() string {
	switch f {
	case PDF:
		return "application/pdf"
	case HTML:
		return "text/html; charset=utf-8"
	case CSV:
		return "text/csv; charset=utf-8"
	case JSON:
		return "application/json"
	default:
		return "text/plain; charset=utf-8"
	}
}

// Extension is what names of files end with.
func (f Format) Extension() string {
	if f == Text {
		return ".txt"
	}
	return "." + string(f)
}

// Write writes a document in this format. It holds at most some rows of it in memory.
// After an error what was written is not the document.
func (f Format) Write(w io.Writer, d Document) error {
	switch f {
	case PDF:
		return writePDF(w, d)
	case HTML:
		return writeHTML(w, d)
	case CSV:
		return writeCSV(w, d)
	case JSON:
		return writeJSON(w, d)
	default:
		return writeText(w, d)
	}
}

// failed is the error that ended a writer, asked for at each row: what nobody can be
// given is not read any further.
func failed(out *bufio.Writer) error {
	_, err := out.Write(nil)
	return err
}
