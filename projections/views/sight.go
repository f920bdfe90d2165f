package views

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/backoff"
)

// errCatchingUp is what readers get until the views have once reached the end
// that the log had when this process first looked, and again when they have lost
// what they had: "there is no such order" would be a lie.
var errCatchingUp = &domain.Error{
	Class: domain.ClassTransient, Code: "views_catching_up", Message: "the read models are catching up with the log; try again",
}

// sight is what this process last saw of the views.
type sight struct {
	reached atomic.Bool // the views may be read

	mu       sync.Mutex
	looked   bool
	readable domain.Position // where the views must have come before they are read
	lowest   domain.Position // where all views are
	head     domain.Position // the end of the log
	views    map[string]Standing
	trouble  error // why the last look failed
}

// Standing is where one view was seen.
type Standing struct {
	Cursor

	Generation int
	Since      time.Time // when it was first seen there, by our clock
}

// arrived notes that all views have come to a position.
func (v *sight) arrived(p domain.Position) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p.Compare(v.lowest) <= 0 {
		return
	}
	v.lowest = p
	if v.head.Compare(p) < 0 {
		v.head = p
	}
	if v.looked && p.Compare(v.readable) >= 0 {
		v.reached.Store(true)
	}
}

func (v *sight) at() domain.Position {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lowest
}

// look finds the generations that are read and where they stand.
func (s *Set) look(ctx context.Context) error {
	// Cursors only rise: one that is lower than what was known before it was read
	// has lost something.
	before := s.sight.at()
	found, err := s.client.HGetAll(ctx, activeKey).Result()
	for range maxLooks {
		if err != nil {
			return unavailable("reading which views are active", err)
		}
		var generations []*Generation
		var cursors []*Cursor
		generations, cursors, err = s.find(ctx, found)
		if err != nil {
			return err
		}
		var again map[string]string
		if slices.Contains(cursors, nil) { // gone, or replaced between the two reads?
			if again, err = s.client.HGetAll(ctx, activeKey).Result(); err != nil || !maps.Equal(found, again) {
				found = again
				continue
			}
		}
		head, err := s.head(ctx)
		if err != nil {
			return err
		}
		s.see(generations, cursors, before, head)
		return nil
	}
	return errCatchingUp
}

// find reads the cursors of the builds that are active.
func (s *Set) find(ctx context.Context, active map[string]string) ([]*Generation, []*Cursor, error) {
	generations := make([]*Generation, len(s.slots))
	for i, slot := range s.slots {
		b := parseBuild(active[slot.view.name()])
		switch live := slot.live.Load(); {
		case !b.fits(slot.view):
		case live != nil && live.number == b.number:
			generations[i] = live
		default:
			generations[i] = s.generation(slot.view, b.number)
		}
	}
	cursors, err := s.cursorsOf(ctx, generations)
	return generations, cursors, err
}

// cursorsOf reads the cursors of generations in one round trip; nil where there is
// none.
func (s *Set) cursorsOf(ctx context.Context, generations []*Generation) ([]*Cursor, error) {
	answers := make([][]*redis.StringCmd, len(generations))
	if _, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, g := range generations {
			if g == nil {
				continue
			}
			for _, k := range g.parts {
				answers[i] = append(answers[i], p.Get(ctx, k.cursor()))
			}
		}
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("reading where the views stand", err)
	}
	cursors := make([]*Cursor, len(generations))
	for i := range generations {
		var parts []Cursor
		for _, answer := range answers[i] {
			c, err := parseCursor(answer.Val())
			if err != nil {
				if answer.Val() != noCursor {
					return nil, err
				}
				parts = nil
				break
			}
			parts = append(parts, c)
		}
		if len(parts) > 0 {
			lowest := lowestOf(parts)
			cursors[i] = &lowest
		}
	}
	return cursors, nil
}

// head is the end of the log.
func (s *Set) head(ctx context.Context) (domain.Position, error) {
	if s.store == nil {
		return domain.Position{}, nil
	}
	head, err := s.store.Head(ctx)
	if err != nil {
		return domain.Position{}, fmt.Errorf("reading the end of the log: %w", err)
	}
	return head, nil
}

func (s *Set) see(generations []*Generation, cursors []*Cursor, before, head domain.Position) {
	v := &s.sight
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	lowest, missing, switched := domain.EndPosition, false, false
	views := make(map[string]Standing, len(s.slots))
	for i, slot := range s.slots {
		g := generations[i]
		if cursors[i] == nil {
			g, missing = nil, true
		} else if cursors[i].Position.Compare(lowest) < 0 {
			lowest = cursors[i].Position
		}
		if was := slot.live.Swap(g); was != g {
			switched = true
		}
		if g == nil {
			continue
		}
		standing := Standing{Cursor: *cursors[i], Generation: g.number, Since: now}
		if before, ok := v.views[slot.view.name()]; ok && before.Generation == g.number && before.Position == standing.Position {
			standing.Since = before.Since
		}
		if standing.Position.Compare(v.head) >= 0 {
			standing.Since = now // it had nothing to do up to now
		}
		views[slot.view.name()] = standing
		s.met(int64(g.number))
	}
	if missing {
		lowest = domain.Position{}
	}
	if !v.looked || missing || lowest.Compare(before) < 0 {
		v.lowest = lowest
		v.readable = head
		v.reached.Store(false)
	}
	if !missing && lowest.Compare(v.readable) >= 0 {
		v.reached.Store(true)
	}
	if switched || lowest.Compare(v.lowest) > 0 {
		s.hub.notifyAll() // whoever was told already looks once in vain
	}
	if lowest.Compare(v.lowest) > 0 {
		v.lowest = lowest
	}
	v.looked, v.head, v.views, v.trouble = true, head, views, nil
}

// watchEvery is how often a process looks at the views by itself. Changes that it
// is told of it knows at once.
const watchEvery = 500 * time.Millisecond

// Watch keeps this process's sight of the views up to date, until ctx ends: which
// generations are read, where they stand, and what changes, so that live readers
// wake. Every process that reads must run it.
func (s *Set) Watch(ctx context.Context) error {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		err := s.watch(ctx, func() { attempt = 0 })
		if ctx.Err() != nil {
			break
		}
		s.sight.mu.Lock()
		s.sight.trouble = err
		s.sight.mu.Unlock()
		s.log.DebugContext(ctx, "looking at the views failed", slog.Any("error", err))
		_ = backoff.Wait(ctx, attempt, 20*time.Millisecond, watchEvery)
	}
	return nil
}

func (s *Set) watch(ctx context.Context, well func()) error {
	news := s.client.Subscribe(ctx, channel)
	defer news.Close()
	messages := news.Channel()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := s.look(ctx); err != nil {
			return err
		}
		well()
		for waiting := true; waiting; {
			select {
			case message, ok := <-messages:
				if !ok {
					return errors.New("the subscription to changes ended")
				}
				s.hear(message.Payload)
			case <-tick.C:
				waiting = false
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// maxTopics bounds what one message names; more are all.
const maxTopics = 500

// tell wakes live readers of some topics, or of all if topics is nil, here and in
// other processes. Nobody depends on hearing it: who misses it looks by himself.
func (s *Set) tell(ctx context.Context, at domain.Position, topics map[string]struct{}) {
	message := []string{s.name, at.String()}
	if topics == nil || len(topics) > maxTopics {
		message = append(message, "*")
	}
	if topics == nil {
		s.hub.notifyAll()
	} else {
		names := make([]string, 0, len(topics)+1)
		for topic := range topics {
			names = append(names, topic)
		}
		s.hub.notify(append(names, anyTopic))
		if len(topics) <= maxTopics {
			message = append(message, names...)
		}
	}
	if err := s.client.Publish(ctx, channel, strings.Join(message, "\n")).Err(); err != nil {
		s.log.DebugContext(ctx, "changes were not published", slog.Any("error", err))
	}
}

// anyTopic is touched by every slice.
const anyTopic = "*"

func (s *Set) hear(message string) {
	words := strings.Split(message, "\n")
	if len(words) < 2 || words[0] == s.name {
		return
	}
	at, err := domain.ParsePosition(words[1])
	if err != nil {
		return
	}
	if slices.Contains(words[2:], anyTopic) {
		s.hub.notifyAll()
	} else {
		s.hub.notify(append(words[2:], anyTopic))
	}
	s.sight.arrived(at)
}

// Await waits until all views have come to a position: for whoever wants to read
// what he wrote. The wait is bounded by ctx.
func (s *Set) Await(ctx context.Context, position domain.Position) error {
	wake := s.hub.listen(anyTopic)
	defer wake.close()
	for {
		at := s.sight.at()
		if at.Compare(position) >= 0 && s.sight.reached.Load() {
			return nil
		}
		select {
		case <-wake.C:
		case <-ctx.Done():
			return &domain.Error{
				Class: domain.ClassTransient, Code: "views_behind",
				Message: fmt.Sprintf("the read models are at %s and have not come to %s in the time given", at, position),
			}
		}
	}
}

// stuckAfter is how long a view may stand still behind the end of the log. A slow
// one moves.
const stuckAfter = 15 * time.Second

// Ready tells why the views should not be relied on, or nil: they can't be seen,
// have not caught up with the log since the start, or one is stuck.
func (s *Set) Ready() error {
	v := &s.sight
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.trouble != nil {
		return v.trouble
	}
	if !v.reached.Load() {
		return errCatchingUp
	}
	for _, slot := range s.slots {
		at := v.views[slot.view.name()]
		if still := time.Since(at.Since); at.Position.Compare(v.head) < 0 && still > stuckAfter {
			return fmt.Errorf("%s is stuck: at %s for %s, the log is at %s", slot.view.name(), at.Position, still.Round(time.Second), v.head)
		}
	}
	return nil
}

// Seen is where each view was when this process last looked, at most a second ago
// while Redis is there, and the end of the log.
func (s *Set) Seen() (views map[string]Standing, head domain.Position) {
	s.sight.mu.Lock()
	defer s.sight.mu.Unlock()
	return s.sight.views, s.sight.head
}

// maxLooks is how often a read is tried when the generation that it read was
// replaced meanwhile.
const maxLooks = 4

// read runs a query on the generation of a view that is read. If that is gone
// when the query is through, what it found may be half of it: then it is run
// again on the next.
//
// A query may look for that itself, in its last round trip.
func read[T any](ctx context.Context, s *Set, slot *slot, query func(*Generation, *pulse) (T, error)) (T, error) {
	var none T
	for range maxLooks {
		if !s.sight.reached.Load() {
			return none, errCatchingUp
		}
		live := slot.live.Load()
		if live == nil {
			return none, unavailable("reading "+slot.view.name(), errNotStarted)
		}
		var p pulse
		found, err := query(live, &p)
		if err != nil || !p.taken() {
			p = pulse{}
			if _, gone := live.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				p.take(ctx, pipe, live)
				return nil
			}); gone != nil {
				return none, errors.Join(err, unavailable("reading "+slot.view.name(), gone))
			}
		}
		if p.beats() {
			return found, err
		}
		if err := s.look(ctx); err != nil {
			return none, err
		}
	}
	return none, errCatchingUp
}

// pulse tells whether a generation is still there.
type pulse struct{ cursors []*redis.IntCmd }

// take looks for the generation's cursors after everything that was put into the
// pipeline before. On a cluster other keys of the pipeline may be read later: they
// must be of the same part.
func (p *pulse) take(ctx context.Context, pipe redis.Pipeliner, g *Generation) {
	for _, k := range g.parts {
		p.cursors = append(p.cursors, pipe.Exists(ctx, k.cursor()))
	}
}

func (p *pulse) taken() bool { return len(p.cursors) > 0 }

func (p *pulse) beats() bool {
	return !slices.ContainsFunc(p.cursors, func(cursor *redis.IntCmd) bool { return cursor.Val() == 0 })
}
