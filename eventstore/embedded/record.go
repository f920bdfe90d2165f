package embedded

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of event_store.client.streams.ReadResp.ReadEvent.RecordedEvent.
const (
	fieldID             protowire.Number = 1
	fieldStream         protowire.Number = 2
	fieldRevision       protowire.Number = 3
	fieldPrepare        protowire.Number = 4
	fieldCommit         protowire.Number = 5
	fieldMetadata       protowire.Number = 6
	fieldCustomMetadata protowire.Number = 7
	fieldData           protowire.Number = 8
)

const (
	metadataType        = "type"
	metadataContentType = "content-type"
	metadataCreated     = "created"

	contentTypeJSON   = "application/json"
	contentTypeBinary = "application/octet-stream"
)

// Event types with a meaning to the store itself.
const (
	typeMetadata      = "$metadata"
	typeStreamDeleted = "$streamDeleted"
	typeLink          = "$>"
)

// tombstoneRevision is the revision of the record that ends a stream for ever.
// No other record can have it.
const tombstoneRevision = math.MaxInt64

const crcLen = 4

// ticksPerNano: `created` counts 100 ns steps since the Unix epoch.
const nanosPerTick = 100

func ticks(t time.Time) int64 { return t.UnixNano() / nanosPerTick }

// proposal is an event on its way into the log. Everything that does not
// depend on its place there is encoded and summed before it reaches the writer,
// so that the one goroutine which everybody waits for only copies bytes.
type proposal struct {
	id        uuid.UUID
	eventType string
	data      []byte
	body      []byte
	crc       uint32
}

func newProposal(stream string, id uuid.UUID, eventType string, isJSON bool, data, custom []byte) proposal {
	contentType := contentTypeBinary
	if isJSON {
		contentType = contentTypeJSON
	}
	body := make([]byte, 0, 96+len(stream)+len(eventType)+len(data)+len(custom))
	body = appendStructuredID(body, id)
	body = protowire.AppendTag(body, fieldStream, protowire.BytesType)
	body = appendStreamIdentifier(body, stream)
	body = appendMetadata(body, metadataType, eventType)
	body = appendMetadata(body, metadataContentType, contentType)
	body = protowire.AppendTag(body, fieldCustomMetadata, protowire.BytesType)
	body = protowire.AppendBytes(body, custom)
	body = protowire.AppendTag(body, fieldData, protowire.BytesType)
	body = protowire.AppendBytes(body, data)
	return proposal{
		id:        id,
		eventType: eventType,
		data:      body[len(body)-len(data):],
		body:      body,
		crc:       crc32.Update(0, castagnoli(), body),
	}
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// appendPlace encodes what only the writer knows.
func appendPlace(dst []byte, revision, position uint64, created int64) []byte {
	dst = protowire.AppendTag(dst, fieldRevision, protowire.VarintType)
	dst = protowire.AppendVarint(dst, revision)
	dst = protowire.AppendTag(dst, fieldPrepare, protowire.VarintType)
	dst = protowire.AppendVarint(dst, position)
	dst = protowire.AppendTag(dst, fieldCommit, protowire.VarintType)
	dst = protowire.AppendVarint(dst, position)
	return appendMetadata(dst, metadataCreated, strconv.FormatInt(created, 10))
}

// putRecord fills dst, of length crcLen+len(p.body)+len(place), with the stored form.
func putRecord(dst []byte, p *proposal, place []byte) {
	copy(dst[crcLen:], p.body)
	copy(dst[crcLen+len(p.body):], place)
	binary.BigEndian.PutUint32(dst, crc32.Update(p.crc, castagnoli(), place))
}

func appendStructuredID(dst []byte, id uuid.UUID) []byte {
	most, least := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	structured := 2 + protowire.SizeVarint(most) + protowire.SizeVarint(least)
	dst = protowire.AppendTag(dst, fieldID, protowire.BytesType)
	dst = appendLength(dst, 2+structured)
	dst = protowire.AppendTag(dst, 1, protowire.BytesType)
	dst = appendLength(dst, structured)
	dst = protowire.AppendTag(dst, 1, protowire.VarintType)
	dst = protowire.AppendVarint(dst, most)
	dst = protowire.AppendTag(dst, 2, protowire.VarintType)
	return protowire.AppendVarint(dst, least)
}

func appendLength(dst []byte, n int) []byte {
	return protowire.AppendVarint(dst, uint64(n)) //nolint:gosec // a length is not negative
}

func appendStringID(dst []byte, id uuid.UUID) []byte {
	text := id.String()
	dst = protowire.AppendTag(dst, fieldID, protowire.BytesType)
	dst = appendLength(dst, 2+len(text))
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	return protowire.AppendString(dst, text)
}

// stringIDLen is the length of what appendStringID appends.
const stringIDLen = 2 + 2 + 36

func appendStreamIdentifier(dst []byte, stream string) []byte {
	dst = appendLength(dst, protowire.SizeTag(fieldStreamName)+protowire.SizeBytes(len(stream)))
	dst = protowire.AppendTag(dst, fieldStreamName, protowire.BytesType)
	return protowire.AppendString(dst, stream)
}

func appendMetadata(dst []byte, key, value string) []byte {
	dst = protowire.AppendTag(dst, fieldMetadata, protowire.BytesType)
	dst = appendLength(dst, 2+protowire.SizeBytes(len(key))+protowire.SizeBytes(len(value)))
	dst = protowire.AppendTag(dst, 1, protowire.BytesType)
	dst = protowire.AppendString(dst, key)
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	return protowire.AppendString(dst, value)
}

// record is a stored event, checked. Its slices alias the stored bytes.
type record struct {
	wire      []byte // the whole RecordedEvent as it goes to a client
	idLen     int    // length of the id field, with which wire begins
	id        uuid.UUID
	stream    []byte
	eventType []byte
	data      []byte
	revision  uint64
	position  uint64
	created   int64
}

var (
	errChecksum  = errors.New("checksum does not match")
	errMalformed = errors.New("record is malformed")
	errMisplaced = errors.New("record belongs to another position")
	errMissing   = errors.New("record is missing")
)

// decodeRecord checks a stored value and takes it apart. Nothing that fails
// its checksum or lies about its position leaves this function.
func decodeRecord(position uint64, value []byte) (record, error) {
	if len(value) < crcLen {
		return record{}, &IntegrityError{Position: position, Err: errMalformed}
	}
	wire := value[crcLen:]
	if crc32.Checksum(wire, castagnoli()) != binary.BigEndian.Uint32(value) {
		return record{}, &IntegrityError{Position: position, Err: errChecksum}
	}
	r := record{wire: wire, created: -1}
	if !r.parse() {
		return record{}, &IntegrityError{Position: position, Err: errMalformed}
	}
	if r.position != position {
		return record{}, &IntegrityError{Position: position, Err: errMisplaced}
	}
	return r, nil
}

// parse reads the fields in whatever order they come, except that the id must
// come first: replacing it by its string form then is one copy.
func (r *record) parse() bool {
	rest := r.wire
	for len(rest) > 0 {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return false
		}
		rest = rest[n:]
		switch kind {
		case protowire.VarintType:
			v, m := protowire.ConsumeVarint(rest)
			if m < 0 {
				return false
			}
			rest = rest[m:]
			switch number {
			case fieldRevision:
				r.revision = v
			case fieldCommit:
				r.position = v
			default: // prepare: the same
			}
		case protowire.BytesType:
			v, m := protowire.ConsumeBytes(rest)
			if m < 0 {
				return false
			}
			rest = rest[m:]
			if !r.field(number, v, len(r.wire)-len(rest)) {
				return false
			}
		case protowire.Fixed32Type, protowire.Fixed64Type, protowire.StartGroupType, protowire.EndGroupType:
			return false
		default:
			return false
		}
	}
	return r.idLen > 0 && len(r.stream) > 0 && r.created >= 0
}

func (r *record) field(number protowire.Number, v []byte, end int) bool {
	switch number {
	case fieldID:
		r.idLen = end
		return parseStructuredID(v, &r.id)
	case fieldStream:
		_, _, n := protowire.ConsumeTag(v)
		if n < 0 {
			return false
		}
		name, m := protowire.ConsumeBytes(v[n:])
		r.stream = name
		return m >= 0
	case fieldMetadata:
		return r.metadata(v)
	case fieldData:
		r.data = v
	default: // custom metadata: only passed on
	}
	return true
}

func (r *record) metadata(entry []byte) bool {
	var pair [2][]byte
	for i := range pair {
		_, _, n := protowire.ConsumeTag(entry)
		if n < 0 {
			return false
		}
		v, m := protowire.ConsumeBytes(entry[n:])
		if m < 0 {
			return false
		}
		pair[i], entry = v, entry[n+m:]
	}
	switch string(pair[0]) {
	case metadataType:
		r.eventType = pair[1]
	case metadataCreated:
		created, err := strconv.ParseInt(string(pair[1]), 10, 64)
		r.created = created
		return err == nil
	}
	return true
}

func parseStructuredID(v []byte, id *uuid.UUID) bool {
	_, _, n := protowire.ConsumeTag(v)
	if n < 0 {
		return false
	}
	v, m := protowire.ConsumeBytes(v[n:])
	if m < 0 {
		return false
	}
	for i := range 2 {
		_, _, n := protowire.ConsumeTag(v)
		if n < 0 {
			return false
		}
		half, m := protowire.ConsumeVarint(v[n:])
		if m < 0 {
			return false
		}
		binary.BigEndian.PutUint64(id[8*i:], half)
		v = v[n+m:]
	}
	return true
}

// wireLen is the length of the RecordedEvent as appendWire writes it.
func (r *record) wireLen(stringID bool) int {
	if stringID {
		return len(r.wire) - r.idLen + stringIDLen
	}
	return len(r.wire)
}

func (r *record) appendWire(dst []byte, stringID bool) []byte {
	if stringID {
		return append(appendStringID(dst, r.id), r.wire[r.idLen:]...)
	}
	return append(dst, r.wire...)
}
