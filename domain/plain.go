package domain

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// These read what nearly every event carries besides texts, as plainReader does: what
// is not plain is read by the library, from the beginning of the value.

// path reads the hops of an event.
func (p *plainReader) path(to *[]Hop) bool {
	from := p.at
	hops, ok := p.hops()
	if !ok {
		p.at = from
		return p.other(to)
	}
	*to = hops
	return true
}

func (p *plainReader) hops() ([]Hop, bool) {
	if !p.skip('[') {
		return nil, false
	}
	hops := make([]Hop, 0, 2)
	for first := true; !p.skip(']'); first = false {
		if !first && !p.skip(',') {
			return nil, false
		}
		var h Hop
		if !p.members(func(name []byte) (int, bool) {
			switch string(name) {
			case "hop":
				return 0, p.string(&h.Hop)
			case "in":
				return 1, p.time(&h.In)
			case "out":
				return 2, p.time(&h.Out)
			default:
				return 0, false
			}
		}) {
			return nil, false
		}
		hops = append(hops, h)
	}
	return hops, true
}

// clock reads what is known of a source's clock.
func (p *plainReader) clock(to **Clock) bool {
	from := p.at
	var c Clock
	if !p.members(func(name []byte) (int, bool) {
		switch string(name) {
		case "source_id":
			return 0, p.string(&c.SourceID)
		case "sync":
			return 1, p.string(&c.Sync)
		case "offset_ns":
			return 2, p.integer(&c.OffsetNs)
		case "max_error_ns":
			return 3, p.integer(&c.MaxErrorNs)
		default:
			return 0, false
		}
	}) {
		p.at = from
		return p.other(to)
	}
	*to = &c
	return true
}

// members reads an object whose names are told apart by small numbers; one that
// comes twice is not plain.
func (p *plainReader) members(read func(name []byte) (number int, ok bool)) bool {
	if !p.skip('{') {
		return false
	}
	seen := uint64(0)
	for first := true; !p.skip('}'); first = false {
		if !first && !p.skip(',') {
			return false
		}
		name := p.quoted()
		if name == nil || !p.skip(':') {
			return false
		}
		number, ok := read(name)
		if !ok || seen>>number&1 == 1 {
			return false
		}
		seen |= 1 << number
	}
	return true
}

// integer reads one that an int64 holds, whatever its digits are.
func (p *plainReader) integer(to *int64) bool {
	const digits = 18
	negative := p.skip('-')
	from := p.at
	n := int64(0)
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		n = 10*n + int64(p.text[p.at]-'0')
		if p.at++; p.at-from > digits {
			return false
		}
	}
	if p.at == from || p.text[from] == '0' && (negative || p.at > from+1) {
		return false
	}
	if p.at == len(p.text) || p.text[p.at] != ',' && p.text[p.at] != '}' {
		return false // a fraction, an exponent
	}
	if negative {
		n = -n
	}
	*to = n
	return true
}

// readOrderData reads what the fold wants to know; what is no object tells nothing.
// The values are parts of the event's data.
func readOrderData(e *Event) orderData {
	if len(e.Data) == 0 {
		return orderData{}
	}
	if d, plain := plainOrderData(e.Data); plain {
		return d
	}
	var d orderData
	_ = json.Unmarshal(e.Data, &d)
	return d
}

// plainOrderData reads data in the form that it is recorded in.
func plainOrderData(data jsontext.Value) (d orderData, plain bool) {
	p := plainReader{text: data}
	plain = p.named(0, func(name []byte, value jsontext.Value) {
		if field := d.field(name); field != nil {
			*field = value
		}
	})
	return d, plain && p.at == len(data)
}

// field is where a member is kept, nil if nobody wants it.
func (d *orderData) field(name []byte) *jsontext.Value {
	switch string(name) {
	case "side":
		return &d.Side
	case "order_type":
		return &d.OrderType
	case "ord_status":
		return &d.OrdStatus
	case "quantity":
		return &d.Quantity
	case "fill_quantity":
		return &d.FillQuantity
	case "last_quantity":
		return &d.LastQuantity
	case "limit_price":
		return &d.LimitPrice
	case "price":
		return &d.Price
	case "fill_price":
		return &d.FillPrice
	case "last_price":
		return &d.LastPrice
	case "commission":
		return &d.Commission
	case "cum_quantity":
		return &d.CumQuantity
	case "avg_price":
		return &d.AvgPrice
	case "exec_id":
		return &d.ExecID
	case "exec_ref_id":
		return &d.ExecRefID
	default:
		return nil
	}
}
