package file_test

import (
	"errors"
	"io"
	"iter"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/file"
)

// collect reads a sequence that must not end in an I/O error.
func collect(t testing.TB, seq iter.Seq2[ingest.Item, error]) []ingest.Item {
	t.Helper()
	var items []ingest.Item
	for item, err := range seq {
		require.NoError(t, err)
		items = append(items, item)
	}
	return items
}

// requireSound checks what holds for every item of every reader.
func requireSound(t testing.TB, items []ingest.Item) {
	t.Helper()
	line := 0
	for _, item := range items {
		require.Greater(t, item.Line, line, "lines only go up")
		line = item.Line
		require.LessOrEqual(t, len(item.Raw), domain.MaxEventBytes+8)
		if item.Err != nil {
			require.Nil(t, item.Event)
			require.Equal(t, domain.ClassRejected, item.Err.Class)
			require.NotEmpty(t, item.Err.Code)
			continue
		}
		require.NotNil(t, item.Event)
		require.NotEmpty(t, item.Event.ID)
		requireAccepted(t, item.Event)
	}
}

// requireAccepted checks that the door takes the event and changes nothing.
func requireAccepted(t testing.TB, e *domain.Event) {
	t.Helper()
	said, err := e.Encode()
	require.NoError(t, err)
	if len(said) > domain.MaxEventBytes {
		return // the largest input grows: ids, links, times written out
	}
	heard, err := domain.Normalise(said)
	require.NoError(t, err, "%s", said)
	again, err := heard.Encode()
	require.NoError(t, err)
	require.Equal(t, string(said), string(again))
}

func TestOpen_Formats(t *testing.T) {
	options := file.Options{Name: "AAPL_2012-06-21_34200000_37800000_message_50.csv"}
	for format, content := range map[string]string{
		file.FormatLobster: "34200.5,1,7,10,5856000,1\n",
		file.FormatNDJSON:  `{"event_type":"order.accepted","order_id":"7","timestamp":1340285400.5}`,
		file.FormatCSV:     "event_type,order_id,occurred_at\norder.accepted,7,2012-06-21T13:30:00.5Z\n",
	} {
		t.Run(format, func(t *testing.T) {
			seq, err := file.Open(format, strings.NewReader(content), options)
			require.NoError(t, err)
			items := collect(t, seq)
			requireSound(t, items)
			require.Len(t, items, 1)
			require.Nil(t, items[0].Err)
			assert.Equal(t, "7", items[0].Event.OrderID)
			assert.Equal(t, "2012-06-21T13:30:00.5Z", items[0].Event.OccurredAt.Format("2006-01-02T15:04:05.999999999Z07:00"))
		})
	}
	t.Run("unknown", func(t *testing.T) {
		_, err := file.Open("parquet", strings.NewReader(""), options)
		require.EqualError(t, err, `format: "parquet" is unknown; known are csv, fix, lobster and ndjson`)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
	})
}

func TestReaders_Lines(t *testing.T) {
	accepted := func(order string) string {
		return `{"event_type":"order.accepted","order_id":"` + order + `","timestamp":1}`
	}
	long := `{"x":"` + strings.Repeat("y", domain.MaxEventBytes) + `"}`
	// Exactly as much as the door takes, in spite of BOM and CRLF.
	full := `{"event_type":"order.accepted","order_id":"full","timestamp":1,"pad":"`
	full += strings.Repeat("y", domain.MaxEventBytes-len(full)-2) + `"}`

	for _, test := range []struct {
		name, content string
		want          map[int]string // order by line
	}{
		{"no end on the last line", accepted("a") + "\n" + accepted("b"), map[int]string{1: "a", 2: "b"}},
		{"CRLF", accepted("a") + "\r\n" + accepted("b") + "\r\n", map[int]string{1: "a", 2: "b"}},
		{"BOM", "\xEF\xBB\xBF" + accepted("a") + "\n", map[int]string{1: "a"}},
		{"blank lines count", "\n\r\n" + accepted("a") + "\n \t\n" + accepted("b") + "\n\n", map[int]string{3: "a", 5: "b"}},
		{"nothing", "", map[int]string{}},
		{"only blank lines", "\n\n \n", map[int]string{}},
		{"bad lines between", accepted("a") + "\nnope\n" + accepted("b") + "\n[]\n", map[int]string{1: "a", 2: "malformed", 3: "b", 4: "wrong_type"}},
		{"a BOM later on is no white space", accepted("a") + "\n\xEF\xBB\xBF" + accepted("b"), map[int]string{1: "a", 2: "malformed"}},
		{"too long", accepted("a") + "\n" + long + "\n" + accepted("b"), map[int]string{1: "a", 2: "too_large", 3: "b"}},
		{"too long at the end", long, map[int]string{1: "too_large"}},
		{"as long as can be", "\xEF\xBB\xBF" + full + "\r\n" + accepted("b"), map[int]string{1: "full", 2: "b"}},
		{"one byte longer", full[:len(full)-2] + `y"}` + "\n" + accepted("b"), map[int]string{1: "too_large", 2: "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, r := range []io.Reader{
				strings.NewReader(test.content),
				iotest.DataErrReader(strings.NewReader(test.content)),
				iotest.HalfReader(strings.NewReader(test.content)),
			} {
				items := collect(t, file.NDJSON(r, file.Options{}))
				requireSound(t, items)
				got := map[int]string{}
				for _, item := range items {
					if item.Err != nil {
						got[item.Line] = item.Err.Code
						continue
					}
					got[item.Line] = item.Event.OrderID
				}
				assert.Equal(t, test.want, got)
			}
		})
	}
}

func TestReaders_TooLongKeepsOnlyAPrefix(t *testing.T) {
	line := strings.Repeat("x", 3*domain.MaxEventBytes)
	items := collect(t, file.NDJSON(strings.NewReader(line+"\n"), file.Options{}))
	require.Len(t, items, 1)
	assert.Greater(t, len(items[0].Raw), domain.MaxEventBytes, "so that the quarantine knows it for a part")
	assert.Less(t, len(items[0].Raw), domain.MaxEventBytes+16)
	assert.Equal(t, "line has 1572865 bytes, at most 524288 are taken", items[0].Err.Message)
	assert.True(t, strings.HasPrefix(line, string(items[0].Raw)))
}

func TestReaders_RawIsTheRowAndStays(t *testing.T) {
	const first, second = "34200.5,1,7,10,5856000,1", "34200.6,9,7,10,5856000,1"
	seq, err := file.Lobster(strings.NewReader(first+"\r\n"+second+"\r\n"), file.Options{Ticker: "AAPL", Date: "2012-06-21"})
	require.NoError(t, err)
	items := collect(t, seq)
	require.Len(t, items, 2)
	assert.Equal(t, first, string(items[0].Raw))
	assert.Equal(t, second, string(items[1].Raw))
}

func TestReaders_IOErrorEndsTheSequence(t *testing.T) {
	broken := errors.New("disk on fire")
	content := `{"event_type":"order.accepted","order_id":"a","timestamp":1}` + "\n" + `{"event_type":"order.acc`
	r := io.MultiReader(strings.NewReader(content), iotest.ErrReader(broken))
	var items []ingest.Item
	var got error
	for item, err := range file.NDJSON(r, file.Options{Name: "day.ndjson"}) {
		require.NoError(t, got, "nothing may follow an error")
		if err != nil {
			got = err
			continue
		}
		items = append(items, item)
	}
	require.ErrorIs(t, got, broken)
	require.EqualError(t, got, "reading day.ndjson after line 1: disk on fire")
	assert.Len(t, items, 1, "the line that was cut is not an item")
}

func TestReaders_StopWhenAsked(t *testing.T) {
	r := strings.NewReader(strings.Repeat("nope\n", 100_000))
	n := 0
	for range file.NDJSON(r, file.Options{}) {
		if n++; n == 3 {
			break
		}
	}
	assert.Equal(t, 3, n)
	assert.Positive(t, r.Len(), "the rest stays unread")
}

// endless gives bytes without a single line end.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = 'x'
	}
	e.left -= n
	return n, nil
}

func TestReaders_MemoryIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	items := collect(t, file.NDJSON(&endless{left: 64 << 20}, file.Options{}))
	runtime.ReadMemStats(&after)
	require.Len(t, items, 1)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20), "of 64 MiB in one line")
}
