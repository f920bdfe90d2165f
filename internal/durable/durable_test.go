package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/internal/durable"
)

func TestReplace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	// What a process that died has left is written over.
	require.NoError(t, os.WriteFile(path+".new", []byte("a longer text than the next one"), 0o600))
	for _, content := range []string{"first", "", "second"} {
		require.NoError(t, durable.Replace(path, []byte(content), 0o600))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, content, string(got))
		assert.NoFileExists(t, path+".new")
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestReplace_FollowsNoLinkOut(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.Symlink(outside, path+".new"))
	require.ErrorContains(t, durable.Replace(path, []byte("content"), 0o600), "writing "+path)
	assert.NoFileExists(t, outside)
	assert.NoFileExists(t, path)
}

func TestReplace_NoFolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none", "file")
	require.ErrorIs(t, durable.Replace(path, nil, 0o600), os.ErrNotExist)
	require.ErrorIs(t, durable.SyncDir(filepath.Dir(path)), os.ErrNotExist)
}
