package tiles_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/tiles"
	"github.com/tradetrail/tradetrail/tlog/tiles/tilestest"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// leaves have positions 10, 20, 30 ...
func leaves(count int) [][]byte {
	all := make([][]byte, count)
	for i := range all {
		place := uint64(i+1) * 10
		leaf := verify.Leaf{
			Position: domain.Position{Commit: place, Prepare: place}, Stream: fmt.Sprintf("order-%d", i%7), Revision: uint64(i / 7),
			ID: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i)), Created: time.Unix(1e9+int64(i), 0),
		}
		all[i] = leaf.Marshal()
	}
	return all
}

// written is a log that Tessera wrote in two goes, so that it has partial tiles
// of both sizes.
func written(tb testing.TB, count int) (folder string, all [][]byte) {
	tb.Helper()
	folder, all = tb.TempDir(), leaves(count)
	signer, _ := tilestest.Key(tb, "tiles.example")
	tilestest.Write(tb, folder, signer, all[:count/3])
	tilestest.Write(tb, folder, signer, all[count/3:])
	return folder, all
}

func open(tb testing.TB, folder string) *tiles.Log {
	tb.Helper()
	source, err := tiles.OpenFolder(folder)
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, source.Close()) })
	return tiles.New(source)
}

// root is computed the long way.
func root(all [][]byte) []byte {
	switch len(all) {
	case 0:
		return rfc6962.DefaultHasher.EmptyRoot()
	case 1:
		return rfc6962.DefaultHasher.HashLeaf(all[0])
	}
	middle := 1
	for middle*2 < len(all) {
		middle *= 2
	}
	return rfc6962.DefaultHasher.HashChildren(root(all[:middle]), root(all[middle:]))
}

func TestTree_ProvesWhatTesseraWrote(t *testing.T) {
	const count = 900
	folder, all := written(t, count)
	log := open(t, folder)
	rapid.Check(t, func(rt *rapid.T) {
		ctx := t.Context()
		size := rapid.SampledFrom([]uint64{count / 3, count}).Draw(rt, "size")
		tree := log.At(size)
		want := root(all[:size])
		got, err := tree.Root(ctx)
		require.NoError(rt, err)
		require.Equal(rt, want, got)

		index := rapid.Uint64Range(0, size-1).Draw(rt, "index")
		leaf, err := tree.Leaf(ctx, index)
		require.NoError(rt, err)
		require.Equal(rt, all[index], leaf)
		hashes, err := tree.Inclusion(ctx, index)
		require.NoError(rt, err)
		require.NoError(rt, proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, rfc6962.DefaultHasher.HashLeaf(leaf), hashes, want))

		older := rapid.Uint64Range(1, size).Draw(rt, "older")
		hashes, err = tree.Consistency(ctx, older)
		require.NoError(rt, err)
		require.NoError(rt, proof.VerifyConsistency(rfc6962.DefaultHasher, older, size, hashes, root(all[:older]), want))

		end := rapid.Uint64Range(index+1, size).Draw(rt, "end")
		beside, err := tree.Run(ctx, index, end)
		require.NoError(rt, err)
		computed, err := verify.RootOf(index, size, all[index:end], beside)
		require.NoError(rt, err)
		require.Equal(rt, want, computed[:])
	})
}

func TestTree_ReadsLeavesInOrder(t *testing.T) {
	folder, all := written(t, 600)
	tree := open(t, folder).At(600)
	var got [][]byte
	for leaf, err := range tree.Leaves(t.Context(), 250, 520) {
		require.NoError(t, err)
		got = append(got, leaf)
	}
	assert.Equal(t, all[250:520], got)
	for _, err := range tree.Leaves(t.Context(), 599, 601) {
		if err != nil {
			assert.Equal(t, domain.ClassNotFound, domain.ClassOf(err))
			return
		}
	}
	assert.Fail(t, "leaf 600 of 600 was read")
}

func TestTree_FindsPositions(t *testing.T) {
	folder, all := written(t, 600)
	log := open(t, folder)
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.SampledFrom([]uint64{0, 200, 600}).Draw(rt, "size")
		place := rapid.Uint64Range(0, uint64(len(all)+2)*10).Draw(rt, "place")
		index, exact, err := log.At(size).Find(t.Context(), domain.Position{Commit: place, Prepare: place})
		require.NoError(rt, err)
		want := min(size, (max(place, 1)-1)/10)
		require.Equal(rt, want, index)
		require.Equal(rt, place%10 == 0 && place > 0 && place/10 <= size, exact)
	})
}

func TestTree_ReadsOverHTTP(t *testing.T) {
	folder, all := written(t, 300)
	server := httptest.NewServer(http.StripPrefix("/log/", http.FileServer(http.Dir(folder))))
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	base, err := url.Parse(server.URL + "/log/")
	require.NoError(t, err)
	log := tiles.New(tiles.NewServer(base, server.Client()))
	checkpoint, err := log.Checkpoint(t.Context())
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(checkpoint), "tiles.example\n300\n"))
	got, err := log.At(300).Root(t.Context())
	require.NoError(t, err)
	assert.Equal(t, root(all), got)
}

func TestTree_NamesDamage(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"missing":   os.Remove,
		"too short": func(path string) error { return os.WriteFile(path, make([]byte, 32), 0o600) },
		"torn":      func(path string) error { return os.WriteFile(path, make([]byte, 33), 0o600) },
		"empty":     func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			folder, _ := written(t, 300)
			require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && !entry.IsDir() && (strings.HasSuffix(path, "/000") || strings.HasSuffix(path, "/001.p/44")) {
					err = damage(path)
				}
				return err
			}))
			tree := open(t, folder).At(300)
			_, err := tree.Leaf(t.Context(), 7)
			require.Error(t, err)
			assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "%v", err)
			_, err = tree.Root(t.Context())
			require.Error(t, err)
			assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "%v", err)
		})
	}
}

func TestLog_WithoutCheckpoint(t *testing.T) {
	_, err := open(t, t.TempDir()).Checkpoint(t.Context())
	require.Error(t, err)
	assert.Equal(t, domain.ClassNotFound, domain.ClassOf(err))
}

// away stands for a log that can't be reached.
type away struct{}

func (away) Read(context.Context, string) ([]byte, error) { return nil, os.ErrDeadlineExceeded }

func TestLog_OutOfReachIsTransient(t *testing.T) {
	_, err := tiles.New(away{}).At(5).Leaf(t.Context(), 1)
	require.Error(t, err)
	assert.Equal(t, domain.ClassTransient, domain.ClassOf(err))
}

func TestTree_FindsAnEventByItsID(t *testing.T) {
	const count = 900
	folder, all := written(t, count)
	log := open(t, folder)
	id := func(i int) uuid.UUID { return uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i)) }
	for _, i := range []int{0, 1, 255, 256, 511, 767, 768, 899} {
		indexes, err := log.At(count).FindID(t.Context(), id(i), 2)
		require.NoError(t, err)
		require.Equal(t, []uint64{uint64(i)}, indexes)
	}
	indexes, err := log.At(count).FindID(t.Context(), id(count), 2)
	require.NoError(t, err)
	require.Empty(t, indexes, "nobody's")
	indexes, err = log.At(count/3).FindID(t.Context(), id(count/3), 2)
	require.NoError(t, err)
	require.Empty(t, indexes, "it is behind the smaller tree, in a file of both")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "tile", "entries", "001"), all[0], 0o600))
	_, err = log.At(count).FindID(t.Context(), id(0), 2)
	require.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "what can't be read is not passed over: %v", err)
}

// How long an event is looked for by its id alone, through a whole log.
func BenchmarkTree_FindID(b *testing.B) {
	const count = 100_000
	folder, _ := written(b, count)
	log := open(b, folder)
	for b.Loop() {
		indexes, err := log.At(count).FindID(b.Context(), uuid.Nil, 2)
		require.NoError(b, err)
		require.Empty(b, indexes)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/count, "ns/leaf")
}
