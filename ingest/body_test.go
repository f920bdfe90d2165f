package ingest_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// line is a valid event as one line.
func line(id string) string {
	return `{"event_id":"` + id + `","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o1"}`
}

// pretty is the same over several lines.
func pretty(id string) string { return strings.ReplaceAll(line(id), ",", ",\n  ") }

// shown is an item in short: its line, and its id or what is wrong.
func shown(items []ingest.Item) []string {
	out := make([]string, len(items))
	for i, item := range items {
		switch {
		case item.Err == nil:
			out[i] = fmt.Sprintf("%d %s", item.Line, item.Event.ID)
		case item.Err.Field != "":
			out[i] = fmt.Sprintf("%d %s %s", item.Line, item.Err.Code, item.Err.Field)
		default:
			out[i] = fmt.Sprintf("%d %s", item.Line, item.Err.Code)
		}
	}
	return out
}

func TestParseBody_Framings(t *testing.T) {
	t.Parallel()
	any3 := []ingest.Framing{ingest.FramingGuess, ingest.FramingJSON, ingest.FramingLines}
	notLines := []ingest.Framing{ingest.FramingGuess, ingest.FramingJSON}
	onlyLines := []ingest.Framing{ingest.FramingLines}
	nan := `{"event_id":"n","event_type":"fill","occurred_at":"2026-03-02T14:30:00Z","order_id":"o1","data":{"price":NaN}}`
	for _, tc := range []struct {
		name     string
		body     string
		framings []ingest.Framing
		want     []string
	}{
		{"one object", line("a"), any3, []string{"1 a"}},
		{"one object and a newline", line("a") + "\n", any3, []string{"1 a"}},
		{"lines", line("a") + "\n" + line("b") + "\n" + line("c"), any3, []string{"1 a", "2 b", "3 c"}},
		{"CRLF", line("a") + "\r\n" + line("b") + "\r\n", any3, []string{"1 a", "2 b"}},
		{"empty lines count", "\n\n" + line("a") + "\n \n\t\n" + line("b") + "\n\n", any3, []string{"3 a", "6 b"}},
		{"byte order mark", "\ufeff" + line("a") + "\n" + line("b"), any3, []string{"1 a", "2 b"}},
		{"byte order mark before an array", "\ufeff[" + line("a") + "]", notLines, []string{"1 a"}},
		{"pretty-printed", "\n" + pretty("a") + "\n", notLines, []string{"2 a"}},
		{"pretty-printed, several", pretty("a") + "\n" + pretty("b"), notLines, []string{"1 a", "5 b"}},
		{"one after the other in a line", line("a") + line("b") + " " + line("c"), notLines, []string{"1 a", "1 b", "1 c"}},
		{"array", "[" + line("a") + ",\n" + line("b") + "\n,\n\n" + line("c") + "]\n", notLines, []string{"1 a", "2 b", "5 c"}},
		{"array, pretty-printed", "[\n" + pretty("a") + ",\n" + pretty("b") + "\n]", notLines, []string{"2 a", "6 b"}},
		{"broken line in the middle", line("a") + "\n" + `{"event_type":` + "\n" + line("c"), any3, []string{"1 a", "2 malformed event_type", "3 c"}},
		{"broken first line", `{"event_type":"x` + "\n" + line("b"), any3, []string{"1 malformed event_type", "2 b"}},
		{"broken last line", line("a") + "\n" + `{"event_id":"b`, any3, []string{"1 a", "2 malformed event_id"}},
		{"NaN in a line", line("a") + "\n" + nan + "\n" + line("c"), any3, []string{"1 a", "2 malformed data.price", "3 c"}},
		{"NaN in an array", "[" + line("a") + ",\n" + nan + ",\n" + line("c") + "]", notLines, []string{"1 a", "2 malformed data.price", "3 c"}},
		{"NaN, pretty-printed", pretty("a") + "\n" + strings.ReplaceAll(nan, ",", ",\n  ") + "\n" + pretty("c"), notLines, []string{"1 a", "5 malformed data.price", "10 c"}},
		{"invalid UTF-8 in a line", line("a") + "\n" + line("b\xff") + "\n" + line("c"), any3, []string{"1 a", "2 malformed event_id", "3 c"}},
		{"invalid UTF-8 in an array", "[" + line("a") + "," + line("b\xff") + "," + line("c") + "]", notLines, []string{"1 a", "1 malformed event_id", "1 c"}},
		{"not objects", "1\n\"two\"\nnull\n[3]\n" + line("e"), onlyLines, []string{"1 wrong_type", "2 wrong_type", "3 wrong_type", "4 wrong_type", "5 e"}},
		{"not objects in an array", "[1,\n\"two\",[3]," + line("e") + "]", notLines, []string{"1 wrong_type", "2 wrong_type", "2 wrong_type", "2 e"}},
		{"words", "hello\nworld\n", onlyLines, []string{"1 malformed", "2 malformed"}},
		{"words, not lines", "hello\nworld\n", notLines, []string{"1 malformed"}},
		{"array cut off", "[" + line("a") + ",\n" + `{"event_id":"b",`, notLines, []string{"1 a", "2 malformed"}},
		{"array without its end", "[" + line("a") + ",\n" + line("b") + "\n", notLines, []string{"1 a", "2 malformed"}},
		{"array with a hole", "[" + line("a") + ",,\n" + line("c") + "]", notLines, []string{"1 a", "1 malformed"}},
		{"array with a comma too many", "[" + line("a") + ",\n]", notLines, []string{"1 a", "2 malformed"}},
		{"array without a comma", "[" + line("a") + "\n" + line("b") + "]", notLines, []string{"1 malformed"}},
		{"behind the array", "[" + line("a") + "]\ngarbage", notLines, []string{"1 a", "2 malformed"}},
		{"empty array", " [ ] ", notLines, []string{"1 missing"}},
		{"only a bracket", "[", notLines, []string{"1 malformed"}},
		{"behind the empty array", "[]\n" + line("a"), notLines, []string{"1 missing", "2 malformed"}},
		{"empty", "", any3, []string{"1 malformed"}},
		{"white space", " \r\n\t\n", any3, []string{"1 malformed"}},
		{"only a byte order mark", "\ufeff", any3, []string{"1 malformed"}},
		{"nested too deep", "[" + strings.Repeat("[", 20_000), notLines, []string{"1 malformed"}},
		{"element nested too deep", `[{"event_id":"a","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}," + line("b") + "]", notLines, []string{"1 too_large x" + strings.Repeat(".0", 31), "1 b"}},
		{"names twice", `[{"event_id":"a","event_id":"b"},` + line("b") + "]", notLines, []string{"1 malformed event_id", "1 b"}},
		{"a long id", line(strings.Repeat("i", 10<<10)) + "\n" + line("b"), any3, []string{"1 too_large event_id", "2 b"}},
		{"an empty id", line("") + "\n" + line("b"), any3, []string{"1 invalid event_id", "2 b"}},
		{"no type", `{"event_id":"a"}` + "\n" + line("b"), any3, []string{"1 missing event_type", "2 b"}},
	} {
		for _, framing := range tc.framings {
			t.Run(fmt.Sprint(tc.name, "/", framing), func(t *testing.T) {
				t.Parallel()
				items, err := ingest.ParseBody(iotest.OneByteReader(strings.NewReader(tc.body)), framing)
				require.NoError(t, err)
				assert.Equal(t, tc.want, shown(items))
				accounted(t, []byte(tc.body), items, framing)
			})
		}
	}
}

// accounted holds what ParseBody promises of any body: items in order, which do
// not overlap, each on its line, and nothing but white space and an array's own
// punctuation between them.
func accounted(t *testing.T, body []byte, items []ingest.Item, framing ingest.Framing) {
	t.Helper()
	require.NotEmpty(t, items)
	text := bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\ufeff")), " \t\r\n")
	between := " \t\r\n"
	if len(text) > 0 && text[0] == '[' && framing != ingest.FramingLines {
		between += "[,]"
	}
	at := len(body) - len(text)
	if len(text) == 0 {
		at = 0
	}
	line := 1 + bytes.Count(body[:at], []byte("\n"))
	// Without testify: some bodies have many items.
	for i, item := range items {
		start := bytes.Index(body[at:], item.Raw)
		switch {
		case (item.Event == nil) == (item.Err == nil):
			t.Fatalf("item %d is neither understood nor refused", i)
		case start < 0:
			t.Fatalf("item %d, %.80q, does not come after the one before", i, item.Raw)
		case len(bytes.Trim(body[at:at+start], between)) > 0:
			t.Fatalf("%.80q before item %d is left out", body[at:at+start], i)
		}
		line += bytes.Count(body[at:at+start], []byte("\n"))
		if len(bytes.TrimSpace(item.Raw)) > 0 && line != item.Line {
			t.Fatalf("item %d is on line %d, not %d", i, line, item.Line)
		}
		line += bytes.Count(item.Raw, []byte("\n"))
		at += start + len(item.Raw)
	}
	require.Empty(t, bytes.Trim(body[at:], between), "left out at the end")
}

func FuzzParseBody(f *testing.F) {
	for _, body := range []string{
		line("a"), line("a") + "\n" + line("b"), "[" + line("a") + "," + line("b") + "]", pretty("a"),
		"", "[", "[]", "[1,2", `{"a":"\"}{`, "\ufeff{}", "{}\r\n\r\n{}", "{\n{\n{", "[{},,{}]", "[{\"a\":NaN},{}]]", `{"a":"` + "\xff" + `"}`,
	} {
		for framing := range 3 {
			f.Add([]byte(body), framing)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, framing int) {
		how := ingest.Framing(((framing % 3) + 3) % 3)
		items, err := ingest.ParseBody(bytes.NewReader(body), how)
		require.NoError(t, err)
		accounted(t, body, items, how)
		if how != ingest.FramingLines {
			return
		}
		lines := 0
		for l := range bytes.SplitSeq(bytes.TrimPrefix(body, []byte("\ufeff")), []byte("\n")) {
			if len(bytes.Trim(l, " \t\r\n")) > 0 {
				lines++
			}
		}
		require.Len(t, items, max(lines, 1), "one item a line")
	})
}

func TestParseBody_TooLong(t *testing.T) {
	t.Parallel()
	event := line("a") + "\n"
	for _, tc := range []struct {
		name    string
		body    string
		framing ingest.Framing
	}{
		// Few items, so that it is the bytes that count.
		{"lines", strings.Repeat(line("a")+strings.Repeat(" ", 64<<10)+"\n", 320), ingest.FramingLines},
		{"lines, called JSON", strings.Repeat(line("a")+strings.Repeat(" ", 64<<10)+"\n", 320), ingest.FramingJSON},
		{"array", "[" + strings.Repeat(line("a")+strings.Repeat(" ", 64<<10)+",\n", 320) + line("a") + "]", ingest.FramingJSON},
		{"object", `{"a":"` + strings.Repeat("x", 20<<20) + `"}`, ingest.FramingJSON},
		{"one line", `{"a":"` + strings.Repeat("x", 20<<20) + `"}`, ingest.FramingLines},
		{"white space", strings.Repeat(" ", 20<<20), ingest.FramingGuess},
		{"a newline at the limit", line("a") + strings.Repeat(" ", ingest.MaxBodyBytes-len(line("a"))) + "\n" + line("b"), ingest.FramingLines},
		{"a newline before the limit", line("a") + strings.Repeat(" ", ingest.MaxBodyBytes-len(line("a"))-1) + "\n" + line("b"), ingest.FramingLines},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			items, err := ingest.ParseBody(strings.NewReader(tc.body), tc.framing)
			require.NoError(t, err)
			last := items[len(items)-1]
			require.NotNil(t, last.Err, "the end of a body that was cut is never silent")
			assert.Equal(t, domain.CodeTooLarge, last.Err.Code)
			for _, item := range items[:len(items)-1] {
				require.Nil(t, item.Err)
			}
			accounted(t, []byte(tc.body[:ingest.MaxBodyBytes]), items, tc.framing)
		})
	}
	t.Run("just not too long", func(t *testing.T) {
		t.Parallel()
		body := strings.Repeat(" ", ingest.MaxBodyBytes-len(event)) + event
		items, err := ingest.ParseBody(strings.NewReader(body), ingest.FramingJSON)
		require.NoError(t, err)
		assert.Equal(t, []string{"1 a"}, shown(items))
	})
	t.Run("too many events", func(t *testing.T) {
		t.Parallel()
		for _, tc := range []struct{ body, want string }{
			{strings.Repeat("{}\n", ingest.MaxBodyEvents+5), fmt.Sprint(ingest.MaxBodyEvents+1, " too_large")},
			{"[" + strings.Repeat("{},\n", ingest.MaxBodyEvents+5) + "{}]", fmt.Sprint(ingest.MaxBodyEvents+1, " too_large")},
			{strings.Repeat("{\n", ingest.MaxBodyEvents+5), fmt.Sprint(ingest.MaxBodyEvents+1, " too_large")},
		} {
			items, err := ingest.ParseBody(strings.NewReader(tc.body), ingest.FramingGuess)
			require.NoError(t, err)
			require.Len(t, items, ingest.MaxBodyEvents+1)
			assert.Equal(t, tc.want, shown(items[ingest.MaxBodyEvents:])[0])
			accounted(t, []byte(tc.body), items, ingest.FramingGuess)
		}
	})
}

func TestParseBody_ReadingFails(t *testing.T) {
	t.Parallel()
	broken := io.MultiReader(strings.NewReader(line("a")+"\n"), iotest.ErrReader(io.ErrUnexpectedEOF))
	items, err := ingest.ParseBody(broken, ingest.FramingLines)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Empty(t, items, "half a body is none: its last line may be half an event")
}
