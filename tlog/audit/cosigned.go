package audit

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tradetrail/tradetrail/tlog"
)

const witnessedFile = "checkpoint.witnessed"

// readWitnessed reads the newest checkpoint that witnesses have signed, and has it compared
// with the tree like those that were brought along: with their signatures it lasts when
// somebody who has the log's keys makes everything else anew. It is to be read before the
// size of the log, which is signed first.
func (v *verification) readWitnessed() error {
	if v.scope.Round > 0 {
		return nil
	}
	text, err := readBounded(v.root, witnessedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	wrong := func(err error) {
		v.found.add(Finding{Kind: Signature, Where: witnessedFile, Text: err.Error()})
	}
	if errors.Is(err, tlog.ErrTooLong) {
		wrong(err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", witnessedFile, err)
	}
	c, err := v.keys.Check(string(text))
	if err != nil {
		wrong(err)
		return nil
	}
	if w := v.subject.Witnesses; w != nil && !w.Satisfied(c.Note) {
		// An operator may have changed the policy since, so this is no damage.
		v.report.Notes = append(v.report.Notes, fmt.Sprintf("the checkpoint of %d leaves in %s does not have the cosignatures that the policy asks for", c.Size, witnessedFile))
	}
	v.outside = append(v.outside, seen{c, witnessedFile})
	return nil
}

// dropLonger finds checkpoints that were read before the log's size and are longer.
func (v *verification) dropLonger(size uint64) {
	kept := v.outside[:0]
	for _, c := range v.outside {
		if c.Size <= size {
			kept = append(kept, c)
			continue
		}
		v.found.add(Finding{Kind: Truncated, Where: c.where, Text: fmt.Sprintf("it is of %d leaves, and the log has %d: its end was cut off", c.Size, size)})
	}
	v.outside = kept
}
