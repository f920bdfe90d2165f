package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tradetrail/tradetrail/tlog/tiles"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// edge grows the tree leaf by leaf and holds every tile that it completes against the
// file. It belongs to one goroutine.
type edge struct {
	tree   *compact.Range
	source tiles.Source
	found  *findings
	rows   []row // a row of tiles for each eighth level of the tree, the leaves first
	full   []uint64
}

// row is the tile that grows.
type row struct {
	index  uint64
	hashes [][]byte
	signed [width]bool // how many hashes it had when a tree was signed
}

func ranges() *compact.RangeFactory {
	return &compact.RangeFactory{Hash: func(left, right []byte) []byte {
		hash := verify.NodeHash(verify.Digest(left), verify.Digest(right))
		return hash[:]
	}}
}

func newEdge(source tiles.Source, found *findings) *edge {
	return &edge{tree: ranges().NewEmptyRange(0), source: source, found: found}
}

// resumeEdge is the edge of a tree whose hashes are known. The tiles that it began are
// taken from the files of the tree of size leaves that it has become; ok is false if
// these don't lead to the known hashes.
func resumeEdge(ctx context.Context, source tiles.Source, found *findings, size uint64, known progress) (e *edge, ok bool, err error) {
	e = newEdge(source, found)
	if e.tree, err = ranges().NewRange(0, known.Size, known.Hashes); err != nil {
		return nil, false, nil //nolint:nilerr // hashes of another size are none
	}
	for level, nodes := uint64(0), known.Size; nodes > 0; level, nodes = level+1, nodes/width {
		r := row{index: nodes / width}
		if count := int(nodes % width); count > 0 {
			partial := layout.PartialTileSize(level, r.index, size)
			text, _, err := readEither(ctx, source, partial, func(p uint8) string { return layout.TilePath(level, r.index, p) })
			if err != nil && problemOf(err) == "" {
				return nil, false, err
			}
			tile, _ := hashesIn(text, 0)
			if len(tile) < count {
				return nil, false, nil
			}
			r.hashes = append(r.hashes, tile[:count]...)
		}
		e.rows = append(e.rows, r)
	}
	return e, e.agrees(), nil
}

// agrees says whether the tiles that grow lead to the hashes of the tree.
func (e *edge) agrees() bool {
	known := e.tree.Hashes()
	for _, r := range slices.Backward(e.rows) {
		part := ranges().NewEmptyRange(0)
		for _, hash := range r.hashes {
			if part.Append(hash, nil) != nil {
				return false
			}
		}
		for _, hash := range part.Hashes() {
			if len(known) == 0 || !bytes.Equal(known[0], hash) {
				return false
			}
			known = known[1:]
		}
	}
	return len(known) == 0
}

func (e *edge) size() uint64 { return e.tree.End() }

// sign takes note that the tree as it is was signed: as long as a tile is not full,
// whoever has that checkpoint needs the file of this right edge.
func (e *edge) sign() {
	for level := range e.rows {
		r := &e.rows[level]
		r.signed[len(r.hashes)] = true
	}
}

// root is that of the leaves so far.
func (e *edge) root() verify.Digest {
	hash, err := e.tree.GetRootHash(nil)
	if err != nil || hash == nil {
		return verify.EmptyRoot()
	}
	return verify.Digest(hash)
}

// append adds a leaf. Tiles of leaves are the shelf's to compare; those above, ours.
func (e *edge) append(ctx context.Context, hash verify.Digest) error {
	e.full = e.full[:0]
	err := e.tree.Append(hash[:], func(id compact.NodeID, hash []byte) {
		if id.Level%layout.TileHeight != 0 {
			return
		}
		level := int(id.Level / layout.TileHeight)
		if level == len(e.rows) {
			e.rows = append(e.rows, row{})
		}
		r := &e.rows[level]
		if r.hashes = append(r.hashes, hash); len(r.hashes) == width {
			e.full = append(e.full, uint64(level)) //nolint:gosec // at most eight
		}
	})
	if err != nil {
		return fmt.Errorf("computing the tree at leaf %d: %w", e.size(), err)
	}
	for _, level := range e.full {
		r := &e.rows[level]
		if level > 0 {
			if err := e.compare(ctx, level, r, 0); err != nil {
				return err
			}
		}
		*r = row{index: r.index + 1, hashes: r.hashes[:0:0]}
	}
	return nil
}

// finish compares the tiles that are not full.
func (e *edge) finish(ctx context.Context, root *os.Root) error {
	for level := range e.rows {
		r := &e.rows[level]
		if err := e.older(ctx, root, Tile, func(p uint8) string { return layout.TilePath(uint64(level), r.index, p) }, r); err != nil { //nolint:gosec // at most eight
			return err
		}
		if level == 0 || len(r.hashes) == 0 {
			if level == 0 {
				if err := e.older(ctx, root, Entry, func(p uint8) string { return layout.EntriesPath(r.index, p) }, r); err != nil {
					return err
				}
			}
			continue
		}
		if err := e.compare(ctx, uint64(level), r, uint8(len(r.hashes))); err != nil { //nolint:gosec // below 256
			return err
		}
	}
	return nil
}

func (e *edge) compare(ctx context.Context, level uint64, r *row, partial uint8) error {
	text, path, err := readEither(ctx, e.source, partial, func(p uint8) string { return layout.TilePath(level, r.index, p) })
	what := Finding{Kind: Tile, Where: path}.at(r.index << (layout.TileHeight * (level + 1)))
	if err != nil {
		if what.Text = problemOf(err); what.Text == "" {
			return err
		}
		e.found.add(what)
		return nil
	}
	stored, err := hashesIn(text, countIn(path, partial))
	if err != nil {
		what.Text = err.Error()
		e.found.add(what)
		return nil //nolint:nilerr // it is a finding
	}
	for i, hash := range r.hashes {
		if !bytes.Equal(stored[i], hash) {
			what.Text = fmt.Sprintf("hash %d of the file is not that of the leaves below it", i)
			e.found.add(what)
			return nil
		}
	}
	return nil
}

// older compares the files that an older, smaller right edge left: each is how the
// newest begins, and each that was signed is there, until a full one has taken its
// place. Those of a longer edge are not signed yet.
func (e *edge) older(ctx context.Context, root *os.Root, kind Kind, name func(partial uint8) string, r *row) error {
	count := len(r.hashes)
	if count == 0 {
		return nil
	}
	newest, current, err := readEither(ctx, e.source, uint8(count), name) //nolint:gosec // below 256
	if err != nil {
		if problemOf(err) == "" {
			return err
		}
		return nil
	}
	there := r.signed
	if err := present(root, path.Dir(name(1)), &there); err != nil {
		return err
	}
	for partial := 1; partial < count; partial++ {
		if !there[partial] {
			continue
		}
		at := name(uint8(partial))
		text, err := e.source.Read(ctx, at)
		if errors.Is(err, fs.ErrNotExist) && !r.signed[partial] {
			continue // it was listed, and has been swept since
		}
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := root.Stat(name(0)); errors.Is(err, fs.ErrNotExist) {
				e.found.add(Finding{Kind: kind, Where: at, Text: "the file is missing, and with it the end of a tree that was signed"})
			}
			continue
		}
		if err != nil && problemOf(err) == "" {
			return err
		}
		want := partial * len(verify.Digest{})
		if kind == Entry {
			want = len(text) // how many leaves it has is compared below
		}
		if err != nil || len(text) != want || !bytes.HasPrefix(newest, text) || kind == Entry && entriesIn(text) != partial {
			e.found.add(Finding{Kind: kind, Where: at, Text: "the file is not the beginning of " + current})
		}
	}
	return nil
}

// present adds the partial files that are in a directory.
func present(root *os.Root, dir string, partials *[width]bool) error {
	files, err := fs.ReadDir(root.FS(), dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s of the log: %w", dir, err)
	}
	for _, file := range files {
		if partial, err := strconv.ParseUint(file.Name(), 10, 8); err == nil {
			partials[partial] = true
		}
	}
	return nil
}

func entriesIn(text []byte) int {
	var b api.EntryBundle
	if b.UnmarshalText(text) != nil {
		return -1
	}
	return len(b.Entries)
}
