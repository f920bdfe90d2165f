package verify

import (
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// Writer writes a bundle, a run at a time. It is for one goroutine.
type Writer struct {
	to   io.Writer
	runs int
}

// NewWriter writes the header. Close must be called for the bundle to be whole.
func NewWriter(to io.Writer, h Header) (*Writer, error) {
	if h.Format = Format; h.Kind == KindReport {
		h.Format = FormatReport
	}
	text, err := json.Marshal(h, jsontext.EscapeForHTML(false))
	if err != nil {
		return nil, fmt.Errorf("encoding the head of a bundle: %w", err)
	}
	text = append(text[:len(text)-1], ",\n\"runs\":["...)
	_, err = to.Write(text)
	return &Writer{to: to}, err
}

// Run writes the next run.
func (w *Writer) Run(r Run) error { return w.part(r) }

// CodeTooLarge is the code of a run that no reader takes: ClassRejected.
const CodeTooLarge = "run_too_large"

// Scatter writes the next leaves of a report, in the place of a run.
func (w *Writer) Scatter(s Scatter) error { return w.part(s) }

func (w *Writer) part(value any) error {
	text, err := json.Marshal(value, jsontext.EscapeForHTML(false))
	if err != nil {
		return fmt.Errorf("encoding part %d of a bundle: %w", w.runs, err)
	}
	if len(text) > maxRun-overhead {
		return domain.Rejectf(CodeTooLarge, "", "an event and its proof take %d bytes in a bundle, and readers take at most %d of a run", len(text), maxRun-overhead)
	}
	separator := ",\n"
	if w.runs == 0 {
		separator = "\n"
	}
	w.runs++
	_, err = w.to.Write(append([]byte(separator), text...))
	return err
}

// overhead is what a reader may have read of the run before, or behind this one.
const overhead = 64 << 10

// Close ends the bundle. It does not close what is written to.
func (w *Writer) Close() error {
	_, err := io.WriteString(w.to, "]}\n")
	return err
}
