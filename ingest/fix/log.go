package fix

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/tradetrail/tradetrail/domain"
)

// Log finds the messages in a log: one a line or one behind the other, with
// anything before them (a time, a direction) and with SOH or bars in them. It holds
// one message at a time, and never more than MaxMessageBytes of it.
type Log struct {
	in   io.Reader
	name string
	room []byte // what buf is a part of
	buf  []byte // what was read and not yet given
	err  error  // of in; io.EOF at the end
	line int    // of buf's first byte, from 1
}

// Piece is what stands in a log: a message, or bytes that look like one.
type Piece struct {
	Line int    // of its beginning, from 1
	Raw  []byte // as it came; nobody writes to it again
	Cut  bool   // Raw is only the beginning
	Err  *domain.Error
}

// parse takes the piece apart, or says why it is none.
func (p *Piece) parse() (*Message, *domain.Error) {
	if p.Err != nil {
		return nil, p.Err
	}
	return Parse(p.Raw)
}

const logBlock = 64 << 10

// NewLog reads a log; the name is for errors.
func NewLog(in io.Reader, name string) *Log {
	if name == "" {
		name = "input"
	}
	return &Log{in: in, name: name, line: 1}
}

// Next gives the next piece; io.EOF is the end. What is no message, such as the
// log's own words, is passed over; only what has fields of FIX without the
// beginning of a message is given as an error.
func (l *Log) Next() (Piece, error) {
	for {
		start := findBegin(l.buf, 0)
		if start < 0 {
			if piece, ok, err := l.noise(); ok || err != nil {
				return piece, err
			}
			continue
		}
		if piece, ok := l.strays(l.buf[:start]); ok {
			return piece, nil
		}
		l.drop(start)
		return l.message()
	}
}

// noise passes over whole lines without a message and reads on.
func (l *Log) noise() (Piece, bool, error) {
	if piece, ok := l.strays(l.buf[:bytes.LastIndexByte(l.buf, '\n')+1]); ok {
		return piece, true, nil
	}
	l.drop(bytes.LastIndexByte(l.buf, '\n') + 1)
	if len(l.buf) > MaxMessageBytes {
		// A line without end and without a message. Its last bytes may be the
		// beginning of one.
		if looksLikeFields(l.buf) {
			return l.cut(), true, nil
		}
		l.drop(len(l.buf) - len(begin))
	}
	if l.more() {
		return Piece{}, false, nil
	}
	if piece, ok := l.strays(l.buf); ok {
		return piece, true, nil
	}
	l.drop(len(l.buf))
	return Piece{}, false, l.end()
}

// strays finds a line with fields of a message whose beginning is missing, and
// drops what stands before it.
func (l *Log) strays(before []byte) (Piece, bool) {
	for line := range bytes.Lines(before) {
		if !looksLikeFields(line) {
			continue
		}
		l.drop(bytes.Index(l.buf, line))
		piece := Piece{
			Line: l.line, Raw: bytes.Clone(bytes.TrimRight(line, "\r\n")),
			Err: domain.Rejectf(domain.CodeMalformed, "tag 8", "fields of a message without its beginning, 8=FIX"),
		}
		l.drop(len(line))
		return piece, true
	}
	return Piece{}, false
}

// looksLikeFields tells a broken message from the words of a log: it has a type
// between separators.
func looksLikeFields(line []byte) bool {
	for i := 0; ; {
		at := bytes.Index(line[i:], []byte("35="))
		if at < 0 {
			return false
		}
		i += at
		if (i == 0 || line[i-1] == soh || line[i-1] == bar) && bytes.ContainsAny(line[i:min(len(line), i+8)], "\x01|") {
			return true
		}
		i += len("35=")
	}
}

// message gives the message at the beginning of the buffer.
func (l *Log) message() (Piece, error) {
	for {
		end, known := frame(l.buf)
		if end == 0 && (known || l.err != nil) { // it does not tell, or there is no more of it
			if end, known = l.broken(); !known && l.err != nil {
				end = len(l.buf)
			}
		}
		if known || l.err != nil {
			piece := Piece{Line: l.line, Raw: bytes.Clone(bytes.TrimRight(l.buf[:end], "\r\n \t"))}
			l.drop(end)
			if l.err != nil && !errors.Is(l.err, io.EOF) && !known {
				return Piece{}, l.end() // nobody knows how it ends
			}
			return piece, nil
		}
		if len(l.buf) > MaxMessageBytes {
			return l.cut(), nil
		}
		l.more()
	}
}

// cut gives the beginning of what is too long and passes over the rest of its
// line.
func (l *Log) cut() Piece {
	piece := Piece{
		Line: l.line, Raw: bytes.Clone(l.buf[:MaxMessageBytes]), Cut: true,
		Err: domain.Rejectf(domain.CodeTooLarge, "", "the message, or what looks like one, has more than %d bytes", MaxMessageBytes),
	}
	l.drop(MaxMessageBytes)
	for {
		end := bytes.IndexByte(l.buf, '\n')
		if next := findBegin(l.buf, 0); next >= 0 && (end < 0 || next < end) {
			end = next
		}
		if end >= 0 {
			l.drop(end)
			return piece
		}
		l.drop(max(0, len(l.buf)-len(begin)))
		if !l.more() {
			return piece
		}
	}
}

// frame tells where the message ends by its own BodyLength. Not known: more bytes
// are needed. 0: it can't be told.
func frame(text []byte) (end int, known bool) {
	separator, ok := separatorOf(text)
	if !ok {
		return 0, len(text) >= maxBeginString || bytes.IndexByte(text, '\n') >= 0
	}
	at := bytes.IndexByte(text, separator) + 1
	const most = len("9=") + maxTagDigits
	length := text[at:min(len(text), at+most)]
	stop := bytes.IndexByte(length, separator)
	if stop < 0 {
		return 0, len(length) == most || bytes.IndexByte(length, '\n') >= 0
	}
	if !bytes.HasPrefix(length, []byte("9=")) {
		return 0, true
	}
	n, err := wholeNumber(length[len("9="):stop], MaxMessageBytes)
	if err != nil {
		return 0, true
	}
	const trailer = len("10=000")
	end = at + stop + 1 + n + trailer
	if len(text) < end {
		return 0, false
	}
	last := text[end-trailer : end]
	if text[end-trailer-1] != separator || !bytes.HasPrefix(last, []byte("10=")) || !digits(last[len("10="):]) {
		return 0, true
	}
	if len(text) == end {
		return end, false // a separator may follow
	}
	if text[end] == separator {
		end++
	}
	return end, true
}

// broken tells where a message ends whose BodyLength is wrong: at its line's end,
// or where the next message begins.
func (l *Log) broken() (end int, known bool) {
	end = bytes.IndexByte(l.buf, '\n')
	if next := findBegin(l.buf, len(begin)); next >= 0 && (end < 0 || next < end) {
		end = next
	}
	return max(end, 0), end >= 0
}

// findBegin finds the beginning of a message: not the 58=FIX of a text.
func findBegin(text []byte, from int) int {
	for {
		at := bytes.Index(text[from:], begin)
		if at < 0 {
			return -1
		}
		at += from
		if at == 0 || text[at-1] < '0' || text[at-1] > '9' {
			return at
		}
		from = at + 1
	}
}

// more reads on; false at the end, or after an error.
func (l *Log) more() bool {
	if l.err != nil {
		return false
	}
	if cap(l.buf)-len(l.buf) < logBlock {
		if len(l.room) < len(l.buf)+2*logBlock {
			l.room = make([]byte, len(l.buf)+4*logBlock)
		}
		l.buf = l.room[:copy(l.room, l.buf)]
	}
	n, err := l.in.Read(l.buf[len(l.buf):cap(l.buf)])
	l.buf = l.buf[:len(l.buf)+n]
	l.err = err
	return true
}

func (l *Log) drop(n int) {
	l.line += bytes.Count(l.buf[:n], []byte{'\n'})
	l.buf = l.buf[n:]
}

func (l *Log) end() error {
	if errors.Is(l.err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("reading %s after line %d: %w", l.name, l.line, l.err)
}
