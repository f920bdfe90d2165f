package prove_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/prove"
	"github.com/tradetrail/tradetrail/tlog/stamp"
	"github.com/tradetrail/tradetrail/tlog/stamp/stamptest"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// stamps are the checkpoints that were stamped, by their sizes.
type stamps struct {
	t         *testing.T
	authority *stamptest.Authority
	sizes     []uint64
	notes     map[uint64]string
}

func (s stamps) Timestamp(size uint64, _ time.Time) (checkpoint string, token verify.Bytes, ok bool, err error) {
	for _, at := range s.sizes {
		if at >= size {
			digest := sha256.Sum256([]byte(s.notes[at]))
			return s.notes[at], s.authority.Token(s.t, digest[:], time.Now()), true, nil
		}
	}
	return "", nil, false, nil
}

func TestProver_ShowsTheFirstTimestampThatCoversAll(t *testing.T) {
	w := newWorld(t)
	s := stamps{t, stamptest.Start(t, nil), []uint64{300, 450, size}, map[uint64]string{}}
	for _, at := range s.sizes {
		var leaves [][]byte
		for leaf, err := range w.log.At(size).Leaves(t.Context(), 0, at) {
			require.NoError(t, err)
			leaves = append(leaves, leaf)
		}
		root, err := verify.RootOf(0, at, leaves, nil)
		require.NoError(t, err)
		signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("prove.example\n%d\n%s\n", at, root)}, w.signer)
		require.NoError(t, err)
		s.notes[at] = string(signed)
	}
	roots, err := stamp.ParseRoots(s.authority.Roots)
	require.NoError(t, err)
	for id, want := range map[string]uint64{"299": 300, "300": 450, "451": size} {
		var out bytes.Buffer
		require.NoError(t, w.prover().WithTimestamps(s).Event(t.Context(), &out, uuid.NewSHA1(uuid.Nil, []byte(id)), "", prove.Options{}))
		verdict, err := verify.Bundle(&out, verify.Trust{Keys: w.keys, Authorities: roots}, nil)
		require.NoError(t, err)
		require.True(t, verdict.Verified, "%v", verdict.Failures)
		assert.Equal(t, want, verdict.Timestamp.Size)
		assert.NotContains(t, fmt.Sprint(verdict.NotProven), "timestamp")
	}
	s.sizes = s.sizes[:1]
	var out bytes.Buffer
	require.NoError(t, w.prover().WithTimestamps(s).Event(t.Context(), &out, uuid.NewSHA1(uuid.Nil, []byte("300")), "", prove.Options{}))
	assert.NotContains(t, out.String(), "timestamp", "there is none yet")

	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("prove.example\n300\n%s\n", verify.Digest{1})}, w.signer)
	require.NoError(t, err)
	s.notes[300] = string(signed)
	err = w.prover().WithTimestamps(s).Event(t.Context(), &out, uuid.NewSHA1(uuid.Nil, []byte("7")), "", prove.Options{})
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "a rewritten history: %v", err)
}
