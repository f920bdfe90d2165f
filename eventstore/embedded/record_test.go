package embedded

import (
	"math"
	"strconv"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

// stored is a record as it would be in the log.
type stored struct {
	stream, eventType string
	id                uuid.UUID
	json              bool
	data, custom      []byte
	revision          uint64
	position          uint64
	created           int64
}

func (s stored) encode() []byte {
	p := newProposal(nil, s.stream, s.id, s.eventType, s.json, s.data, s.custom)
	place := appendPlace(nil, s.revision, s.position, s.created)
	value := make([]byte, crcLen+len(p.body)+len(place))
	putRecord(value, &p, place)
	return value
}

// message is what a client should get.
func (s stored) message(stringID bool) *streams.ReadResp_ReadEvent_RecordedEvent {
	most, least := esdb.UUIDAsInt64(s.id)
	id := &shared.UUID{Value: &shared.UUID_Structured_{
		Structured: &shared.UUID_Structured{MostSignificantBits: most, LeastSignificantBits: least},
	}}
	if stringID {
		id = &shared.UUID{Value: &shared.UUID_String_{String_: s.id.String()}}
	}
	contentType := wire.ContentTypeBinary
	if s.json {
		contentType = wire.ContentTypeJSON
	}
	return &streams.ReadResp_ReadEvent_RecordedEvent{
		Id:               id,
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(s.stream)},
		StreamRevision:   s.revision,
		PreparePosition:  s.position,
		CommitPosition:   s.position,
		Metadata:         map[string]string{"type": s.eventType, "content-type": contentType, "created": strconv.FormatInt(s.created, 10)},
		CustomMetadata:   s.custom,
		Data:             s.data,
	}
}

func drawStored(t *rapid.T) stored {
	return stored{
		stream:    rapid.StringN(1, 60, -1).Draw(t, "stream"),
		eventType: rapid.StringN(1, 60, -1).Draw(t, "type"),
		id:        uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
		json:      rapid.Bool().Draw(t, "json"),
		data:      rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data"),
		custom:    rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "custom"),
		revision:  rapid.Uint64Range(0, tombstoneRevision).Draw(t, "revision"),
		position:  rapid.Uint64Range(1, math.MaxUint64-1).Draw(t, "position"),
		created:   rapid.Int64Range(0, math.MaxInt64).Draw(t, "created"),
	}
}

func TestRecord_IsTheMessageClientsGet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, link := drawStored(t), drawStored(t)
		stringID := rapid.Bool().Draw(t, "string id")
		r, err := decodeRecord(in.position, in.encode())
		require.NoError(t, err)
		assert.Equal(t, in.id, r.id)
		assert.Equal(t, in.stream, string(r.stream))
		assert.Equal(t, in.eventType, string(r.eventType))
		assert.Equal(t, string(in.data), string(r.data))
		assert.Equal(t, in.revision, r.revision)
		assert.Equal(t, in.created, r.created)

		l, err := decodeRecord(link.position, link.encode())
		require.NoError(t, err)
		var f frames
		f.event(&r, nil, stringID)
		f.event(&r, &l, stringID)
		f.event(nil, &l, stringID)
		f.checkpoint(in.position)
		var got []*streams.ReadResp
		require.NoError(t, f.all(func(b frame) error {
			var resp streams.ReadResp
			got = append(got, &resp)
			return proto.Unmarshal(b, &resp)
		}))
		require.Len(t, got, 4)
		for i, want := range []*streams.ReadResp_ReadEvent{
			{Event: in.message(stringID), Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: in.position}},
			{Event: in.message(stringID), Link: link.message(stringID), Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: link.position}},
			{Link: link.message(stringID), Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: link.position}},
		} {
			assert.True(t, proto.Equal(want, got[i].GetEvent()), "want %v\ngot %v", want, got[i].GetEvent())
		}
		assert.Equal(t, in.position, got[3].GetCheckpoint().GetCommitPosition())
		assert.Equal(t, in.position, got[3].GetCheckpoint().GetPreparePosition())
	})
}

func TestRecord_EveryFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	in := stored{stream: "order-1", eventType: "order.accepted", id: uuid.New(), data: []byte(`{"n":1}`), revision: 7, position: 4711, created: 1}
	value := in.encode()
	for bit := range len(value) * 8 {
		value[bit/8] ^= 1 << (bit % 8)
		_, err := decodeRecord(in.position, value)
		var integrity *IntegrityError
		require.ErrorAs(t, err, &integrity, "bit %d", bit)
		assert.Equal(t, in.position, integrity.Position)
		value[bit/8] ^= 1 << (bit % 8)
	}
	_, err := decodeRecord(in.position, value)
	require.NoError(t, err)
	_, err = decodeRecord(in.position+1, value)
	require.ErrorIs(t, err, errMisplaced)
}

func FuzzDecodeRecord(f *testing.F) {
	in := stored{stream: "order-1", eventType: "order.accepted", id: uuid.New(), data: []byte(`{"n":1}`), revision: 7, position: 4711, created: 1}
	f.Add(in.encode()[crcLen:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		r := record{encoded: encoded}
		if !r.parse() {
			return
		}
		// What is accepted must be usable without a panic, in both forms.
		var out frames
		out.event(&r, nil, true)
		out.event(&r, nil, false)
		assert.Equal(t, 2, out.len())
	})
}

func TestRecents_ForgetTheOldestFirst(t *testing.T) {
	t.Parallel()
	c := newRecents(3)
	all := []uuid.UUID{uuid.New(), uuid.New(), uuid.New(), uuid.New()}
	for i, id := range all[:3] {
		c.add(id, 1, int64(i))
	}
	// The first one again: its new place must survive the end of its old one.
	c.add(all[0], 1, 3)
	c.add(all[3], 1, 4)
	_, ok := c.find(all[1], 1)
	assert.False(t, ok, "the oldest must be gone")
	revision, ok := c.find(all[0], 1)
	assert.True(t, ok)
	assert.EqualValues(t, 3, revision)
	_, ok = c.find(all[0], 2)
	assert.False(t, ok, "another stream")
	for range 1000 {
		c.add(uuid.New(), 1, 0)
	}
	assert.Len(t, c.slots, 3)
	assert.Len(t, c.ring, 3)
}

func TestParseMeta_IgnoresWhatItCannotUnderstand(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]streamMeta{
		``:                              {},
		`[]`:                            {},
		`{"$maxCount":"three"}`:         {},
		`{"$maxCount":-1,"$tb":-5}`:     {},
		`{"$maxCount":3,"other":{}}`:    {maxCount: 3},
		`{"$maxAge":60}`:                {maxAge: 60e9},
		`{"$maxAge":92233720368547758}`: {},
		`{"$tb":9223372036854775807}`:   {truncateBefore: tombstoneRevision},
	} {
		assert.Equal(t, want, parseMeta([]byte(document)), document)
	}
}
