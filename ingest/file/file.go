package file

import (
	"io"
	"iter"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/fix"
)

// The formats that Open knows.
const (
	FormatCSV     = "csv"
	FormatFIX     = "fix"
	FormatLobster = "lobster"
	FormatNDJSON  = "ndjson"
)

// Options carry what the files don't. Account, Strategy, Ticker and Date are for
// LOBSTER, FIX is for FIX; rows of the other formats name their own, and nothing is added to
// what they say.
type Options struct {
	Name     string // base name of the file: for messages, and LOBSTER's naming convention
	Account  string
	Strategy string
	Ticker   string // empty: from Name
	Date     string // YYYY-MM-DD, in New York; empty: from Name
	FIX      fix.Options
	Mapping  *Mapping // of CSV; nil: the header has the names of fields
}

// Open reads r in the format of the given name. The sequence can be ranged over
// once; it ends after the first pair with an error, which is an I/O error.
func Open(format string, r io.Reader, o Options) (iter.Seq2[ingest.Item, error], error) {
	switch format {
	case FormatCSV:
		return CSV(r, o)
	case FormatFIX:
		return FIX(r, o), nil
	case FormatLobster:
		return Lobster(r, o)
	case FormatNDJSON:
		return NDJSON(r, o), nil
	default:
		return nil, domain.Rejectf(domain.CodeInvalid, "format", "%q is unknown; known are %s, %s, %s and %s",
			format, FormatCSV, FormatFIX, FormatLobster, FormatNDJSON)
	}
}

// items turns rows into items: next gives the rows while it is ok, understand
// tells what one means.
func items(next func() (row, bool, error), understand func(row) ingest.Item) iter.Seq2[ingest.Item, error] {
	return func(yield func(ingest.Item, error) bool) {
		for {
			r, ok, err := next()
			if err != nil {
				yield(ingest.Item{}, err)
			}
			if !ok {
				return
			}
			item := ingest.Item{Line: r.line, Raw: r.text, Err: r.err}
			if r.err == nil {
				item = understand(r)
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}
