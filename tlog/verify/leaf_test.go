package verify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

func TestLeaf_Golden(t *testing.T) {
	id := uuid.MustParse("0197b0a4-8a2e-7c3e-9d43-5f6f3f0e2a11")
	salt := verify.SaltOf([]byte("key"), "order-4 2\n", 7, id)
	leaf := verify.Leaf{
		Position: domain.Position{Commit: 120, Prepare: 119}, Stream: "order-4 2\n", Revision: 7, ID: id,
		Created: time.Date(2026, 3, 2, 14, 30, 0, 1000, time.UTC),
		Digest:  verify.DigestOf(salt, verify.Payload{Type: "order.filled", Data: []byte(`{"a":1}`), Metadata: []byte("{}")}),
	}
	assert.Equal(t, "tradetrail/leaf/v1\nC:120/P:119\norder-4%202%0A\n7\n0197b0a4-8a2e-7c3e-9d43-5f6f3f0e2a11\n"+
		"2026-03-02T14:30:00.000001Z\n"+leaf.Digest.String()+"\n", string(leaf.Marshal()))
}

// What docs/formats.md says of salt and digest, written down once more; and one
// digester gives the same for each event, whatever it was asked before.
func TestDigester_AsDocumented(t *testing.T) {
	key := []byte("the log's salt key, of 32 bytes.")
	digester := verify.NewDigester(key)
	rapid.Check(t, func(t *rapid.T) {
		leaf := verify.Leaf{
			Stream:   rapid.String().Draw(t, "stream"),
			Revision: rapid.Uint64().Draw(t, "revision"),
			ID:       uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
		}
		p := verify.Payload{
			Type: rapid.String().Draw(t, "type"),
			Data: rapid.SliceOfN(rapid.Byte(), 0, 700).Draw(t, "data"), Metadata: rapid.SliceOf(rapid.Byte()).Draw(t, "metadata"),
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "tradetrail/salt/v1\n%s\n%d\n%s\n", url.PathEscape(leaf.Stream), leaf.Revision, leaf.ID)
		salt := mac.Sum(nil)
		require.Equal(t, verify.Salt(salt), digester.Salt(leaf.Stream, leaf.Revision, leaf.ID))
		require.Equal(t, verify.Salt(salt), verify.SaltOf(key, leaf.Stream, leaf.Revision, leaf.ID))
		said := sha256.New()
		said.Write([]byte("tradetrail/event/v1\n"))
		said.Write(salt)
		for _, part := range [][]byte{[]byte(p.Type), p.Data, p.Metadata} {
			require.NoError(t, binary.Write(said, binary.BigEndian, uint64(len(part))))
			said.Write(part)
		}
		require.Equal(t, verify.Digest(said.Sum(nil)), digester.Digest(&leaf, p))
		require.Equal(t, verify.Digest(said.Sum(nil)), verify.DigestOf(verify.Salt(salt), p))
	})
}

// What one event costs in digests and its leaf.
func BenchmarkDigester(b *testing.B) {
	digester := verify.NewDigester(make([]byte, 32))
	leaf := verify.Leaf{Position: domain.Position{Commit: 1 << 30, Prepare: 1 << 30}, Stream: "order-ord_00042", Revision: 7, ID: uuid.UUID{1}, Created: time.Unix(1_700_000_000, 1000)}
	said := verify.Payload{Type: "order.filled", Data: make([]byte, 250), Metadata: make([]byte, 50)}
	text := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		leaf.Digest = digester.Digest(&leaf, said)
		text = leaf.AppendTo(text[:0])
		verify.LeafHash(text)
	}
}

func TestLeaf_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaf := verify.Leaf{
			Position: domain.Position{Commit: rapid.Uint64().Draw(t, "commit"), Prepare: rapid.Uint64().Draw(t, "prepare")},
			Stream:   rapid.String().Draw(t, "stream"),
			Revision: rapid.Uint64().Draw(t, "revision"),
			ID:       uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
			Created:  time.Unix(0, rapid.Int64Range(0, 1<<62).Draw(t, "created")).UTC(),
			Digest:   verify.Digest(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest")),
		}
		read, err := verify.ParseLeaf(leaf.Marshal())
		require.NoError(t, err)
		require.Equal(t, leaf, read)
	})
}

func FuzzParseLeaf(f *testing.F) {
	f.Add([]byte("tradetrail/leaf/v1\nC:120/P:119\norder-4%202%0A\n7\n0197b0a4-8a2e-7c3e-9d43-5f6f3f0e2a11\n" +
		"2026-03-02T14:30:00.000001Z\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if leaf, err := verify.ParseLeaf(text); err == nil {
			assert.Equal(t, text, leaf.Marshal())
		}
	})
}
