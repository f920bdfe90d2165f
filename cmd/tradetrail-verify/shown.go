package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tradetrail/tradetrail/tlog/verify"
)

// maxShown is how many entries are printed.
const maxShown = 100

// shown is a line for each of the first entries of a bundle: which events a verdict is
// about is not for the reader to guess.
type shown struct {
	lines []string
	more  uint64
}

func (s *shown) entry(index uint64, leaf verify.Leaf, said *verify.Said) {
	if len(s.lines) == maxShown {
		s.more++
		return
	}
	what := "redacted"
	if said != nil {
		what = fmt.Sprintf("%.80q", said.Type)
	}
	s.lines = append(s.lines, fmt.Sprintf("leaf %d, %.120q revision %d, %s, event %s, %s",
		index, leaf.Stream, leaf.Revision, leaf.Created.UTC().Format(time.RFC3339Nano), leaf.ID, what))
}

func (s *shown) print(b *strings.Builder) {
	for _, line := range s.lines {
		fmt.Fprintf(b, "  shows    %s\n", printable(line))
	}
	if s.more > 0 {
		fmt.Fprintf(b, "  shows    and %d more\n", s.more)
	}
}
