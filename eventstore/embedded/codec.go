package embedded

import (
	stdencoding "encoding"
	"fmt"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// frame is an encoded ReadResp. Stored records already have their wire form,
// so reads wrap them instead of decoding and encoding each.
type frame []byte

// MarshalBinary implements encoding.BinaryMarshaler.
func (f frame) MarshalBinary() ([]byte, error) { return f, nil }

// frameCodec is the protobuf codec, except that frames pass through, and that
// what implements encoding.BinaryUnmarshaler takes a message apart by itself.
type frameCodec struct{ encoding.CodecV2 }

func newFrameCodec() frameCodec { return frameCodec{encoding.GetCodecV2(grpcproto.Name)} }

// Marshal implements encoding.CodecV2. A frame must not be changed afterwards.
func (c frameCodec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(frame); ok {
		return mem.BufferSlice{mem.SliceBuffer(f)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c frameCodec) Unmarshal(data mem.BufferSlice, v any) error {
	decoder, ok := v.(stdencoding.BinaryUnmarshaler)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	return decoder.UnmarshalBinary(whole.ReadOnlyData())
}

// encode and decode are the codec where there is no socket.
func encode(v any) ([]byte, error) {
	switch m := v.(type) {
	case stdencoding.BinaryMarshaler:
		return m.MarshalBinary()
	case proto.Message:
		return proto.Marshal(m)
	default:
		return nil, fmt.Errorf("encoding a %T, which is no message", v)
	}
}

func decode(message []byte, v any) error {
	switch m := v.(type) {
	case stdencoding.BinaryUnmarshaler:
		return m.UnmarshalBinary(message)
	case proto.Message:
		return proto.Unmarshal(message, m)
	default:
		return fmt.Errorf("decoding into a %T, which is no message", v)
	}
}

// Field numbers of ReadResp and ReadResp.ReadEvent.
const (
	fieldRespEvent      protowire.Number = 1
	fieldRespCheckpoint protowire.Number = 3

	fieldEvent         protowire.Number = 1
	fieldLink          protowire.Number = 2
	fieldEventPosition protowire.Number = 3
)

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

	b := protowire.AppendTag(f.bytes, fieldRespEvent, protowire.BytesType)
	b = appendLength(b, inner)
	b = appendPart(b, fieldEvent, event, stringID)
	b = appendPart(b, fieldLink, link, stringID)
	b = protowire.AppendTag(b, fieldEventPosition, protowire.VarintType)
	f.bytes = protowire.AppendVarint(b, position)
	f.ends = append(f.ends, len(f.bytes))
}

func appendPart(b []byte, number protowire.Number, r *record, stringID bool) []byte {
	if r == nil {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	b = appendLength(b, r.wireLen(stringID))
	return r.appendWire(b, stringID)
}

// checkpoint adds a ReadResp that says: everything up to here has been considered.
func (f *frames) checkpoint(position uint64) {
	inner := 2 * (1 + protowire.SizeVarint(position))
	b := protowire.AppendTag(f.bytes, fieldRespCheckpoint, protowire.BytesType)
	b = appendLength(b, inner)
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, position)
	b = protowire.AppendTag(b, 2, protowire.VarintType)
	f.bytes = protowire.AppendVarint(b, position)
	f.ends = append(f.ends, len(f.bytes))
}
