package file

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/fix"
)

// FIX reads a log of FIX messages, as fix.Log finds them: what a session says about
// orders, and the numbers that are missing in it. An item's line is that of its
// message. The sequence can be ranged over once.
func FIX(r io.Reader, o Options) iter.Seq2[ingest.Item, error] {
	return func(yield func(ingest.Item, error) bool) {
		o.FIX.Gaps = true
		log, mapper := fix.NewLog(r, o.Name), fix.NewMapper(o.FIX)
		for {
			piece, err := log.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			var items []ingest.Item
			if err == nil {
				// Who wants to stop ends the sequence; only a store is asked here.
				items, err = mapper.Items(context.Background(), piece, time.Time{})
			}
			if err != nil {
				yield(ingest.Item{}, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}
