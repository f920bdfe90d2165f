package audit

import (
	"context"
	"os"

	"github.com/transparency-dev/tessera/api/layout"

	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/tiles"
)

// OlderTiles compares the partial files of the first tile of leaves, whose hashes those
// are; trees of the signed sizes were signed.
func OlderTiles(ctx context.Context, root *os.Root, source tiles.Source, hashes [][]byte, signed ...int) ([]Finding, error) {
	found := new(findings)
	r := row{hashes: hashes}
	for _, size := range signed {
		r.signed[size] = true
	}
	e := newEdge(source, found)
	err := e.older(ctx, root, Tile, func(p uint8) string { return layout.TilePath(0, 0, p) }, &r)
	return found.list, err
}

// NewestOf is of a log that shows checkpoints and writes its history.
func NewestOf(published, history func() tlog.Checkpoint) (shown, last tlog.Checkpoint) {
	e, _ := newestOf(
		func() (tlog.Checkpoint, *Finding) { return published(), nil },
		func() (last, before tlog.Checkpoint, ok bool, err error) {
			return history(), tlog.Checkpoint{}, true, nil
		})
	return e.shown, e.last
}
