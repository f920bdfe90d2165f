package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/obs"
	"github.com/tradetrail/tradetrail/internal/remote"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// A process is killed at random moments while it records and seals. Leaf n must be
// event n, no leaf may be there twice and none missing, and every checkpoint that
// was ever signed must be of the log that there is in the end.
func TestKill_WhileSealing(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some seconds: not in short mode")
	}
	dataDir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	next, lives := 0, rounds(4, 200)
	redis := redisURL(t) // one that outlives them: read models in memory would begin anew in each life
	for life := range lives {
		server := startServer(t, dataDir, redis, "--tlog=true")
		client, err := remote.New(server.URL)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		died := make(chan struct{})
		lived := time.After(time.Duration(random.Int64N(int64(1500 * time.Millisecond))))
		go func() {
			defer close(died)
			<-lived
			server.kill()
			cancel()
		}()
		for {
			body := &strings.Builder{}
			for range 1 + random.IntN(400) {
				fmt.Fprintf(body, `{"event_id":"e%d","event_type":"order.submitted","occurred_at":"2026-03-02T14:30:00Z","order_id":"o%d"}`+"\n", next, next/7)
				next++
			}
			if _, err := client.Record(ctx, "kill", itemsOf(t, body.String())); err != nil {
				break
			}
		}
		<-died
		cancel()
		if (life+1)%20 == 0 {
			t.Logf("killed %d times, %d events sent", life+1, next)
		}
	}
	server := startServer(t, dataDir, redis, "--tlog=true")
	require.Zero(t, server.stop(), server.output())
	checkLog(t, dataDir)
}

func itemsOf(t *testing.T, body string) []ingest.Item {
	t.Helper()
	items, err := ingest.ParseBody(strings.NewReader(body), ingest.FramingLines)
	require.NoError(t, err)
	return items
}

// checkLog reads the log and the event store of a process that has ended.
func checkLog(t *testing.T, dataDir string) {
	t.Helper()
	ctx := t.Context()
	dir := filepath.Join(dataDir, "tlog")
	keys, err := tlog.ReadKeys(dir)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(keys[0].Verifier)
	require.NoError(t, err)
	files := client.FileFetcher{Root: dir}
	require.NoError(t, fsck.New(verifier.Name(), verifier, files, leafHashes, fsck.Opts{N: 1}).Check(ctx))

	checkpoint, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	require.NoError(t, err)
	newest, err := keys.Check(string(checkpoint))
	require.NoError(t, err)
	salt, err := tlog.ReadSaltKey(filepath.Join(dataDir, "keys", "salt.key"))
	require.NoError(t, err)

	cfg := config.Default()
	cfg.DataDir = dataDir
	store, err := app.OpenStore(cfg, obs.NewLogger(os.Stderr, 8))
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	size, root := uint64(0), map[uint64][]byte{0: rfc6962.DefaultHasher.EmptyRoot()}
	tree := newRange()
	digester := verify.NewDigester(salt)
	var bundle api.EntryBundle
	for r, err := range store.Forwards(ctx, domain.Position{}, 1<<40) {
		require.NoError(t, err)
		if r.System() || size == newest.Size {
			continue
		}
		if size%256 == 0 {
			bundle, err = client.GetEntryBundle(ctx, files.ReadEntryBundle, size/256, newest.Size)
			require.NoError(t, err)
		}
		leaf := bundle.Entries[size%256]
		require.Equal(t, string(tlog.LeafOf(digester, r)), string(leaf), "leaf %d", size)
		_, err = verify.ParseLeaf(leaf)
		require.NoError(t, err)
		require.NoError(t, tree.Append(rfc6962.DefaultHasher.HashLeaf(leaf), nil))
		size++
		root[size], err = tree.GetRootHash(nil)
		require.NoError(t, err)
	}
	require.Equal(t, newest.Size, size, "leaves without events")
	signed := 0
	require.NoError(t, tlog.History(dir, func(c tlog.Checkpoint) error {
		signed++
		require.Equal(t, root[c.Size], c.Root[:], "the checkpoint of %d leaves", c.Size)
		_, err := keys.Check(c.Note)
		return err
	}))
	t.Logf("%d leaves, %d checkpoints", size, signed)
	require.Positive(t, size)
}

func newRange() *compact.Range {
	return (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
}

func leafHashes(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(b.Entries))
	for i, leaf := range b.Entries {
		hashes[i] = rfc6962.DefaultHasher.HashLeaf(leaf)
	}
	return hashes, nil
}
