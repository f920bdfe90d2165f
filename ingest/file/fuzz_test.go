package file_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
)

// fuzz checks that a reader answers anything soundly, the same way twice, and
// loses no line that holds something.
func fuzz(f *testing.F, format string, multiline bool) {
	f.Fuzz(func(t *testing.T, content []byte) {
		read := func() []ingest.Item {
			seq, err := file.Open(format, bytes.NewReader(content), apple)
			if err != nil {
				require.Equal(t, file.FormatCSV, format, "only CSV can fail before the first row")
				return nil
			}
			return collect(t, seq)
		}
		items := read()
		requireSound(t, items)
		require.Equal(t, items, read())
		if multiline {
			return
		}
		filled := 0
		for line := range strings.Lines(strings.TrimPrefix(string(content), "\xEF\xBB\xBF")) {
			if strings.TrimSpace(line) != "" {
				filled++
			}
		}
		require.Len(t, items, filled)
	})
}

func FuzzLobster(f *testing.F) {
	f.Add([]byte("34200.004241476,1,16113575,18,5853300,1\r\n34201,4,16113575,18,5853300,1\r\n"))
	f.Add([]byte("1,1,7,100,5853300,1\n2,2,7,30,5853300,1\n\n3,3,7,30,5853300,1\n"))
	f.Add([]byte("3,7,0,0,-1,-1\n4,5,0,100,5856150,-1\n34200.0123456789,1,7,10,5856000,1"))
	fuzz(f, file.FormatLobster, false)
}

func FuzzNDJSON(f *testing.F) {
	f.Add([]byte(`{"event_type":"order_filled","timestamp":"2026-03-02T14:30:08.456Z","order_id":"o","fill_price":412.44}` + "\n[]\n{"))
	f.Add([]byte("\xEF\xBB\xBF" + `{"timestamp":1772461805.25,"event_type":"execution","entity_id":"o","details":{"slippage":0.0071}}` + "\r\n\r\n"))
	fuzz(f, file.FormatNDJSON, false)
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("event_type,timestamp,order_id,data.price\norder_accepted,1,o,1.5\n,,,\n"))
	f.Add([]byte("event_id,event_type,previous.shares,timestamp,current.shares\r\ne,position_changed,0,\"1\",\"5\"\r\n"))
	f.Add([]byte("event_type,timestamp,data.note\norder_accepted,1,\"a\nb\"\norder_accepted,1,\"stray\norder_accepted,1,x"))
	fuzz(f, file.FormatCSV, true)
}
