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

// arrived notes that all views have come to a position, since this process has
// applied what is before it.
func (v *sight) arrived(p domain.Position) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rise(p)
	if v.looked && p.Compare(v.readable) >= 0 {
		v.reached.Store(true)
	}
}

// heard notes that another process says so. It may say so late, of what has been
// lost since: while the views are not read it counts for nothing.
func (v *sight) heard(p domain.Position) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.reached.Load() {
		v.rise(p)
	}
}

func (v *sight) rise(p domain.Position) {
	if p.Compare(v.lowest) > 0 {
		v.lowest = p
	}
	if p.Compare(v.head) > 0 {
		v.head = p
	}
}

func (v *sight) known() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.looked
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
	found, err := s.active(ctx)
	for range maxLooks {
		if err != nil {
			return err
		}
		var generations []*Generation
		var cursors []*Cursor
		generations, cursors, err = s.find(ctx, found)
		if err != nil {
			return err
		}
		var again map[string]string
		if slices.Contains(cursors, nil) { // gone, or replaced between the two reads?
			if again, err = s.active(ctx); err != nil || !maps.Equal(found, again) {
				found = again
				continue
			}
		}
		head, err := s.head(ctx)
		if err != nil && !s.sight.known() {
			return err
		}
		s.see(generations, cursors, before, head, err)
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
	answers := make([]cursorAnswers, len(generations))
	if _, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, g := range generations {
			if g != nil {
				answers[i] = g.askCursors(ctx, p)
			}
		}
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable("reading where the views stand", err)
	}
	cursors := make([]*Cursor, len(generations))
	for i, answer := range answers {
		if parts, ok := answer.read(); ok {
			lowest := lowestOf(parts)
			cursors[i] = &lowest
		}
	}
	return cursors, nil
}

// headPatience bounds how long the event store may take to tell where the log
// ends.
const headPatience = 5 * time.Second

// head is the end of the log.
func (s *Set) head(ctx context.Context) (domain.Position, error) {
	if s.store == nil {
		return domain.Position{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, headPatience)
	defer cancel()
	head, err := s.store.Head(ctx)
	if err != nil {
		return domain.Position{}, fmt.Errorf("reading the end of the log: %w", err)
	}
	return head, nil
}

// see takes in what a look has found. head is zero if the store did not tell, and
// trouble why.
func (s *Set) see(generations []*Generation, cursors []*Cursor, before, head domain.Position, trouble error) {
	v := &s.sight
	v.mu.Lock()
	defer v.mu.Unlock()
	now := s.now()
	lowest, missing, switched := domain.EndPosition, slices.Contains(cursors, nil), false
	for _, c := range cursors {
		if c != nil && c.Position.Compare(lowest) < 0 {
			lowest = c.Position
		}
	}
	if missing {
		lowest = domain.Position{}
	}
	if trouble != nil {
		head = v.head
	}
	// Readers take the generation first and look whether it may be read afterwards.
	lost := !v.looked || missing || lowest.Compare(before) < 0
	if lost {
		v.reached.Store(false)
		v.lowest, v.readable = lowest, head
	}
	views := make(map[string]Standing, len(s.slots))
	for i, slot := range s.slots {
		g := generations[i]
		if cursors[i] == nil {
			g = nil
		}
		was := slot.live.Load()
		if g != nil && was != nil && was.number > g.number {
			continue // a switch came while we looked: numbers only rise
		}
		if was != g {
			slot.live.Store(g)
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
	// Views that are ahead of the log are of another one, until it has come there or
	// whoever writes them has looked: see Adopt.
	ahead := trouble == nil && s.store != nil && lowest.Compare(head) > 0
	if !missing && !ahead && lowest.Compare(v.readable) >= 0 {
		v.reached.Store(true)
	}
	if switched || lowest.Compare(v.lowest) > 0 {
		s.hub.notifyAll() // whoever was told already looks once in vain
	}
	if lowest.Compare(v.lowest) > 0 {
		v.lowest = lowest
	}
	v.looked, v.head, v.views, v.trouble = true, head, views, trouble
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
	return nil //nolint:nilerr // it was told to end
}

func (s *Set) watch(ctx context.Context, well func()) error {
	news := s.client.Subscribe(ctx, s.channel)
	defer func() { _ = news.Close() }() // nothing left to fail
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

// news is what a process tells the others: which stretch of the log it has
// applied, and what changed by that. Without a stretch it is about something else.
type news struct {
	from     string // the process
	after    domain.Position
	at       domain.Position
	topics   []string
	anything bool // more topics than are named
}

func (n news) String() string {
	words := append([]string{n.from, n.after.String(), n.at.String()}, n.topics...)
	if n.anything {
		words = append(words[:3], anyTopic)
	}
	return strings.Join(words, "\n")
}

func parseNews(text string) (n news, ok bool) {
	words := strings.Split(text, "\n")
	if len(words) < 3 {
		return news{}, false
	}
	after, err := domain.ParsePosition(words[1])
	at, err2 := domain.ParsePosition(words[2])
	if err != nil || err2 != nil {
		return news{}, false
	}
	return news{from: words[0], after: after, at: at, topics: words[3:], anything: slices.Contains(words[3:], anyTopic)}, true
}

// anyTopic is touched by every slice.
const anyTopic = "*"

// tell wakes live readers of some topics, or of all if topics is nil, here and in
// other processes, after the stretch behind after and up to at was applied.
// Nobody depends on hearing it: who misses it finds that the next does not
// continue it, or looks by himself.
func (s *Set) tell(ctx context.Context, after, at domain.Position, topics map[string]struct{}) {
	n := news{from: s.name, after: after, at: at, anything: topics == nil || len(topics) > maxTopics}
	if topics == nil {
		s.hub.notifyAll()
	} else {
		n.topics = slices.Collect(maps.Keys(topics))
		s.hub.notify(append(n.topics, anyTopic))
	}
	if err := s.client.Publish(ctx, s.channel, n.String()).Err(); err != nil {
		s.log.DebugContext(ctx, "changes were not published", slog.Any("error", err))
	}
}

// tellOfRebuilds wakes who waits for news of rebuilds.
func (s *Set) tellOfRebuilds(ctx context.Context) {
	s.tell(ctx, domain.Position{}, domain.Position{}, map[string]struct{}{rebuildsTopic: {}})
}

// hear takes in what another process tells. It must be called from one goroutine.
func (s *Set) hear(text string) {
	n, ok := parseNews(text)
	if !ok || n.from == s.name {
		return
	}
	missed := false
	if !n.at.IsZero() {
		s.sight.heard(n.at) // before anybody wakes who waits for it
		missed = n.after != s.told
		s.told = n.at
	}
	if missed || n.anything {
		s.hub.notifyAll()
		return
	}
	s.hub.notify(append(n.topics, anyTopic))
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
		if still := s.now().Sub(at.Since); at.Position.Compare(v.head) < 0 && still > stuckAfter {
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
		live := slot.live.Load()
		if !s.sight.reached.Load() { // after taking the generation: see closes first
			return none, errCatchingUp
		}
		if live == nil {
			return none, unavailable("reading "+slot.view.name(), errNotStarted)
		}
		var p pulse
		found, err := query(live, &p)
		if err != nil || !p.taken() {
			p = pulse{}
			if _, gone := live.reads.Pipelined(ctx, func(pipe redis.Pipeliner) error {
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
