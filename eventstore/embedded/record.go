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

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
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

// ticks: `created` counts steps since the Unix epoch.
func ticks(t time.Time) int64 { return t.UnixNano() / wire.NanosPerTick }

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

// arena is memory for the bodies of a request's events, which come and go
// together: one piece costs less than hundreds. Nil makes each by itself.
type arena struct{ free []byte }

// take gives room for so many bytes.
func (a *arena) take(size int) []byte {
	if a == nil || len(a.free) < size {
		return make([]byte, 0, size)
	}
	taken := a.free[:0:size]
	a.free = a.free[size:]
	return taken
}

func newProposal(memory *arena, stream string, id uuid.UUID, eventType string, isJSON bool, data, custom []byte) proposal {
	contentType := wire.ContentTypeBinary
	if isJSON {
		contentType = wire.ContentTypeJSON
	}
	body := memory.take(96 + len(stream) + len(eventType) + len(data) + len(custom))
	body = wire.AppendUUID(body, wire.FieldRecordedID, id)
	body = wire.AppendStream(body, wire.FieldRecordedStream, stream)
	body = wire.AppendProperty(body, wire.FieldRecordedMetadata, wire.MetadataType, eventType)
	body = wire.AppendProperty(body, wire.FieldRecordedMetadata, wire.MetadataContentType, contentType)
	body = protowire.AppendTag(body, wire.FieldRecordedCustom, protowire.BytesType)
	body = protowire.AppendBytes(body, custom)
	body = protowire.AppendTag(body, wire.FieldRecordedData, protowire.BytesType)
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
	dst = protowire.AppendTag(dst, wire.FieldRecordedRevision, protowire.VarintType)
	dst = protowire.AppendVarint(dst, revision)
	dst = protowire.AppendTag(dst, wire.FieldRecordedPrepare, protowire.VarintType)
	dst = protowire.AppendVarint(dst, position)
	dst = protowire.AppendTag(dst, wire.FieldRecordedCommit, protowire.VarintType)
	dst = protowire.AppendVarint(dst, position)
	return wire.AppendProperty(dst, wire.FieldRecordedMetadata, wire.MetadataCreated, strconv.FormatInt(created, 10))
}

// putRecord fills dst, of length crcLen+len(p.body)+len(place), with the stored form.
func putRecord(dst []byte, p *proposal, place []byte) {
	copy(dst[crcLen:], p.body)
	copy(dst[crcLen+len(p.body):], place)
	binary.BigEndian.PutUint32(dst, crc32.Update(p.crc, castagnoli(), place))
}

// record is a stored event, checked. Its slices alias the stored bytes.
type record struct {
	encoded   []byte // the whole RecordedEvent as it goes to a client
	idLen     int    // length of the id field, with which encoded begins
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
	encoded := value[crcLen:]
	if crc32.Checksum(encoded, castagnoli()) != binary.BigEndian.Uint32(value) {
		return record{}, &IntegrityError{Position: position, Err: errChecksum}
	}
	r := record{encoded: encoded}
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
	var e wire.Recorded
	if err := e.Decode(r.encoded); err != nil {
		return false
	}
	r.idLen, r.id, r.stream, r.eventType, r.data = e.IDEnd, e.ID, e.Stream, e.Type, e.Data
	r.revision, r.position, r.created = e.Revision, e.Commit, e.Created
	return r.idLen > 0 && len(r.stream) > 0 && r.created >= 0
}

// wireLen is the length of the RecordedEvent as appendWire writes it.
func (r *record) wireLen(stringID bool) int {
	if stringID {
		return len(r.encoded) - r.idLen + wire.SizeUUIDString
	}
	return len(r.encoded)
}

func (r *record) appendWire(dst []byte, stringID bool) []byte {
	if stringID {
		return append(wire.AppendUUIDString(dst, wire.FieldRecordedID, r.id), r.encoded[r.idLen:]...)
	}
	return append(dst, r.encoded...)
}
