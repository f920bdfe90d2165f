package domain_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden compares got with the file in testdata. Names in those files are
// storage formats: a difference is a decision, not a formality.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o600))
		return
	}
	assert.Equal(t, string(readTestdata(t, name)), string(got), "%s; -update rewrites it", path)
}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
	require.NoError(t, err)
	return data
}

// shapes returns the lines of testdata/shapes.ndjson: the examples of all three
// input shapes and the events that link them to one chain.
func shapes(t testing.TB) [][]byte {
	t.Helper()
	return bytes.Split(bytes.TrimSpace(readTestdata(t, "shapes.ndjson")), []byte("\n"))
}
