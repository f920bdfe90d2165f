package fix

import (
	"bytes"
	"strconv"

	"github.com/tradetrail/tradetrail/domain"
)

const (
	soh = '\x01' // the separator on the wire
	bar = '|'    // the separator in many logs
)

// The bounds of one message. With its bytes in base64 and its fields beside them,
// an event stays below domain.MaxEventBytes.
const (
	MaxMessageBytes = 128 << 10
	maxFields       = 8192
	maxTagDigits    = 9
)

// Field is one tag and its value, a part of the message's bytes.
type Field struct {
	Tag   int
	Value []byte
	at    int // of the tag, in the message
}

// Message is one FIX message, taken apart. Nothing is interpreted beyond the
// fields themselves: repeating groups are just fields that repeat.
type Message struct {
	Raw    []byte  // with SOH between the fields, whatever the log has
	Fields []Field // in the order of the message, 8, 9 and 10 among them; none is empty
}

// first returns the first value of a tag, nil if there is none.
func (m *Message) first(tag int) []byte {
	for i := range m.Fields {
		if m.Fields[i].Tag == tag {
			return m.Fields[i].Value
		}
	}
	return nil
}

func (m *Message) text(tag int) string { return string(m.first(tag)) }

// says reports whether a flag is set.
func (m *Message) says(tag int) bool { return string(m.first(tag)) == "Y" }

// dataOf are the fields whose value may hold anything, separators too, by the tag
// of the length that stands before each.
var dataOf = map[int]int{
	90: 91, 93: 89, 95: 96, 212: 213, 348: 349, 350: 351, 352: 353, 354: 355, 356: 357, 358: 359, 360: 361, 362: 363,
	364: 365, 445: 446, 618: 619, 621: 622, 1184: 1185, 1277: 1278, 1280: 1281, 1282: 1283,
	1401: tagEncryptedPassword, 1403: tagEncryptedNewPassword,
}

// Parse takes a message apart and checks BodyLength and CheckSum. Fields are
// separated by SOH or by bars, as the byte behind BeginString tells; a message in
// bars was written down from one with SOH, so its CheckSum counts SOH. The last
// separator may be missing. Raw bytes are copied. Errors name the tag and the byte
// at which it stands, from 0.
func Parse(raw []byte) (*Message, *domain.Error) {
	if len(raw) > MaxMessageBytes {
		return nil, domain.Rejectf(domain.CodeTooLarge, "", "the message has more than %d bytes", MaxMessageBytes)
	}
	separator, ok := separatorOf(raw)
	if !ok {
		return nil, domain.Rejectf(domain.CodeMalformed, "tag 8", "the message does not begin with 8=FIX and a separator, SOH or |")
	}
	p := parser{text: make([]byte, len(raw), len(raw)+1), separator: separator}
	copy(p.text, raw)
	if p.text[len(p.text)-1] != separator {
		p.text = append(p.text, separator)
	}
	m := &Message{Raw: p.text, Fields: make([]Field, 0, min(maxFields, bytes.Count(raw, []byte{separator})+1))}
	for p.at < len(p.text) {
		if n := len(m.Fields); n > 0 && m.Fields[n-1].Tag == tagCheckSum {
			return nil, domain.Rejectf(domain.CodeMalformed, "tag 10", "is not the last field: byte %d comes after it", p.at)
		}
		if len(m.Fields) == maxFields {
			return nil, domain.Rejectf(domain.CodeTooLarge, "", "the message has more than %d fields", maxFields)
		}
		f, err := p.field()
		if err != nil {
			return nil, err
		}
		m.Fields = append(m.Fields, f)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	kept := m.Fields[:0]
	for _, f := range m.Fields {
		if len(f.Value) > 0 { // a tag without a value says nothing
			kept = append(kept, f)
		}
	}
	m.Fields = kept
	return m, nil
}

// separatorOf finds the separator behind BeginString.
func separatorOf(raw []byte) (byte, bool) {
	if !bytes.HasPrefix(raw, begin) {
		return 0, false
	}
	for _, c := range raw[:min(len(raw), maxBeginString)] {
		if c == soh || c == bar {
			return c, true
		}
	}
	return 0, false
}

// begin is how every message begins.
var begin = []byte("8=FIX")

const maxBeginString = 32

// parser goes through the fields; separators become SOH behind it.
type parser struct {
	text      []byte
	separator byte
	at        int
	length    int // of the data field that must come next; see dataOf
	data      int // its tag, 0 for none
}

func (p *parser) field() (Field, *domain.Error) {
	start := p.at
	tag, err := p.tag()
	if err != nil {
		return Field{}, err
	}
	begin := p.at
	var end int
	if p.data == tag {
		end = begin + p.length
		if p.length > len(p.text)-begin-1 || p.text[end] != p.separator {
			return Field{}, domain.Rejectf(domain.CodeMalformed, name(tag), "at byte %d: the data does not end after the %d bytes that its length says", start, p.length)
		}
	} else {
		end = begin + bytes.IndexByte(p.text[begin:], p.separator) // the last byte is one
	}
	p.data = 0
	f := Field{Tag: tag, Value: p.text[begin:end:end], at: start}
	if data, ok := dataOf[tag]; ok && end > begin {
		n, err := wholeNumber(f.Value, len(p.text))
		if err != nil {
			return Field{}, domain.Rejectf(domain.CodeInvalid, name(tag), "at byte %d: the length of a field %v", start, err)
		}
		p.data, p.length = data, n
	}
	p.text[end] = soh
	p.at = end + 1
	return f, nil
}

// tag reads the digits and the equals sign of a field.
func (p *parser) tag() (int, *domain.Error) {
	tag, i := 0, p.at
	for ; i < len(p.text) && i-p.at <= maxTagDigits && '0' <= p.text[i] && p.text[i] <= '9'; i++ {
		tag = tag*10 + int(p.text[i]-'0')
	}
	switch {
	case i == p.at || i == len(p.text) || p.text[i] != '=' || i-p.at > maxTagDigits:
		return 0, domain.Rejectf(domain.CodeMalformed, "", "byte %d: a field begins with %.16q, not with a tag of at most %d digits and =", p.at, p.text[p.at:], maxTagDigits)
	case p.text[p.at] == '0':
		return 0, domain.Rejectf(domain.CodeInvalid, "", "byte %d: tag %s begins with 0", p.at, p.text[p.at:i])
	}
	p.at = i + 1
	return tag, nil
}

// check holds the message against the three fields it must begin with and the one
// it must end with.
func (m *Message) check() *domain.Error {
	for i, tag := range []int{tagBeginString, tagBodyLength, tagMsgType} {
		if len(m.Fields) <= i || m.Fields[i].Tag != tag || len(m.Fields[i].Value) == 0 {
			return domain.Rejectf(domain.CodeMissing, name(tag), "must be field %d of the message, with a value", i+1)
		}
	}
	last := m.Fields[len(m.Fields)-1]
	if last.Tag != tagCheckSum {
		return domain.Rejectf(domain.CodeMissing, "tag 10", "missing: the message ends at byte %d without a checksum", len(m.Raw))
	}
	stated, err := wholeNumber(m.Fields[1].Value, MaxMessageBytes)
	if err != nil {
		return domain.Rejectf(domain.CodeInvalid, "tag 9", "at byte %d: the body length %v", m.Fields[1].at, err)
	}
	if length := last.at - m.Fields[2].at; stated != length {
		return domain.Rejectf(domain.CodeInvalid, "tag 9", "at byte %d: the body length is %d, but tag 10 stands %d bytes after it", m.Fields[1].at, stated, length)
	}
	var sum byte
	for _, c := range m.Raw[:last.at] {
		sum += c
	}
	if v := last.Value; len(v) != 3 || !digits(v) || int(v[0]-'0')*100+int(v[1]-'0')*10+int(v[2]-'0') != int(sum) {
		return domain.Rejectf(domain.CodeInvalid, "tag 10", "at byte %d: the checksum is %.16q, the bytes before it sum up to %03d", last.at, v, sum)
	}
	return nil
}

func digits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

// wholeNumber reads a number from 0 to most.
func wholeNumber(text []byte, most int) (int, error) {
	if !digits(text) {
		return 0, domain.Rejectf(domain.CodeInvalid, "", "%.32q is no whole number", text)
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n > most {
		return 0, domain.Rejectf(domain.CodeInvalid, "", "%.32q is more than %d", text, most)
	}
	return n, nil
}

func name(tag int) string { return "tag " + strconv.Itoa(tag) }
