package tiles

import (
	"bytes"
	"context"
	"iter"
	"math/bits"
	"slices"
	"sort"

	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Tree is the Merkle tree of RFC 6962 over the first leaves of a log.
type Tree struct {
	log  *Log
	size uint64
}

// Size is how many leaves it has.
func (t Tree) Size() uint64 { return t.size }

// Leaf reads one leaf, as it was written.
func (t Tree) Leaf(ctx context.Context, index uint64) ([]byte, error) {
	if index >= t.size {
		return nil, outside("leaf %d of a log of %d", index, t.size)
	}
	entries, err := t.log.bundle(ctx, index/layout.EntryBundleWidth, t.size)
	if err != nil {
		return nil, err
	}
	return entries[index%layout.EntryBundleWidth], nil
}

// Leaves reads the leaves from index from to before to, in order, one bundle of
// 256 at a time. The sequence ends after its first error.
func (t Tree) Leaves(ctx context.Context, from, to uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for index := from; index < to; index++ {
			leaf, err := t.Leaf(ctx, index)
			if !yield(leaf, err) || err != nil {
				return
			}
		}
	}
}

// Find returns the index of the first leaf at or behind a position, and whether
// it stands there exactly. Behind the last leaf it is the size of the tree. It
// reads about log2 of the number of bundles, remembers with which positions they
// begin, and trusts that leaves stand in the order of their positions: who relies
// on the leaf that is found proves it.
func (t Tree) Find(ctx context.Context, position domain.Position) (index uint64, exact bool, err error) {
	at := func(index uint64) (domain.Position, error) {
		begins := index%layout.EntryBundleWidth == 0
		if begins {
			if place, ok := t.log.places.Get(index); ok {
				return place, nil
			}
		}
		text, err := t.Leaf(ctx, index)
		if err != nil {
			return domain.Position{}, err
		}
		leaf, err := verify.ParseLeaf(text)
		if err != nil {
			return domain.Position{}, damaged("leaf %d: %v", index, err)
		}
		if begins {
			t.log.places.Add(index, leaf.Position)
		}
		return leaf.Position, nil
	}
	return search(t.size, position, at)
}

// search looks among the first leaves of bundles before it looks into one, so
// that what it remembers of one search serves the next.
func search(size uint64, position domain.Position, at func(uint64) (domain.Position, error)) (index uint64, exact bool, err error) {
	behind := func(index uint64) bool {
		if err != nil {
			return true
		}
		var found domain.Position
		if found, err = at(index); err != nil {
			return true
		}
		order := found.Compare(position)
		exact = exact || order == 0
		return order >= 0
	}
	const width = layout.EntryBundleWidth
	bundles := (size + width - 1) / width
	first := uint64(sort.Search(int(bundles), func(i int) bool { return behind(uint64(i) * width) })) //nolint:gosec // far below 2^63
	if err != nil || first == 0 {
		return 0, exact, err
	}
	begin := (first-1)*width + 1
	end := min(first*width, size)
	index = begin + uint64(sort.Search(int(end-begin), func(i int) bool { return behind(begin + uint64(i)) })) //nolint:gosec // below 256
	return index, exact, err
}

// FindID returns the leaves of events that have an id in the store, at most so many, the
// newest first: an id is that of one event in each stream. The log has no index of ids:
// bundles are read from the newest one back, as they stand, which is about a second for
// some million leaves. None of them is remembered.
func (t Tree) FindID(ctx context.Context, id uuid.UUID, most int) (indexes []uint64, err error) {
	const width = layout.EntryBundleWidth
	line := []byte("\n" + id.String() + "\n") // no other line of a leaf can look like it
	for bundle := (t.size + width - 1) / width; bundle > 0; {
		bundle--
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		entries, _, err := t.log.readBundle(ctx, bundle, t.size)
		if err != nil {
			return nil, err
		}
		under := entries[:min(uint64(len(entries)), t.size-bundle*width)] // the file may be a longer log's
		for i, entry := range slices.Backward(under) {
			if bytes.Contains(entry, line) {
				indexes = append(indexes, bundle*width+uint64(i)) //nolint:gosec // below 256
			}
			if len(indexes) == most {
				return indexes, nil
			}
		}
	}
	return indexes, nil
}

// Root computes the root hash.
func (t Tree) Root(ctx context.Context) ([]byte, error) {
	if t.size == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	return t.span(ctx, 0, t.size)
}

// Inclusion returns the inclusion proof of a leaf, in the order of RFC 6962.
func (t Tree) Inclusion(ctx context.Context, index uint64) ([][]byte, error) {
	nodes, err := proof.Inclusion(index, t.size)
	if err != nil {
		return nil, outside("leaf %d of a log of %d", index, t.size)
	}
	return t.proof(ctx, nodes)
}

// Consistency returns the proof that the tree begins with the tree of an older
// size, in the order of RFC 6962.
func (t Tree) Consistency(ctx context.Context, older uint64) ([][]byte, error) {
	nodes, err := proof.Consistency(older, t.size)
	if err != nil {
		return nil, outside("a log of %d leaves can't begin with one of %d", t.size, older)
	}
	return t.proof(ctx, nodes)
}

func (t Tree) proof(ctx context.Context, nodes proof.Nodes) ([][]byte, error) {
	hashes := make([][]byte, 0, len(nodes.IDs))
	for _, id := range nodes.IDs {
		hash, err := t.node(ctx, id)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, hash)
	}
	return nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
}

// Run returns the proof of neighbouring leaves, those from begin to before end,
// as verify.Run wants it: the hashes of the largest subtrees beside them, from
// left to right.
func (t Tree) Run(ctx context.Context, begin, end uint64) ([]verify.Digest, error) {
	if begin >= end || end > t.size {
		return nil, outside("leaves %d to %d of a log of %d", begin, end, t.size)
	}
	var hashes []verify.Digest
	for _, s := range verify.Beside(begin, end, t.size) {
		hash, err := t.span(ctx, s.Begin, s.End)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, verify.Digest(hash))
	}
	return hashes, nil
}

// span is the hash of a subtree of the tree: one that is full, or one of those
// that end where the tree ends.
func (t Tree) span(ctx context.Context, begin, end uint64) ([]byte, error) {
	width := end - begin
	if width&(width-1) == 0 {
		level := uint(bits.TrailingZeros64(width))
		return t.node(ctx, compact.NewNodeID(level, begin>>level))
	}
	middle := begin + 1<<(bits.Len64(width-1)-1)
	left, err := t.span(ctx, begin, middle)
	if err != nil {
		return nil, err
	}
	right, err := t.span(ctx, middle, end)
	if err != nil {
		return nil, err
	}
	return rfc6962.DefaultHasher.HashChildren(left, right), nil
}

// node is the hash of a full subtree. A tile holds only the lowest of its eight
// levels; those above are computed.
func (t Tree) node(ctx context.Context, id compact.NodeID) ([]byte, error) {
	level, index, height, first := layout.NodeCoordsToTileAddress(uint64(id.Level), id.Index)
	nodes, err := t.log.tile(ctx, address{level, index}, t.size)
	if err != nil {
		return nil, err
	}
	first <<= height
	count := uint64(1) << height
	if first+count > uint64(len(nodes)) {
		return nil, damaged("tile %d of level %d is too short for a log of %d leaves", index, level, t.size)
	}
	under := make([]verify.Digest, count)
	for i, hash := range nodes[first : first+count] {
		under[i] = verify.Digest(hash)
	}
	for ; len(under) > 1; under = under[:len(under)/2] {
		for i := range len(under) / 2 {
			under[i] = verify.NodeHash(under[2*i], under[2*i+1])
		}
	}
	return under[0][:], nil
}
