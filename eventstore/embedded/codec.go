package embedded

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

// frame is an encoded answer. Stored records already have their wire form, so
// reads wrap them instead of decoding and encoding each.
type frame []byte

// MarshalBinary implements encoding.BinaryMarshaler.
func (f frame) MarshalBinary() ([]byte, error) { return f, nil }

// frames are encoded answers in one piece of memory.
type frames struct {
	bytes []byte
	ends  []int
}

func (f *frames) len() int { return len(f.ends) }

// all calls send with each frame, in order.
func (f *frames) all(send func(frame) error) error {
	begin := 0
	for _, end := range f.ends {
		if err := send(f.bytes[begin:end:end]); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

// event adds a ReadResp with an event. link, if not nil, is the record through
// which the event was found; event is nil if the link leads nowhere.
func (f *frames) event(event, link *record, stringID bool) {
	original := event
	if link != nil {
		original = link
	}
	position := original.position
	inner := 1 + protowire.SizeVarint(position)
	for _, r := range []*record{event, link} {
		if r != nil {
			inner += 1 + protowire.SizeBytes(r.wireLen(stringID))
		}
	}

	b := protowire.AppendTag(f.bytes, wire.FieldReadEvent, protowire.BytesType)
	b = wire.AppendLength(b, inner)
	b = appendPart(b, wire.FieldEvent, event, stringID)
	b = appendPart(b, wire.FieldLink, link, stringID)
	b = protowire.AppendTag(b, wire.FieldEventPosition, protowire.VarintType)
	f.bytes = protowire.AppendVarint(b, position)
	f.ends = append(f.ends, len(f.bytes))
}

func appendPart(b []byte, number protowire.Number, r *record, stringID bool) []byte {
	if r == nil {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	b = wire.AppendLength(b, r.wireLen(stringID))
	return r.appendWire(b, stringID)
}

// checkpoint adds a ReadResp that says: everything up to here has been considered.
func (f *frames) checkpoint(position uint64) {
	f.bytes = wire.AppendPosition(f.bytes, wire.FieldReadCheckpoint, position, position)
	f.ends = append(f.ends, len(f.bytes))
}
