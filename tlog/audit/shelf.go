package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/tiles"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// width is how many leaves, or hashes, are in a full file.
const width = layout.TileWidth

// shelf reads the leaves of the log one after the other, with their hashes in the
// tiles, as a tree of a size has them. It belongs to one goroutine.
type shelf struct {
	source  tiles.Source
	size    uint64
	found   *findings
	bundle  uint64 // that entries and hashes are of
	loaded  bool
	entries [][]byte
	hashes  [][]byte
}

// stored is a leaf as the log has it. Either part is nil where its file is damaged.
type stored struct {
	text []byte
	hash []byte
}

func (s *stored) leafHash() verify.Digest { return verify.LeafHash(s.text) }

// at reads the leaf of an index, which must be below the size.
func (s *shelf) at(ctx context.Context, index uint64) (stored, error) {
	if bundle := index / width; !s.loaded || bundle != s.bundle {
		if err := s.load(ctx, bundle); err != nil {
			return stored{}, err
		}
	}
	var out stored
	if i := index % width; i < uint64(len(s.entries)) {
		out.text = s.entries[i]
	}
	if i := index % width; i < uint64(len(s.hashes)) {
		out.hash = s.hashes[i]
	}
	return out, nil
}

// load reads a file of leaves and the tile above it. What is damaged is found here,
// once for each file, and read as nothing.
func (s *shelf) load(ctx context.Context, bundle uint64) error {
	s.bundle, s.loaded, s.entries, s.hashes = bundle, true, nil, nil
	partial := layout.PartialTileSize(0, bundle, s.size)
	text, path, err := readEither(ctx, s.source, partial, func(p uint8) string { return layout.EntriesPath(bundle, p) })
	switch problem := problemOf(err); {
	case err != nil && problem == "":
		return err
	case err != nil:
		s.found.add(Finding{Kind: Entry, Where: path, Text: problem}.at(bundle * width))
	default:
		var b api.EntryBundle
		if err := b.UnmarshalText(text); err != nil {
			s.found.add(Finding{Kind: Entry, Where: path, Text: "the file can't be read as leaves: " + err.Error()}.at(bundle * width))
		} else {
			s.entries = b.Entries
			if want := countIn(path, partial); len(b.Entries) != want {
				s.found.add(Finding{Kind: Entry, Where: path, Text: fmt.Sprintf("the file has %d leaves instead of %d", len(b.Entries), want)}.at(bundle * width))
			}
		}
	}
	text, path, err = readEither(ctx, s.source, partial, func(p uint8) string { return layout.TilePath(0, bundle, p) })
	switch problem := problemOf(err); {
	case err != nil && problem == "":
		return err
	case err != nil:
		s.found.add(Finding{Kind: Tile, Where: path, Text: problem}.at(bundle * width))
		return nil //nolint:nilerr // it is a finding
	}
	s.hashes, err = hashesIn(text, countIn(path, partial))
	if err != nil {
		s.found.add(Finding{Kind: Tile, Where: path, Text: err.Error()}.at(bundle * width))
	}
	return nil
}

// countIn is how many things a file has: all, or as many as its name says.
func countIn(path string, partial uint8) int {
	if partial != 0 && bytes.HasSuffix([]byte(path), fmt.Appendf(nil, ".p/%d", partial)) {
		return int(partial)
	}
	return width
}

// hashesIn cuts a tile into hashes. With an error it returns those that are whole.
func hashesIn(text []byte, count int) (hashes [][]byte, err error) {
	const size = len(verify.Digest{})
	if len(text) != count*size {
		err = fmt.Errorf("the file has %d bytes instead of %d", len(text), count*size)
	}
	for len(text) >= size {
		hashes, text = append(hashes, text[:size]), text[size:]
	}
	return hashes, err
}

// readEither reads the file of a tree's right edge, or the full one that took its
// place since.
func readEither(ctx context.Context, source tiles.Source, partial uint8, name func(uint8) string) (text []byte, path string, err error) {
	path = name(partial)
	text, err = source.Read(ctx, path)
	if partial != 0 && errors.Is(err, fs.ErrNotExist) {
		path = name(0)
		if full, fullErr := source.Read(ctx, path); !errors.Is(fullErr, fs.ErrNotExist) {
			return full, path, fullErr
		}
		path = name(partial)
	}
	return text, path, err
}

// problemOf says in words what is wrong with a file; empty for troubles of another
// kind, which are nobody's damage.
func problemOf(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, fs.ErrNotExist):
		return "the file is missing"
	case domain.ClassOf(err) == domain.ClassIntegrity:
		return err.Error()
	default:
		return ""
	}
}
