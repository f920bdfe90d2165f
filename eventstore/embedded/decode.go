package embedded

import (
	"encoding/binary"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of appends are taken apart, and the usual answer put together, by
// hand: each event's bytes are copied once, into the form in which they are
// stored. Reflection would cost more than the writer does.

// Field numbers of AppendReq.
const (
	fieldAppendOptions  protowire.Number = 1
	fieldAppendProposed protowire.Number = 2
)

// Field numbers of BatchAppendReq.
const (
	fieldBatchCorrelation protowire.Number = 1
	fieldBatchOptions     protowire.Number = 2
	fieldBatchProposed    protowire.Number = 3
	fieldBatchFinal       protowire.Number = 4
)

// Field numbers of the Options of both; deadlines are BatchAppend's only.
const (
	fieldOptionsStream            protowire.Number = 1
	fieldOptionsRevision          protowire.Number = 2
	fieldOptionsNoStream          protowire.Number = 3
	fieldOptionsAny               protowire.Number = 4
	fieldOptionsStreamExists      protowire.Number = 5
	fieldOptionsDeadlineTimestamp protowire.Number = 6 // of servers before 21.10.1
	fieldOptionsDeadline          protowire.Number = 7
)

// fieldStreamName is the field number of StreamIdentifier's name.
const fieldStreamName protowire.Number = 3

// Field numbers of AppendResp and BatchAppendResp, and of the Success of both.
const (
	fieldAppendSuccess protowire.Number = 1

	fieldBatchRespCorrelation  protowire.Number = 1
	fieldBatchRespError        protowire.Number = 2
	fieldBatchRespSuccess      protowire.Number = 3
	fieldBatchRespStream       protowire.Number = 4
	fieldBatchRespRevision     protowire.Number = 5
	fieldBatchRespNoStream     protowire.Number = 6
	fieldBatchRespAny          protowire.Number = 7
	fieldBatchRespStreamExists protowire.Number = 8

	fieldSuccessRevision   protowire.Number = 1
	fieldSuccessNoStream   protowire.Number = 2
	fieldSuccessPosition   protowire.Number = 3
	fieldSuccessNoPosition protowire.Number = 4
)

// Field numbers of the ProposedMessage of both.
const (
	fieldProposedID       protowire.Number = 1
	fieldProposedMetadata protowire.Number = 2
	fieldProposedCustom   protowire.Number = 3
	fieldProposedData     protowire.Number = 4
)

// Field numbers of shared.UUID, and of its structured form.
const (
	fieldUUIDStructured protowire.Number = 1
	fieldUUIDString     protowire.Number = 2
	fieldUUIDMost       protowire.Number = 1
	fieldUUIDLeast      protowire.Number = 2
)

// fields calls visit with each field of a message: value has the bytes of a
// length-delimited one, number is the value of a varint.
func fields(b []byte, visit func(field protowire.Number, value []byte, number uint64) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return badRequest("message is malformed")
		}
		b = b[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
			field = 0 // none that we know is of such a kind
		}
		if n < 0 {
			return badRequest("message is malformed")
		}
		b = b[n:]
		if err := visit(field, value, number); err != nil {
			return err
		}
	}
	return nil
}

// newAppend begins a request from the options of either append call.
func newAppend(options []byte, now time.Time) (*request, error) {
	r := &request{kind: kindAppend}
	expects, name := false, ""
	err := fields(options, func(field protowire.Number, value []byte, number uint64) (err error) {
		expected := r.expected
		switch field {
		case fieldOptionsStream:
			name, err = decodeStreamName(value)
			return err
		case fieldOptionsDeadlineTimestamp:
			seconds, nanos, err := decodeTime(value)
			r.deadline = time.Unix(seconds, nanos)
			return err
		case fieldOptionsDeadline:
			seconds, nanos, err := decodeTime(value)
			r.deadline = now.Add(time.Duration(seconds)*time.Second + time.Duration(nanos))
			return err
		case fieldOptionsRevision:
			expected = expectRevision(number)
		case fieldOptionsNoStream:
			expected = expectNoStream
		case fieldOptionsAny:
			expected = expectAny
		case fieldOptionsStreamExists:
			expected = expectStreamExists
		default:
			return nil
		}
		r.expected, expects = expected, true
		return nil
	})
	if err != nil {
		return nil, err
	}
	if r.stream, err = writableStream(name); err != nil {
		return nil, err
	}
	if !expects {
		return nil, badRequest("append has no expected revision")
	}
	return r, nil
}

func decodeStreamName(identifier []byte) (name string, err error) {
	err = fields(identifier, func(field protowire.Number, value []byte, _ uint64) error {
		if field == fieldStreamName {
			name = string(value)
		}
		return nil
	})
	return name, err
}

// decodeTime takes a Timestamp or a Duration: both have seconds and nanoseconds.
func decodeTime(b []byte) (seconds, nanos int64, err error) {
	err = fields(b, func(field protowire.Number, _ []byte, number uint64) error {
		switch field {
		case 1:
			seconds = int64(number) //nolint:gosec // int64 on the wire
		case 2:
			nanos = int64(number) //nolint:gosec // int32 on the wire
		}
		return nil
	})
	return seconds, nanos, err
}

// appendSuccess adds a Success to a response, as the given field.
func appendSuccess(dst frame, field protowire.Number, res result) frame {
	var inner [64]byte
	b := inner[:0]
	if res.current >= 0 {
		b = protowire.AppendTag(b, fieldSuccessRevision, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(res.current))
	} else {
		b = appendEmpty(b, fieldSuccessNoStream)
	}
	if res.position > 0 {
		b = protowire.AppendTag(b, fieldSuccessPosition, protowire.BytesType)
		b = appendLength(b, 2*(1+protowire.SizeVarint(res.position)))
		b = protowire.AppendTag(b, 1, protowire.VarintType)
		b = protowire.AppendVarint(b, res.position)
		b = protowire.AppendTag(b, 2, protowire.VarintType)
		b = protowire.AppendVarint(b, res.position)
	} else {
		b = appendEmpty(b, fieldSuccessNoPosition)
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), b)
}

func appendEmpty(dst []byte, field protowire.Number) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), nil)
}

// proposedEvent is a ProposedMessage. Its slices alias the encoded message.
type proposedEvent struct {
	id          uuid.UUID
	hasID       bool
	eventType   []byte // nil: missing
	contentType []byte // nil: missing
	custom      []byte
	data        []byte
}

func (p *proposedEvent) decode(b []byte) error {
	return fields(b, func(field protowire.Number, value []byte, _ uint64) (err error) {
		switch field {
		case fieldProposedID:
			p.hasID = true
			p.id, err = decodeUUID(value)
		case fieldProposedMetadata:
			err = p.property(value)
		case fieldProposedCustom:
			p.custom = value
		case fieldProposedData:
			p.data = value
		}
		return err
	})
}

// property is one entry of the metadata map.
func (p *proposedEvent) property(entry []byte) error {
	var key []byte
	value := []byte{}
	err := fields(entry, func(field protowire.Number, v []byte, _ uint64) error {
		switch field {
		case 1:
			key = v
		case 2:
			value = v
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !utf8.Valid(value) {
		return badRequest("metadata property %q is not UTF-8", key)
	}
	switch string(key) {
	case metadataType:
		p.eventType = value
	case metadataContentType:
		p.contentType = value
	}
	return nil
}

// decodeUUID takes both forms in which a UUID is sent.
func decodeUUID(b []byte) (id uuid.UUID, err error) {
	known := false
	err = fields(b, func(field protowire.Number, value []byte, _ uint64) (err error) {
		switch field {
		case fieldUUIDStructured:
			known = true
			err = fields(value, func(field protowire.Number, _ []byte, bits uint64) error {
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
				err = badRequest("%q is not a UUID", value)
			}
		}
		return err
	})
	if err == nil && !known {
		err = badRequest("UUID is missing")
	}
	return id, err
}
