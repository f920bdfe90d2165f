package views

import (
	"context"
	"slices"

	"github.com/tradetrail/tradetrail/domain"
)

// tail is the newest stretch of a trail as its live readers have read it, shared
// among them: of all who wake for an event one reads it from Redis. Who is further
// behind reads for himself.
//
// It answers only what a read begun after the last wake-up has shown, so nobody
// goes to sleep on what is no longer true.
type tail struct {
	turn chan struct{} // holds a value while somebody reads or looks

	live    *Generation
	version uint64           // of the topic before the newest read
	whole   bool             // that read came to the end of the trail
	first   int64            // index of events[0] in the trail
	events  []domain.Located // elements are written once: readers keep slices of it
	sizes   []int            // their bytes
}

func newTail() *tail { return &tail{turn: make(chan struct{}, 1)} }

// maxShared is about how many bytes of events all tails together keep; one that
// nothing is added to keeps what was its share before. maxTail is what one keeps.
const (
	maxShared = 64 << 20
	maxTail   = 1 << 20
)

// next reads a live reader's next page, which begins at a spot: that of the tail if
// it is there. generation is the one that was read.
func (t *topic) next(ctx context.Context, s *Set, kind, id string, at spot) (events []domain.Located, generation *Generation, err error) {
	version := t.version.Load()
	select {
	case t.tail.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	l := t.tail
	end := l.first + int64(len(l.events))
	ours := l.live == at.live && at.index >= l.first && at.index <= end
	if ours && (at.index < end || l.whole && l.version >= version) {
		events = l.events[at.index-l.first:]
		<-l.turn
		return events[:min(len(events), followPage)], at.live, nil
	}
	if l.live == at.live && at.index < l.first { // far behind: nobody waits for this one
		<-l.turn
		page, generation, err := s.trail(ctx, kind, id, at.index, at.index+followPage)
		return page.Items, generation, err
	}
	defer func() { <-l.turn }()
	version = t.version.Load()
	page, generation, err := s.trail(ctx, kind, id, at.index, at.index+followPage)
	if err != nil {
		return nil, nil, err
	}
	if !ours || generation != at.live {
		l.live, l.first, l.events, l.sizes = generation, at.index, nil, nil
	}
	l.version, l.whole = version, at.index+int64(len(page.Items)) >= page.Total
	l.events, l.sizes = append(l.events, page.Items...), append(l.sizes, page.sizes...)
	l.trim(min(s.hub.share(maxShared), maxTail))
	return page.Items, generation, nil
}

// trim keeps the newest events, followPage and so many bytes at most.
func (l *tail) trim(bytes int) {
	from := len(l.sizes)
	for from > max(len(l.sizes)-followPage, 0) && bytes >= l.sizes[from-1] {
		from--
		bytes -= l.sizes[from]
	}
	if from > 0 { // what is cut off must not stay in memory
		l.events, l.sizes, l.first = slices.Clone(l.events[from:]), slices.Clone(l.sizes[from:]), l.first+int64(from)
	}
}
