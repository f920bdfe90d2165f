package tiles

import (
	"context"
	"errors"
	"io/fs"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tradetrail/tradetrail/domain"
)

// What is remembered: only full files, which never change. A tile has 8 KiB; a
// bundle of entries of ours about 60, and at most 16 MiB.
const (
	tilesKept   = 512
	bundlesKept = 32
	placesKept  = 1 << 14 // of four million leaves each 256th
)

// Log reads a log. All methods may be called concurrently.
type Log struct {
	source  Source
	tiles   *lru.Cache[address, [][]byte]
	bundles *lru.Cache[uint64, [][]byte]
	places  *lru.Cache[uint64, domain.Position] // of the first leaf of a bundle
}

type address struct{ level, index uint64 }

// New reads the log of a source.
func New(source Source) *Log {
	tiles, err := lru.New[address, [][]byte](tilesKept)
	if err != nil {
		panic(err) // the size is ours
	}
	bundles, err := lru.New[uint64, [][]byte](bundlesKept)
	if err != nil {
		panic(err)
	}
	places, err := lru.New[uint64, domain.Position](placesKept)
	if err != nil {
		panic(err)
	}
	return &Log{source, tiles, bundles, places}
}

// Checkpoint returns the newest signed checkpoint, as it is: nothing of it is
// checked. A log that has none yet is domain.ClassNotFound.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	text, err := l.source.Read(ctx, layout.CheckpointPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, outside("the log has no checkpoint yet")
	}
	if err != nil {
		return nil, unreadable(layout.CheckpointPath, err)
	}
	return text, nil
}

// witnessedPath is beside the checkpoint: the newest one that witnesses have signed.
const witnessedPath = "checkpoint.witnessed"

// Witnessed is Checkpoint for the newest one that witnesses have signed; it is empty
// where there is none.
func (l *Log) Witnessed(ctx context.Context) ([]byte, error) {
	text, err := l.source.Read(ctx, witnessedPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(witnessedPath, err)
	}
	return text, nil
}

// At is the tree of the first size leaves. Some checkpoint of the log must have
// had this size: trees between two checkpoints may lack their own tiles.
func (l *Log) At(size uint64) Tree { return Tree{l, size} }

// tile reads a tile of which at least the first want nodes are needed, at a
// size of the tree that has them.
func (l *Log) tile(ctx context.Context, at address, size uint64) ([][]byte, error) {
	if nodes, ok := l.tiles.Get(at); ok {
		return nodes, nil
	}
	partial := layout.PartialTileSize(at.level, at.index, size)
	text, path, full, err := l.read(ctx, partial, func(p uint8) string { return layout.TilePath(at.level, at.index, p) })
	if err != nil {
		return nil, err
	}
	var tile api.HashTile
	if err := tile.UnmarshalText(text); err != nil {
		return nil, damaged("%s: %v", path, err)
	}
	if err := wide(len(tile.Nodes), partial, full, path); err != nil {
		return nil, err
	}
	if full {
		l.tiles.Add(at, tile.Nodes)
	}
	return tile.Nodes, nil
}

func (l *Log) bundle(ctx context.Context, index, size uint64) ([][]byte, error) {
	if entries, ok := l.bundles.Get(index); ok {
		return entries, nil
	}
	entries, full, err := l.readBundle(ctx, index, size)
	if full {
		l.bundles.Add(index, entries)
	}
	return entries, err
}

// readBundle reads a bundle without remembering it.
func (l *Log) readBundle(ctx context.Context, index, size uint64) (entries [][]byte, full bool, err error) {
	partial := layout.PartialTileSize(0, index, size)
	text, path, full, err := l.read(ctx, partial, func(p uint8) string { return layout.EntriesPath(index, p) })
	if err != nil {
		return nil, false, err
	}
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(text); err != nil {
		return nil, false, damaged("%s: %v", path, err)
	}
	if err := wide(len(bundle.Entries), partial, full, path); err != nil {
		return nil, false, err
	}
	return bundle.Entries, full, nil
}

// read looks for the partial file, then for the full one: a log that has grown
// may have removed the partial one.
func (l *Log) read(ctx context.Context, partial uint8, name func(uint8) string) (text []byte, path string, full bool, err error) {
	for _, p := range []uint8{partial, 0} {
		path = name(p)
		text, err = l.source.Read(ctx, path)
		if !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				err = unreadable(path, err)
			}
			return text, path, p == 0, err
		}
	}
	return nil, path, false, damaged("%s is missing: the log is shorter than its checkpoint says", path)
}

func wide(got int, partial uint8, full bool, path string) error {
	want := int(partial)
	if full {
		want = layout.TileWidth
	}
	if got != want {
		return damaged("%s has %d entries instead of %d", path, got, want)
	}
	return nil
}
