package wire

import (
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of ReadResp.ReadEvent.RecordedEvent.
const (
	FieldRecordedID       protowire.Number = 1
	FieldRecordedStream   protowire.Number = 2
	FieldRecordedRevision protowire.Number = 3
	FieldRecordedPrepare  protowire.Number = 4
	FieldRecordedCommit   protowire.Number = 5
	FieldRecordedMetadata protowire.Number = 6
	FieldRecordedCustom   protowire.Number = 7
	FieldRecordedData     protowire.Number = 8
)

// NanosPerTick is the length of the steps in which `created` counts.
const NanosPerTick = 100

// Recorded is an event in the store.
type Recorded struct {
	ID       uuid.UUID
	IDEnd    int // where the field of the id ends
	Stream   []byte
	Type     []byte
	Created  int64 // in steps of NanosPerTick since 1970; -1: missing
	Revision uint64
	Prepare  uint64
	Commit   uint64
	Custom   []byte // custom metadata
	Data     []byte
}

// Decode takes a RecordedEvent; the slices alias b.
func (r *Recorded) Decode(b []byte) error {
	r.Created = -1
	whole := b
	// Not by Fields: of an event's fields this one needs to know where it ends.
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ErrMalformed
		}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			number, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return ErrMalformed
			}
			b = b[n:]
			r.number(field, number)
		case protowire.BytesType:
			value, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return ErrMalformed
			}
			b = b[n:]
			if field == FieldRecordedID {
				r.IDEnd = len(whole) - len(b)
			}
			if err := r.bytes(field, value); err != nil {
				return err
			}
		default:
			return ErrMalformed
		}
	}
	return nil
}

func (r *Recorded) number(field protowire.Number, number uint64) {
	switch field {
	case FieldRecordedRevision:
		r.Revision = number
	case FieldRecordedPrepare:
		r.Prepare = number
	case FieldRecordedCommit:
		r.Commit = number
	}
}

func (r *Recorded) bytes(field protowire.Number, value []byte) (err error) {
	switch field {
	case FieldRecordedID:
		r.ID, err = DecodeUUID(value)
	case FieldRecordedStream:
		r.Stream, err = DecodeStream(value)
	case FieldRecordedMetadata:
		err = r.property(value)
	case FieldRecordedCustom:
		r.Custom = value
	case FieldRecordedData:
		r.Data = value
	}
	return err
}

func (r *Recorded) property(entry []byte) error {
	key, value, err := decodeProperty(entry)
	if err != nil {
		return err
	}
	switch string(key) {
	case MetadataType:
		r.Type = value
	case MetadataCreated:
		if r.Created, err = strconv.ParseInt(string(value), 10, 64); err != nil {
			return ErrMalformed
		}
	}
	return nil
}

// Field numbers of ReadResp and of its ReadEvent and Checkpoint.
const (
	FieldReadEvent          protowire.Number = 1
	FieldReadCheckpoint     protowire.Number = 3
	FieldReadStreamNotFound protowire.Number = 4
	FieldReadCaughtUp       protowire.Number = 8

	FieldEvent         protowire.Number = 1
	FieldLink          protowire.Number = 2
	FieldEventPosition protowire.Number = 3
)
