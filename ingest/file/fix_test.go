package file_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
	"github.com/tradetrail/tradetrail/ingest/fix"
	"github.com/tradetrail/tradetrail/ingest/fix/fixtest"
)

func fixLog(t testing.TB, o file.Options, text string) []ingest.Item {
	t.Helper()
	seq, err := file.Open(file.FormatFIX, iotest.HalfReader(strings.NewReader(text)), o)
	require.NoError(t, err)
	return collect(t, seq)
}

func TestFIX_ALogOfBothSides(t *testing.T) {
	var log bytes.Buffer
	for n, message := range []string{
		"35=D|49=FIRM|56=BROKER|11=A|55=MSFT|54=1|38=100|60=20260302-14:30:00",
		"35=8|11=A|37=V|17=1|150=0|39=0",
		"35=0|49=FIRM|56=BROKER|34=2",
		"35=8|11=A|37=V|17=2|150=F|39=2|32=100|31=9|34=5",
	} {
		fmt.Fprintf(&log, "2026-03-02 14:30:00.000 %s\n", fixtest.Bars(fixtest.Message(n+1, message)))
	}
	log.WriteString("8=FIX.4.4|9=5|35=8|10=000|\n")
	items := fixLog(t, file.Options{FIX: fix.Options{CompID: "FIRM", OrderPrefix: "B-"}}, log.String())
	var got []string
	for _, item := range items {
		if item.Err != nil {
			got = append(got, fmt.Sprint(item.Line, " ", item.Err.Field))
			continue
		}
		got = append(got, fmt.Sprint(item.Line, " ", item.Event.Type, " ", item.Event.OrderID))
	}
	assert.Equal(t, []string{
		"1 order.routed B-A", "2 order.accepted B-A", "4 session.gap_detected ", "4 order.filled B-A", "5 tag 10",
	}, got)
	assert.Equal(t, domain.ClassRejected, items[4].Err.Class)
	assert.Equal(t, items, fixLog(t, file.Options{FIX: fix.Options{CompID: "FIRM", OrderPrefix: "B-"}}, log.String()), "the same file, the same ids")
}

func FuzzFIX(f *testing.F) {
	f.Add([]byte("IN " + string(fixtest.Bars(fixtest.Message(1, "35=8|11=A|37=V|17=1|150=0|39=0"))) + "\n8=FIX.4.4|9=5|"))
	f.Fuzz(func(t *testing.T, content []byte) {
		read := func() []ingest.Item {
			seq, err := file.Open(file.FormatFIX, bytes.NewReader(content), file.Options{})
			require.NoError(t, err)
			return collect(t, seq)
		}
		items := read()
		require.Equal(t, items, read())
		for _, item := range items {
			require.NotEqual(t, item.Event == nil, item.Err == nil)
			require.Positive(t, item.Line)
		}
	})
}
