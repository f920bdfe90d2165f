// Package wire encodes and decodes by hand the messages of EventStoreDB's public
// protocol that carry events: what every event passes through, on its way in and
// out. Each takes a fraction of the time that reflection takes, and copies an
// event's bytes at most once. Everything else is left to the generated code of
// the official client, whose definitions are the source of all field numbers
// here; the package's tests compare the two.
package wire

import (
	"encoding/binary"
	"errors"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed says that bytes are not the message that they should be.
var ErrMalformed = errors.New("message is malformed")

// Fields calls visit with each field of a message, until the first error: value
// has the bytes of a length-delimited field and is nil for a varint, whose value
// is number. Fields of other kinds, which none of our messages has, are passed over.
func Fields(b []byte, visit func(field protowire.Number, value []byte, number uint64) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		var value []byte
		var number uint64
		known := true
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type, protowire.Fixed64Type, protowire.StartGroupType, protowire.EndGroupType:
			n, known = protowire.ConsumeFieldValue(field, kind, b), false
		default:
			return ErrMalformed
		}
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		if !known {
			continue
		}
		if err := visit(field, value, number); err != nil {
			return err
		}
	}
	return nil
}

// AppendLength appends the length of what follows.
func AppendLength(dst []byte, n int) []byte {
	return protowire.AppendVarint(dst, uint64(n)) //nolint:gosec // a length is not negative
}

// AppendEmpty appends a field that is a message without fields.
func AppendEmpty(dst []byte, field protowire.Number) []byte {
	return append(protowire.AppendTag(dst, field, protowire.BytesType), 0)
}

// Field numbers of shared.UUID, and of its structured form.
const (
	fieldUUIDStructured protowire.Number = 1
	fieldUUIDString     protowire.Number = 2
	fieldUUIDMost       protowire.Number = 1
	fieldUUIDLeast      protowire.Number = 2
)

// AppendUUID appends a field that is a UUID in structured form.
func AppendUUID(dst []byte, field protowire.Number, id uuid.UUID) []byte {
	most, least := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	structured := 2 + protowire.SizeVarint(most) + protowire.SizeVarint(least)
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst = AppendLength(dst, 2+structured)
	dst = protowire.AppendTag(dst, fieldUUIDStructured, protowire.BytesType)
	dst = AppendLength(dst, structured)
	dst = protowire.AppendTag(dst, fieldUUIDMost, protowire.VarintType)
	dst = protowire.AppendVarint(dst, most)
	dst = protowire.AppendTag(dst, fieldUUIDLeast, protowire.VarintType)
	return protowire.AppendVarint(dst, least)
}

// sizeUUID is the length of what AppendUUID appends.
func sizeUUID(id uuid.UUID) int {
	most, least := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	return 6 + protowire.SizeVarint(most) + protowire.SizeVarint(least)
}

// AppendUUIDString appends a field that is a UUID in string form, SizeUUIDString
// bytes long.
func AppendUUIDString(dst []byte, field protowire.Number, id uuid.UUID) []byte {
	text, _ := id.MarshalText() // has no error to tell
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst = AppendLength(dst, 2+len(text))
	dst = protowire.AppendTag(dst, fieldUUIDString, protowire.BytesType)
	return protowire.AppendBytes(dst, text)
}

// SizeUUIDString is the length of what AppendUUIDString appends.
const SizeUUIDString = 2 + 2 + 36

// DecodeUUID takes both forms of a UUID. ErrMalformed is one that is neither, or
// whose text is no UUID.
func DecodeUUID(b []byte) (id uuid.UUID, err error) {
	known := false
	err = Fields(b, func(field protowire.Number, value []byte, _ uint64) (err error) {
		if value == nil {
			return nil
		}
		switch field {
		case fieldUUIDStructured:
			known = true
			err = Fields(value, func(field protowire.Number, _ []byte, bits uint64) error {
				switch field {
				case fieldUUIDMost:
					binary.BigEndian.PutUint64(id[:8], bits)
				case fieldUUIDLeast:
					binary.BigEndian.PutUint64(id[8:], bits)
				}
				return nil
			})
		case fieldUUIDString:
			known = true
			if id, err = uuid.ParseBytes(value); err != nil {
				err = ErrMalformed
			}
		}
		return err
	})
	if err == nil && !known {
		err = ErrMalformed
	}
	return id, err
}

// fieldStreamName is the field number of a StreamIdentifier's name.
const fieldStreamName protowire.Number = 3

// AppendStream appends a field that is a StreamIdentifier.
func AppendStream(dst []byte, field protowire.Number, stream string) []byte {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst = AppendLength(dst, 1+protowire.SizeBytes(len(stream)))
	dst = protowire.AppendTag(dst, fieldStreamName, protowire.BytesType)
	return protowire.AppendString(dst, stream)
}

// DecodeStream takes a StreamIdentifier. The name aliases b.
func DecodeStream(b []byte) (name []byte, err error) {
	err = Fields(b, func(field protowire.Number, value []byte, _ uint64) error {
		if field == fieldStreamName {
			name = value
		}
		return nil
	})
	return name, err
}

// Names of an event's metadata, which is a map in the protocol, and what it says
// of contents.
const (
	MetadataType        = "type"
	MetadataContentType = "content-type"
	MetadataCreated     = "created"

	ContentTypeJSON   = "application/json"
	ContentTypeBinary = "application/octet-stream"
)

// AppendProperty appends one entry of a metadata map.
func AppendProperty(dst []byte, field protowire.Number, key, value string) []byte {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst = AppendLength(dst, 2+protowire.SizeBytes(len(key))+protowire.SizeBytes(len(value)))
	dst = protowire.AppendTag(dst, 1, protowire.BytesType)
	dst = protowire.AppendString(dst, key)
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	return protowire.AppendString(dst, value)
}

func sizeProperty(key, value string) int {
	return 1 + protowire.SizeBytes(2+protowire.SizeBytes(len(key))+protowire.SizeBytes(len(value)))
}

// decodeProperty takes one entry of a metadata map. Both alias b and are not nil.
func decodeProperty(b []byte) (key, value []byte, err error) {
	key, value = []byte{}, []byte{}
	err = Fields(b, func(field protowire.Number, v []byte, _ uint64) error {
		switch field {
		case 1:
			key = v
		case 2:
			value = v
		}
		return nil
	})
	return key, value, err
}
