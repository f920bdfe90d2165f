package fix

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// SetNumbers writes the numbers of session n.
func SetNumbers(t *testing.T, dir string, in, out int) {
	t.Helper()
	n, err := openNumbers(dir, "n")
	require.NoError(t, err)
	require.NoError(t, n.set(in, out))
	require.NoError(t, n.close())
}

// Numbers reads them.
func Numbers(t *testing.T, dir string) (in, out int) {
	t.Helper()
	n, err := openNumbers(dir, "n")
	require.NoError(t, err)
	defer func() { require.NoError(t, n.close()) }()
	return n.in, n.out
}

// WithOlderNumber makes a file of our newest number and of an older one expected.
func WithOlderNumber(newer, older []byte) []byte {
	dir, err := os.MkdirTemp("", "numbers")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	read := func(text []byte) *numbers {
		n := &numbers{}
		for at := 0; at+numbersBytes <= len(text); at += numbersBytes {
			n.read(text[at : at+numbersBytes])
		}
		return n
	}
	mixed, err := openNumbers(dir, "n")
	if err != nil {
		panic(err)
	}
	if err := mixed.set(read(older).in, read(newer).out); err != nil {
		panic(err)
	}
	if err := mixed.close(); err != nil {
		panic(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "n.seq"))
	if err != nil {
		panic(err)
	}
	return text
}
