package verify

import (
	"crypto/sha256"
	"math/bits"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/tradetrail/tradetrail/domain"
)

// Span is the leaves from Begin to before End.
type Span struct{ Begin, End uint64 }

// Beside returns the largest subtrees of a tree of size leaves that have none of
// the leaves from begin to before end, from left to right: at most two for each
// level of the tree. It wants begin < end <= size.
func Beside(begin, end, size uint64) []Span {
	var spans []Span
	var walk func(at Span)
	walk = func(at Span) {
		switch {
		case at.End <= begin || end <= at.Begin:
			spans = append(spans, at)
		case begin <= at.Begin && at.End <= end: // nothing beside
		default:
			middle := at.split()
			walk(Span{at.Begin, middle})
			walk(Span{middle, at.End})
		}
	}
	walk(Span{0, size})
	return spans
}

// split is where RFC 6962 splits a tree of two leaves or more: behind the largest
// power of two that is less than its size.
func (s Span) split() uint64 { return s.Begin + 1<<(bits.Len64(s.End-s.Begin-1)-1) }

// RootOf computes the root of a tree of size leaves from neighbouring leaves,
// which begin at an index, and the hashes of the subtrees beside them. It says
// nothing about whether that root was signed.
func RootOf(begin, size uint64, leaves [][]byte, beside []Digest) (Digest, error) {
	count := uint64(len(leaves))
	if count == 0 || begin >= size || count > size-begin {
		return Digest{}, domain.Rejectf(domain.CodeInvalid, "", "%d leaves from index %d on don't fit into a log of %d", count, begin, size)
	}
	end := begin + count
	if want := len(Beside(begin, end, size)); want != len(beside) {
		return Digest{}, domain.Rejectf(domain.CodeInvalid, "", "the proof of leaves %d to %d in a log of %d has %d hashes instead of %d",
			begin, end-1, size, len(beside), want)
	}
	var hash func(at Span) Digest
	hash = func(at Span) Digest {
		if at.End <= begin || end <= at.Begin {
			h := beside[0]
			beside = beside[1:]
			return h
		}
		if at.End-at.Begin == 1 {
			return LeafHash(leaves[at.Begin-begin])
		}
		middle := at.split()
		return NodeHash(hash(Span{at.Begin, middle}), hash(Span{middle, at.End}))
	}
	return hash(Span{0, size}), nil
}

// LeafHash is the hash of a leaf in the tree: SHA-256 of a zero byte and the
// leaf.
func LeafHash(leaf []byte) Digest {
	var few [512]byte // most leaves need no memory of their own
	return sha256.Sum256(append(append(few[:0], rfc6962.RFC6962LeafHashPrefix), leaf...))
}

// NodeHash is the hash above two others: SHA-256 of a byte 1 and both.
func NodeHash(left, right Digest) Digest {
	var b [1 + 2*sha256.Size]byte
	b[0] = rfc6962.RFC6962NodeHashPrefix
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}
