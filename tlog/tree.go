package tlog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/tlog/verify"
)

// tree is the folder of tiles and a count of its own: the hashes of all leaves, as
// far as the root needs them. It belongs to one goroutine, which must hold the
// folder's lock; after an error it must be opened anew.
//
// What Tessera does with a batch, in this order: entry bundles, tiles, and then one
// small file that says how long the tree is, each synced and renamed into place. A
// death before the last leaves bundles and tiles that reach further than the
// tree. Nobody reads them, and since event n is leaf n they are written over with
// the same bytes. So the tree has a whole batch or nothing of it.
//
// An error leaves the same choice open, but Tessera would go on with what was
// queued behind. Therefore each batch has an appender of its own whose queue is as
// long as the batch: it is flushed once, by its last entry, and nothing is behind
// it. (An appender is a few reads and two goroutines.)
type tree struct {
	dir     string
	storage appending
	reader  tessera.LogReader
	seen    *compact.Range
}

// appending is what Tessera's POSIX driver does. NewAppender would do it too, and
// read the state of the tree twenty times a second for its own metrics.
type appending interface {
	Appender(ctx context.Context, opts *tessera.AppendOptions) (*tessera.Appender, tessera.LogReader, error)
}

// never is a time that does not come: checkpoints are ours to publish, since
// Tessera compares the clock with the times of files, and would wait for a clock
// that was put back.
const never = time.Duration(math.MaxInt64)

func newStorage(ctx context.Context, dir string) (appending, error) {
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return nil, fmt.Errorf("opening the tree: %w", err)
	}
	storage, ok := driver.(appending)
	if !ok {
		return nil, fmt.Errorf("opening the tree: %T can't append", driver)
	}
	return storage, nil
}

func appendOptions(s note.Signer, batch int) *tessera.AppendOptions {
	return tessera.NewAppendOptions().WithCheckpointSigner(s).WithBatching(uint(batch), never).
		WithCheckpointInterval(never).WithCheckpointRepublishInterval(0).WithGarbageCollectionInterval(0)
}

// createTree makes an empty tree, and its first checkpoint.
func createTree(ctx context.Context, dir string, s note.Signer) error {
	storage, err := newStorage(ctx, dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, _, err := storage.Appender(ctx, appendOptions(s, 1)); err != nil {
		return fmt.Errorf("making the tree: %w", err)
	}
	return nil
}

// openTree reads how far the tree is, and whether its right edge is whole.
func openTree(ctx context.Context, dir string) (*tree, error) {
	if _, err := os.Stat(filepath.Join(dir, ".state", "treeState")); err != nil {
		return nil, damaged("the state of the tree", err) // Tessera would begin a new one
	}
	storage, err := newStorage(ctx, dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, reader, err := storage.Appender(ctx, appendOptions(unwilling{}, 1))
	if err != nil {
		return nil, fmt.Errorf("opening the tree: %w", err)
	}
	t := &tree{dir: dir, storage: storage, reader: reader}
	size, err := reader.IntegratedSize(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the size of the tree: %w", err)
	}
	t.seen, err = t.onDisk(ctx, size)
	return t, err
}

func (t *tree) size() uint64 { return t.seen.End() }

// onDisk reads the hashes that the root of a size follows from.
func (t *tree) onDisk(ctx context.Context, size uint64) (*compact.Range, error) {
	hashes := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren})
	if size == 0 {
		return hashes.NewEmptyRange(0), nil
	}
	nodes, err := client.FetchRangeNodes(ctx, size, t.reader.ReadTile)
	if err != nil {
		return nil, t.unreadable(fmt.Sprintf("the right edge of %d leaves", size), err)
	}
	r, err := hashes.NewRange(0, size, nodes)
	if err != nil {
		return nil, damaged(fmt.Sprintf("the right edge of %d leaves", size), err)
	}
	return r, nil
}

// unreadable tells a file that is not there, or not what it must be, from a disk
// that does not answer.
func (t *tree) unreadable(what string, err error) error {
	if _, disk := errors.AsType[*os.PathError](err); disk && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return damaged(what, err)
}

func rootOf(r *compact.Range) (verify.Digest, error) {
	if r.End() == 0 {
		return verify.EmptyRoot(), nil
	}
	hash, err := r.GetRootHash(nil)
	if err != nil {
		return verify.Digest{}, fmt.Errorf("computing a root: %w", err)
	}
	return verify.Digest(hash), nil
}

// append adds leaves, all or none. It can't be cancelled, only fail: it takes as
// long as the disk does.
func (t *tree) append(ctx context.Context, leaves [][]byte) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	appender, _, err := t.storage.Appender(ctx, appendOptions(unwilling{}, len(leaves)))
	if err != nil {
		return fmt.Errorf("opening the tree: %w", err)
	}
	first := t.size()
	futures := make([]tessera.IndexFuture, len(leaves))
	for i, leaf := range leaves {
		if len(leaf) > tessera.DefaultEntrySizeLimit {
			return doubt(nil, "leaf %d has %d bytes, and no entry of the log may have as many", first+uint64(i), len(leaf))
		}
		futures[i] = appender.Add(ctx, tessera.NewEntry(leaf))
	}
	for i, index := range futures {
		at, err := index()
		if err != nil {
			return fmt.Errorf("appending leaves %d to %d: %w", first, first+uint64(len(leaves))-1, err)
		}
		if at.Index != first+uint64(i) {
			return doubt(nil, "leaf %d became leaf %d: somebody else writes to %s", first+uint64(i), at.Index, t.dir)
		}
		if err := t.seen.Append(rfc6962.DefaultHasher.HashLeaf(leaves[i]), nil); err != nil {
			return fmt.Errorf("counting leaf %d: %w", at.Index, err)
		}
	}
	return nil
}

// root is that of all leaves that were appended, after a look at whether the disk
// says the same: nothing else is ever signed.
func (t *tree) root(ctx context.Context) (verify.Digest, error) {
	disk, err := t.onDisk(ctx, t.size())
	if err != nil {
		return verify.Digest{}, err
	}
	written, err := rootOf(disk)
	if err != nil {
		return verify.Digest{}, err
	}
	meant, err := rootOf(t.seen)
	if err == nil && written != meant {
		err = doubt(nil, "the tiles of %d leaves say root %s, the events %s", t.size(), written, meant)
	}
	return meant, err
}

// sweep removes what there is of partial tiles and bundles between two sizes,
// where full ones have taken their place.
func (t *tree) sweep(from, to uint64) error {
	var problems []error
	remove := func(path string) {
		if err := os.RemoveAll(filepath.Join(t.dir, path+".p")); err != nil {
			problems = append(problems, fmt.Errorf("removing partial tiles: %w", err))
		}
	}
	for bundle := from / layout.EntryBundleWidth; bundle < to/layout.EntryBundleWidth; bundle++ {
		remove(layout.EntriesPath(bundle, 0))
		remove(layout.TilePath(0, bundle, 0))
		for level, index := uint64(1), bundle; index%layout.TileWidth == layout.TileWidth-1; level++ {
			index /= layout.TileWidth
			remove(layout.TilePath(level, index, 0))
		}
	}
	return errors.Join(problems...)
}

// unwilling stands where Tessera asks for a signer: checkpoints are signed
// elsewhere.
type unwilling struct{}

func (unwilling) Name() string { return "nobody" }

func (unwilling) KeyHash() uint32 { return 0 }

func (unwilling) Sign([]byte) ([]byte, error) { return nil, errors.New("the tree signs nothing") }
