package verify

import (
	"slices"

	"github.com/tradetrail/tradetrail/domain"
)

// Scatter is leaves that need not be neighbours, at most RunEntries in the order
// of their indexes, and the hashes of the subtrees without any of them. What the
// paths of several leaves have in common stands once.
type Scatter struct {
	Indexes []uint64 `json:"indexes"`
	Beside  []Digest `json:"beside"`
	Entries []Entry  `json:"entries"` // as many as there are indexes
}

// maxScattered is more than a tree can ask for: a hash for each entry and level.
const maxScattered = RunEntries * 62

// BesideAll returns the largest subtrees of a tree of size leaves that have none
// of the leaves at indexes, from left to right. It wants at least one index, in
// ascending order, and all below size.
func BesideAll(indexes []uint64, size uint64) []Span {
	var spans []Span
	var walk func(at Span, of []uint64)
	walk = func(at Span, of []uint64) {
		switch {
		case len(of) == 0:
			spans = append(spans, at)
		case uint64(len(of)) == at.End-at.Begin: // nothing beside
		default:
			middle := at.split()
			cut, _ := slices.BinarySearch(of, middle)
			walk(Span{at.Begin, middle}, of[:cut])
			walk(Span{middle, at.End}, of[cut:])
		}
	}
	walk(Span{0, size}, indexes)
	return spans
}

// RootOfAll computes the root of a tree of size leaves from some of them, and
// the hashes of the subtrees beside them. Like RootOf it says nothing about
// whether that root was signed.
func RootOfAll(indexes []uint64, size uint64, leaves [][]byte, beside []Digest) (Digest, error) {
	if len(indexes) == 0 || len(indexes) != len(leaves) {
		return Digest{}, domain.Rejectf(domain.CodeInvalid, "", "%d indexes stand for %d leaves", len(indexes), len(leaves))
	}
	for i, index := range indexes {
		if index >= size || i > 0 && index <= indexes[i-1] {
			return Digest{}, domain.Rejectf(domain.CodeInvalid, "", "index %d stands where none of a log of %d leaves can", index, size)
		}
	}
	if want := len(BesideAll(indexes, size)); want != len(beside) {
		return Digest{}, domain.Rejectf(domain.CodeInvalid, "", "the proof of %d leaves from %d on in a log of %d has %d hashes instead of %d",
			len(indexes), indexes[0], size, len(beside), want)
	}
	var hash func(at Span, of []uint64) Digest
	hash = func(at Span, of []uint64) Digest {
		if len(of) == 0 {
			h := beside[0]
			beside = beside[1:]
			return h
		}
		if at.End-at.Begin == 1 {
			leaf := leaves[0]
			leaves = leaves[1:]
			return LeafHash(leaf)
		}
		middle := at.split()
		cut, _ := slices.BinarySearch(of, middle)
		left := hash(Span{at.Begin, middle}, of[:cut])
		return NodeHash(left, hash(Span{middle, at.End}, of[cut:]))
	}
	return hash(Span{0, size}, indexes), nil
}
