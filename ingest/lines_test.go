package ingest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// cutReader gives its bytes in pieces of the given lengths, again and again.
type cutReader struct {
	rest []byte
	cuts []int
	n    int
}

func (c *cutReader) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest[:min(len(c.rest), c.cuts[c.n%len(c.cuts)])])
	c.n++
	c.rest = c.rest[n:]
	return n, nil
}

func allLines(t require.TestingT, in io.Reader) []ingest.Item {
	var all []ingest.Item
	for lines := ingest.NewLines(in); ; {
		items, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		require.NotEmpty(t, items)
		all = append(all, items...)
	}
}

// However a body is cut, its lines are those that ParseBody finds.
func TestLines_AnyCuttingGivesTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var body bytes.Buffer
		body.WriteString(rapid.SampledFrom([]string{"", "\ufeff", "\n", " \r\n"}).Draw(t, "start"))
		for i := range rapid.IntRange(0, 12).Draw(t, "lines") {
			switch rapid.IntRange(0, 5).Draw(t, "kind") {
			case 0:
				body.WriteString(rapid.StringMatching(`[ -~]{0,20}`).Draw(t, "noise"))
			case 1:
				fmt.Fprintf(&body, `{"event_type":"note","occurred_at":1,"pad":%q}`, strings.Repeat("x", rapid.SampledFrom([]int{0, 100, 30_000, 70_000}).Draw(t, "pad")))
			case 2:
			default:
				fmt.Fprintf(&body, `{"event_type":"note","occurred_at":%d}`, i)
			}
			body.WriteString(rapid.SampledFrom([]string{"\n", "\r\n", "\n\n", " \n"}).Draw(t, "end"))
		}
		if rapid.Bool().Draw(t, "last line without an end") {
			body.WriteString(`{"event_type":"note","occurred_at":7}`)
		}
		want, err := ingest.ParseBody(bytes.NewReader(body.Bytes()), ingest.FramingLines)
		require.NoError(t, err)
		small := 1
		if body.Len() > 10_000 {
			small = 100 // or it takes for ever
		}
		cuts := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(small, 9*small), rapid.IntRange(small, 100_000)), 1, 20).Draw(t, "cuts")
		got := allLines(t, &cutReader{rest: body.Bytes(), cuts: cuts})
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, want[i].Line, got[i].Line)
			require.Equal(t, want[i].Err == nil, got[i].Err == nil)
			if want[i].Err == nil || want[i].Err.Message != "the body is empty" { // white space is not kept
				require.Equal(t, strings.TrimSpace(string(want[i].Raw)), string(got[i].Raw))
			}
			if want[i].Event != nil {
				require.Equal(t, want[i].Event.OccurredAt, got[i].Event.OccurredAt)
			}
		}
	})
}

func TestLines_CutsWhatIsTooLong(t *testing.T) {
	t.Parallel()
	const long = 50 << 20
	event := `{"event_type":"note","occurred_at":1}` + "\n"
	for _, end := range []string{"\n" + event, ""} {
		body := io.MultiReader(strings.NewReader(event), strings.NewReader(strings.Repeat("x", long)), strings.NewReader(end))
		items := allLines(t, body)
		require.GreaterOrEqual(t, len(items), 2)
		assert.Nil(t, items[0].Err)
		assert.Equal(t, domain.CodeTooLarge, items[1].Err.Code)
		assert.Contains(t, items[1].Err.Message, fmt.Sprint(long))
		assert.True(t, items[1].Cut)
		assert.Len(t, items[1].Raw, ingest.MaxQuarantineRaw)
		assert.Equal(t, 2, items[1].Line)
		if end != "" {
			require.Len(t, items, 3)
			assert.Nil(t, items[2].Err)
			assert.Equal(t, 3, items[2].Line)
		}
	}
}

// Lines above 1 MiB that begin in the same way are kept apart, with their own size
// and digest; the same one is kept once.
func TestLines_TellsLongOnesApart(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	long := strings.Repeat("x", 2<<20)
	lines := []string{long + "a", long + "b", strings.Repeat(" ", 2<<20) + "{}", long + "a"}
	items := allLines(t, strings.NewReader(strings.Join(lines, "\n")))
	require.Len(t, items, len(lines))
	receipts := record(t, r, items...)
	assert.Equal(t, receipts[0].Stream, receipts[3].Stream)
	assert.Len(t, logged(t, store), 3)
	for i, receipt := range receipts {
		for kept, err := range store.Stream(t.Context(), receipt.Stream, 0) {
			require.NoError(t, err)
			event, err := kept.Event()
			require.NoError(t, err)
			var why struct {
				Bytes  int
				SHA256 string
			}
			require.NoError(t, json.Unmarshal(event.Data, &why))
			assert.Equal(t, len(lines[i]), why.Bytes)
			assert.Equal(t, fmt.Sprintf("%x", sha256.Sum256([]byte(lines[i]))), why.SHA256)
			assert.Equal(t, lines[i][:ingest.MaxQuarantineRaw], string(event.Raw))
		}
	}
}

func TestLines_ErrorInTheMiddleOfALine(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	lines := ingest.NewLines(io.MultiReader(strings.NewReader(`{"event_type":"note","occurred_at":1}`+"\n{\"event"), iotest.ErrReader(broken)))
	items, err := lines.Next()
	require.NoError(t, err)
	assert.Len(t, items, 1)
	_, err = lines.Next()
	require.ErrorIs(t, err, broken)
	assert.ErrorContains(t, err, "line 2")
}

// A line is given as soon as it has come, without waiting for more.
func TestLines_DoNotWaitForMore(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	defer in.Close()
	lines := ingest.NewLines(in)
	for i := range 3 {
		go func() { _, _ = io.WriteString(out, `{"event_type":"note","occurred_at":1}`+"\n") }()
		items, err := lines.Next()
		require.NoError(t, err)
		require.Len(t, items, 1)
		assert.Equal(t, i+1, items[0].Line)
	}
}
