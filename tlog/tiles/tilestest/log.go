// Package tilestest writes small logs for tests, with the library that writes
// the real one.
package tilestest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// Write appends leaves to the log in a folder, which may be empty, and waits
// until the checkpoint covers them.
func Write(tb testing.TB, folder string, signer note.Signer, leaves [][]byte) {
	tb.Helper()
	ctx := tb.Context()
	driver, err := posix.New(ctx, posix.Config{Path: folder})
	require.NoError(tb, err)
	options := tessera.NewAppendOptions().WithCheckpointSigner(signer).
		WithBatching(4096, 20*time.Millisecond).WithCheckpointInterval(100 * time.Millisecond).WithPushback(uint(len(leaves)) + 1)
	log, shutdown, _, err := tessera.NewAppender(ctx, driver, options)
	require.NoError(tb, err)
	added := make([]tessera.IndexFuture, 0, len(leaves))
	for _, leaf := range leaves {
		added = append(added, log.Add(ctx, tessera.NewEntry(leaf)))
	}
	for _, wait := range added {
		_, err := wait()
		require.NoError(tb, err)
	}
	require.NoError(tb, shutdown(ctx))
}

// Key makes the keys of a log. The same name gets other keys each time.
func Key(tb testing.TB, origin string) (signer note.Signer, verifier string) {
	tb.Helper()
	secret, verifier, err := note.GenerateKey(nil, origin)
	require.NoError(tb, err)
	signer, err = note.NewSigner(secret)
	require.NoError(tb, err)
	return signer, verifier
}
