package file

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"iter"
	"strconv"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// NDJSON reads one JSON object a line, each in any of the three input shapes.
// The sequence can be ranged over once.
func NDJSON(r io.Reader, o Options) iter.Seq2[ingest.Item, error] {
	return items(newLines(r, o.Name).next, func(r row) ingest.Item {
		return understand(FormatNDJSON, r, r.text)
	})
}

// understand makes an item of the JSON object that a row stands for, with an id
// from its content if it carries none. The line number keeps two equal rows of
// one file apart, and does so without remembering rows; equal rows on the same
// line of two files are the same event.
func understand(format string, r row, object []byte) ingest.Item {
	item := ingest.Understand(r.line, object)
	item.Raw = r.text
	if item.Event != nil && item.Event.ID == "" {
		sum := sha256.Sum256(object)
		item.Event.ID = domain.DeriveID(format, hex.EncodeToString(sum[:]), strconv.Itoa(r.line))
	}
	return item
}
