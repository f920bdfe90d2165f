package tiles

import (
	"context"

	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Scatter returns the proof of the leaves at indexes, which ascend, as
// verify.Scatter wants it: the hashes of the largest subtrees without any of them,
// from left to right.
func (t Tree) Scatter(ctx context.Context, indexes []uint64) ([]verify.Digest, error) {
	for i, index := range indexes {
		if index >= t.size || i > 0 && index <= indexes[i-1] {
			return nil, outside("leaf %d of a log of %d", index, t.size)
		}
	}
	if len(indexes) == 0 {
		return nil, outside("no leaf of a log of %d", t.size)
	}
	hashes := []verify.Digest{}
	for _, s := range verify.BesideAll(indexes, t.size) {
		hash, err := t.span(ctx, s.Begin, s.End)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, verify.Digest(hash))
	}
	return hashes, nil
}
