package wire

import (
	"fmt"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of ProposedMessage, which is the same in both append calls.
const (
	fieldProposedID       protowire.Number = 1
	fieldProposedMetadata protowire.Number = 2
	fieldProposedCustom   protowire.Number = 3
	fieldProposedData     protowire.Number = 4
)

// Proposed is an event that somebody wants to append.
type Proposed struct {
	ID          uuid.UUID
	HasID       bool
	Type        []byte // nil: missing
	ContentType []byte // nil: missing
	Custom      []byte // custom metadata
	Data        []byte
}

// Decode takes a ProposedMessage; the slices alias b.
func (p *Proposed) Decode(b []byte) error {
	return Fields(b, func(field protowire.Number, value []byte, _ uint64) (err error) {
		if value == nil {
			return nil
		}
		switch field {
		case fieldProposedID:
			p.HasID = true
			if p.ID, err = DecodeUUID(value); err != nil {
				err = fmt.Errorf("id of the event: %w", err)
			}
		case fieldProposedMetadata:
			err = p.property(value)
		case fieldProposedCustom:
			p.Custom = value
		case fieldProposedData:
			p.Data = value
		}
		return err
	})
}

func (p *Proposed) property(entry []byte) error {
	key, value, err := decodeProperty(entry)
	if err != nil {
		return err
	}
	if !utf8.Valid(value) {
		return fmt.Errorf("metadata property %q is not UTF-8: %w", key, ErrMalformed)
	}
	switch string(key) {
	case MetadataType:
		p.Type = value
	case MetadataContentType:
		p.ContentType = value
	}
	return nil
}

// AppendProposed appends a field that is a ProposedMessage with JSON.
func AppendProposed(dst []byte, field protowire.Number, id uuid.UUID, eventType string, data, custom []byte) []byte {
	size := sizeUUID(id) + sizeProperty(MetadataType, eventType) + sizeProperty(MetadataContentType, ContentTypeJSON) +
		1 + protowire.SizeBytes(len(custom)) + 1 + protowire.SizeBytes(len(data))
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	dst = AppendLength(dst, size)
	dst = AppendUUID(dst, fieldProposedID, id)
	dst = AppendProperty(dst, fieldProposedMetadata, MetadataType, eventType)
	dst = AppendProperty(dst, fieldProposedMetadata, MetadataContentType, ContentTypeJSON)
	dst = protowire.AppendTag(dst, fieldProposedCustom, protowire.BytesType)
	dst = protowire.AppendBytes(dst, custom)
	dst = protowire.AppendTag(dst, fieldProposedData, protowire.BytesType)
	return protowire.AppendBytes(dst, data)
}
