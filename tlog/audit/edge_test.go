package audit_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/tlog/audit"
)

// swept is a folder of tiles whose partial files are swept before any of them is read.
type swept struct {
	tiles [][]byte
	gone  map[string]bool
}

func (s swept) Read(_ context.Context, path string) ([]byte, error) {
	if s.gone[path] {
		return nil, fs.ErrNotExist
	}
	return bytes.Join(s.tiles, nil), nil
}

func TestOlder_SweptMeanwhile(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "tile", "0", "000.p")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	for _, name := range []string{"1", "2", "3"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), nil, 0o600))
	}
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer func() { assert.NoError(t, root.Close()) }()
	hashes := [][]byte{make([]byte, 32), make([]byte, 32), make([]byte, 32)}
	source := swept{hashes, map[string]bool{"tile/0/000.p/1": true, "tile/0/000.p/2": true}}
	found, err := audit.OlderTiles(t.Context(), root, source, hashes)
	require.NoError(t, err)
	assert.Empty(t, found, "they were listed, and nobody needs them")
	found, err = audit.OlderTiles(t.Context(), root, source, hashes, 2)
	require.NoError(t, err)
	require.Len(t, found, 1, "a tree of two leaves was signed")
	assert.Equal(t, "tile/0/000.p/2", found[0].Where)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tile", "0", "000"), nil, 0o600))
	found, err = audit.OlderTiles(t.Context(), root, source, hashes, 2)
	require.NoError(t, err)
	assert.Empty(t, found, "the full tile has taken their place")
}
