package wire

import (
	"encoding"
	"fmt"

	grpcencoding "google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Codec is gRPC's protobuf codec, except that what implements
// encoding.BinaryMarshaler or encoding.BinaryUnmarshaler does its own part. What
// MarshalBinary gives must not be changed afterwards.
type Codec struct{ proto grpcencoding.CodecV2 }

// NewCodec is for grpc.ForceServerCodecV2 and grpc.ForceCodecV2.
func NewCodec() Codec { return Codec{grpcencoding.GetCodecV2(grpcproto.Name)} }

// Name implements encoding.CodecV2 of gRPC.
func (Codec) Name() string { return grpcproto.Name }

// Marshal implements encoding.CodecV2 of gRPC.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(encoding.BinaryMarshaler)
	if !ok {
		return c.proto.Marshal(v)
	}
	b, err := m.MarshalBinary()
	return mem.BufferSlice{mem.SliceBuffer(b)}, err
}

// Unmarshal implements encoding.CodecV2 of gRPC.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(encoding.BinaryUnmarshaler)
	if !ok {
		return c.proto.Unmarshal(data, v)
	}
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	return m.UnmarshalBinary(whole.ReadOnlyData())
}

// Encode is the codec where there is no connection to encode for.
func Encode(v any) ([]byte, error) {
	switch m := v.(type) {
	case encoding.BinaryMarshaler:
		return m.MarshalBinary()
	case proto.Message:
		return proto.Marshal(m)
	default:
		return nil, fmt.Errorf("encoding a %T, which is no message", v)
	}
}

// Decode is the inverse of Encode.
func Decode(b []byte, v any) error {
	switch m := v.(type) {
	case encoding.BinaryUnmarshaler:
		return m.UnmarshalBinary(b)
	case proto.Message:
		return proto.Unmarshal(b, m)
	default:
		return fmt.Errorf("decoding into a %T, which is no message", v)
	}
}
