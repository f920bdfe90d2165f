package fix

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
)

// data writes the fields of the message under their names, in the order of the
// table of fields; for unknown types also every field as it is.
func (u *understood) data(part *Message, t domain.EventType) (jsontext.Value, *domain.Error) {
	values := make([][]byte, len(fields))
	absolute := true
	var commission []byte
	for _, f := range part.Fields {
		switch f.Tag {
		case 12:
			commission = f.Value
		case 13:
			absolute = string(f.Value) == "3"
		}
		if i, ok := fieldOf[f.Tag]; ok && values[i] == nil {
			values[i] = f.Value
		}
	}
	d := newData()
	for i, value := range values {
		if value == nil {
			continue
		}
		if err := d.field(fields[i], value); err != nil {
			return nil, err
		}
	}
	if commission != nil {
		money := field{12, "commission", asDecimal}
		if !absolute {
			money = field{12, "commission_rate", asDecimal}
		}
		if err := d.field(money, commission); err != nil {
			return nil, err
		}
	}
	if t == domain.OrderCancelled && part.first(tagOrigClOrdID) == nil {
		d.flag("unsolicited", true) // a cancel that was asked for names what it cancels
	}
	d.parties(part)
	if !t.Known() {
		d.everything(u.Message)
	}
	return d.done(), nil
}

func (d *data) field(f field, value []byte) *domain.Error {
	text := string(value)
	switch f.kind {
	case asDecimal:
		exact, err := decimalText(f.tag, text)
		if err != nil {
			return err
		}
		d.text(f.name, exact)
	case asNumber:
		n, err := wholeNumber(value, maxNumber)
		if err != nil {
			return domain.Rejectf(domain.CodeInvalid, name(f.tag), "%v", err)
		}
		d.number(f.name, n)
	case asTime:
		at, err := parseTime(f.tag, value)
		if err != nil {
			return err
		}
		d.text(f.name, at.Format(time.RFC3339Nano))
	case asFlag:
		switch text {
		case "Y":
			d.flag(f.name, true)
		case "N":
		default:
			return domain.Rejectf(domain.CodeInvalid, name(f.tag), "%.16q is neither Y nor N", text)
		}
	case asSide:
		d.text(f.name, word(sides, text))
	case asOrderType:
		d.text(f.name, word(orderTypes, text))
	case asTimeInForce:
		d.text(f.name, word(timesInForce, text))
	case asStatus:
		d.text(f.name, word(statuses, text))
	case asText:
		d.text(f.name, text)
	}
	return nil
}

func word(words map[string]string, code string) string {
	if w, ok := words[code]; ok {
		return w
	}
	return code
}

// decimalText are the digits as they were sent; FIX has no exponents.
func decimalText(tag int, text string) (string, *domain.Error) {
	for _, c := range text {
		if (c < '0' || c > '9') && c != '.' && c != '-' {
			return "", domain.Rejectf(domain.CodeInvalid, name(tag), "%.64q is not a decimal number", text)
		}
	}
	if _, err := domain.ParseDecimal(text); err != nil {
		return "", domain.Rejectf(domain.CodeInvalid, name(tag), "%v", err)
	}
	return text, nil
}

const maxParties = 64

// parties writes the group of NoPartyIDs: who is behind the message, by role.
func (d *data) parties(m *Message) {
	begun := false
	entries := 0
	for i := 0; i < len(m.Fields) && entries < maxParties; i++ {
		if m.Fields[i].Tag != 448 {
			continue
		}
		entry := data{out: []byte{'{'}}
		entry.text("id", string(m.Fields[i].Value))
	group:
		for i+1 < len(m.Fields) {
			switch next := m.Fields[i+1]; next.Tag {
			case 447:
				entry.text("id_source", string(next.Value))
			case 452:
				entry.text("role", string(next.Value))
			default:
				break group
			}
			i++
		}
		if begun {
			d.out = append(d.out, ',')
		} else {
			d.name("parties")
			d.out = append(d.out, '[')
			begun = true
		}
		d.out = append(d.out, entry.done()...)
		entries++
	}
	if begun {
		d.out = append(d.out, ']')
	}
}

// everything writes each field as a pair of tag and value, in the message's order.
func (d *data) everything(m *Message) {
	d.name("fields")
	d.out = append(d.out, '[')
	for i, f := range m.Fields {
		if i > 0 {
			d.out = append(d.out, ',')
		}
		value := string(f.Value)
		if secret(m.text(tagMsgType), f.Tag) {
			value = "*"
		}
		d.out = append(d.out, '[')
		d.out = appendQuoted(d.out, name(f.Tag)[len("tag "):])
		d.out = append(d.out, ',')
		d.out = appendQuoted(d.out, value)
		d.out = append(d.out, ']')
	}
	d.out = append(d.out, ']')
}
