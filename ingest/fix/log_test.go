package fix_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/fix"
	"github.com/tradetrail/tradetrail/ingest/fix/fixtest"
)

func pieces(t require.TestingT, in io.Reader) []fix.Piece {
	var out []fix.Piece
	for log := fix.NewLog(in, "test"); ; {
		p, err := log.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		out = append(out, p)
	}
}

func TestLog_FindsMessages(t *testing.T) {
	a, b, c := fixtest.Message(1, fill), fixtest.Message(2, "35=0"), fixtest.Bars(fixtest.Message(3, "35=5|58=FIX is over"))
	for name, tt := range map[string]struct {
		text  string
		lines []int
	}{
		"one a line":         {string(a) + "\n" + string(b) + "\r\n\n" + string(c) + "\n", []int{1, 2, 4}},
		"no last line's end": {string(a) + "\n" + string(b) + "\n" + string(c), []int{1, 2, 3}},
		"behind prefixes":    {"20260302-14:30:00 IN  " + string(a) + "\n14:30 <- " + string(b) + "\n[out] " + string(c) + "\n", []int{1, 2, 3}},
		"in one line":        {string(a) + string(b) + string(c), []int{1, 1, 1}},
		"between other words": {
			"starting\nsession created\n" + string(a) + "\nconnected to 10.0.0.1:5001\n\n" + string(b) + "\n" + string(c) + "\nstopped", []int{3, 6, 7},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(tt.text), iotest.OneByteReader(strings.NewReader(tt.text)), iotest.DataErrReader(strings.NewReader(tt.text))} {
				got := pieces(t, in)
				require.Len(t, got, 3)
				for i, want := range [][]byte{a, b, c} {
					assert.Equal(t, string(want), string(got[i].Raw))
					assert.Equal(t, tt.lines[i], got[i].Line)
					assert.Nil(t, got[i].Err)
				}
			}
		})
	}
}

// What is broken is given as a whole, and takes nothing of its neighbours along.
func TestLog_BrokenMessagesBetweenGoodOnes(t *testing.T) {
	good := fixtest.Message(1, fill)
	for name, broken := range map[string]string{
		"cut off":            string(good[:60]),
		"wrong length":       strings.Replace(string(good), "\x019=", "\x019=1", 1),
		"length too long":    strings.Replace(string(good), "\x019=", "\x019=99", 1),
		"length beyond all":  strings.Replace(string(good), "\x019=", "\x019=99999", 1),
		"negative length":    strings.Replace(string(good), "\x019=", "\x019=-", 1),
		"no length":          "8=FIX.4.4\x0135=8\x0110=000\x01",
		"only the beginning": "8=FIX.4.4\x01",
		"without beginning":  "34=7\x0135=8\x0111=C\x0110=000\x01",
		"wrong checksum":     string(good[:len(good)-4]) + "000\x01",
	} {
		t.Run(name, func(t *testing.T) {
			for _, separator := range []string{"\n", "\r\n"} {
				got := pieces(t, iotest.HalfReader(strings.NewReader(string(good)+separator+broken+separator+string(good)+separator)))
				require.Len(t, got, 3)
				assert.Equal(t, string(good), string(got[0].Raw))
				assert.Equal(t, broken, string(got[1].Raw))
				assert.Equal(t, string(good), string(got[2].Raw))
				assert.Equal(t, []int{1, 2, 3}, []int{got[0].Line, got[1].Line, got[2].Line})
				if got[1].Err == nil {
					_, err := fix.Parse(got[1].Raw)
					require.NotNil(t, err)
				}
			}
		})
	}
}

func TestLog_LinesWithoutBounds(t *testing.T) {
	good := fixtest.Message(1, fill)
	endless := "8=FIX.4.4\x019=100\x0135=8\x0158=" + strings.Repeat("x", 50<<20)
	got := pieces(t, io.MultiReader(bytes.NewReader(good), strings.NewReader(endless+"\n"), bytes.NewReader(good)))
	require.Len(t, got, 3)
	assert.Equal(t, domain.CodeTooLarge, got[1].Err.Code)
	assert.True(t, got[1].Cut)
	assert.Len(t, got[1].Raw, fix.MaxMessageBytes)
	assert.Equal(t, string(good), string(got[2].Raw))
	assert.Equal(t, 2, got[2].Line)

	got = pieces(t, io.MultiReader(strings.NewReader(strings.Repeat("no message ", 5<<20)), bytes.NewReader(good)))
	require.Len(t, got, 1, "a log's own words, however long")
}

func TestLog_ReadErrors(t *testing.T) {
	good := fixtest.Message(1, fill)
	log := fix.NewLog(io.MultiReader(bytes.NewReader(good), strings.NewReader("\n"), bytes.NewReader(good[:40]), iotest.ErrReader(io.ErrUnexpectedEOF)), "orders.log")
	p, err := log.Next()
	require.NoError(t, err)
	assert.Equal(t, good, p.Raw)
	_, err = log.Next()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.ErrorContains(t, err, "orders.log after line 2")
}

// read is everything that a log means.
func read(t require.TestingT, in io.Reader) []ingest.Item {
	mapper := fix.NewMapper(fix.Options{Gaps: true})
	var out []ingest.Item
	for _, p := range pieces(t, in) {
		more, err := mapper.Items(nil, p, time.Time{}) //nolint:staticcheck // nobody is asked
		require.NoError(t, err)
		out = append(out, more...)
	}
	return out
}

// chunks gives a text in the pieces that it was cut into.
type chunks struct{ left []string }

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.left[0])
	if c.left[0] = c.left[0][n:]; c.left[0] == "" {
		c.left = c.left[1:]
	}
	return n, nil
}

// However a log comes in, and however it is laid out, it means the same.
func TestLog_AnySplitIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wire, shown strings.Builder
		number := 0
		for range rapid.IntRange(1, 12).Draw(t, "messages") {
			number += rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "step")
			raw := fixtest.Message(number, rapid.SampledFrom([]string{
				fill, "35=0", "35=G|11=C-2|41=C-1", "35=8|11=C-2|150=5|39=0|41=C-1", "35=8|11=C-9|150=Z", "35=8|11=C|150=F", "35=4|123=Y|36=9",
			}).Draw(t, "message"))
			if rapid.IntRange(0, 5).Draw(t, "broken?") == 0 {
				raw[len(raw)-2] ^= 1
			}
			wire.Write(raw)
			shown.WriteString(rapid.SampledFrom([]string{"", "\n", "\r\n", "\nIN ", "\n2026-03-02 14:30:00.123 OUT ", "\nreconnecting\n"}).Draw(t, "between"))
			if rapid.Bool().Draw(t, "bars?") {
				raw = fixtest.Bars(raw)
			}
			shown.Write(raw)
		}
		want := read(t, strings.NewReader(wire.String()))
		text := shown.String()
		var cut []string
		for text != "" {
			n := rapid.IntRange(1, len(text)).Draw(t, "cut")
			cut = append(cut, text[:n])
			text = text[n:]
		}
		got := read(t, &chunks{cut})
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, want[i].Event, got[i].Event)
			require.Equal(t, want[i].Err, got[i].Err)
		}
	})
}

func TestGaps_InALog(t *testing.T) {
	type seen struct {
		event    domain.EventType
		from, to int
	}
	message := func(n int, fields string) []byte { return fixtest.Message(n, fields) }
	dup := "|43=Y|122=20260302-14:30:00.000"
	for name, tt := range map[string]struct {
		log  [][]byte
		want []seen
	}{
		"none":            {[][]byte{message(5, "35=0"), message(6, "35=0"), message(7, "35=0")}, nil},
		"open":            {[][]byte{message(1, "35=0"), message(5, "35=0")}, []seen{{domain.SessionGapDetected, 2, 4}}},
		"filled by parts": {[][]byte{message(1, "35=0"), message(5, "35=0"), message(3, "35=0"+dup), message(2, "35=0"+dup), message(4, "35=0"+dup)}, []seen{{domain.SessionGapDetected, 2, 4}, {domain.SessionGapFilled, 2, 4}}},
		"filled by a reset with gap fill": {
			[][]byte{message(1, "35=0"), message(5, "35=0"), message(2, "35=0"+dup), message(3, "35=4|123=Y|36=5"+dup)},
			[]seen{{domain.SessionGapDetected, 2, 4}, {domain.SessionGapFilled, 2, 4}, {domain.SessionSequenceReset, 0, 0}},
		},
		"two at once": {
			[][]byte{message(1, "35=0"), message(3, "35=0"), message(6, "35=0"), message(4, "35=0"+dup), message(5, "35=0"+dup), message(2, "35=0"+dup)},
			[]seen{{domain.SessionGapDetected, 2, 2}, {domain.SessionGapDetected, 4, 5}, {domain.SessionGapFilled, 4, 5}, {domain.SessionGapFilled, 2, 2}},
		},
		"each side counts for itself": {[][]byte{message(1, "35=0"), message(9, "35=0|49=FIRM|56=BROKER"), message(2, "35=0")}, nil},
		"numbers begin again": {
			[][]byte{message(8, "35=0"), message(1, "35=A|98=0|108=30|141=Y"), message(2, "35=0")},
			[]seen{{domain.SessionSequenceReset, 9, 1}, {domain.SessionLogon, 0, 0}},
		},
		"a reset, then on": {
			[][]byte{message(1, "35=0"), message(5, "35=0"), message(6, "35=4|36=20"), message(20, "35=0"), message(22, "35=0")},
			[]seen{{domain.SessionGapDetected, 2, 4}, {domain.SessionSequenceReset, 0, 0}, {domain.SessionGapDetected, 21, 21}},
		},
		"a message that is refused was there": {[][]byte{message(1, "35=0"), message(2, "35=8"), message(3, "35=0")}, []seen{{"", 0, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []seen
			for _, item := range read(t, bytes.NewReader(bytes.Join(tt.log, []byte("\n")))) {
				s := seen{}
				if item.Event != nil {
					s.event = item.Event.Type
					data := dataOf(t, item.Event)
					for _, at := range []struct {
						name   string
						target *int
					}{{"from_seq_num", &s.from}, {"to_seq_num", &s.to}, {"expected_seq_num", &s.from}} {
						if n, ok := data[at.name].(float64); ok {
							*at.target = int(n)
						}
					}
					if n, ok := data["msg_seq_num"].(float64); ok && s.from != 0 {
						s.to = int(n)
					}
				}
				got = append(got, s)
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func FuzzLog(f *testing.F) {
	f.Add([]byte("14:30 IN " + string(fixtest.Message(1, fill)) + "\n" + string(fixtest.Bars(fixtest.Message(3, fill)))))
	f.Add([]byte("8=FIX.4.4\x019=99\x018=FIX.4.4|9=5|35=0|10=161|\n35=8|34=2|"))
	f.Fuzz(func(t *testing.T, text []byte) {
		whole := pieces(t, bytes.NewReader(text))
		require.Equal(t, whole, pieces(t, iotest.HalfReader(bytes.NewReader(text))))
		for _, item := range read(t, bytes.NewReader(text)) {
			requireSound(t, item)
		}
	})
}
