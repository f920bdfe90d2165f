package views

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/internal/backoff"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// Tend does the rebuilds that were asked for, and removes generations that nobody
// reads any more, until ctx ends. The process that writes the views must run it.
func (s *Set) Tend(ctx context.Context) error {
	news := s.hub.listen(rebuildsTopic)
	defer news.close()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var tidied time.Time
	for attempt := 0; ctx.Err() == nil; {
		tidy := s.now().Sub(tidied) > tidyEvery
		err := s.tend(ctx, tidy)
		if err == nil {
			if tidy {
				tidied = s.now()
			}
			attempt = 0
			select {
			case <-tick.C:
			case <-news.C:
			case <-ctx.Done():
			}
			continue
		}
		level := slog.LevelWarn
		if errors.Is(err, errNotStarted) { // as at every start
			level = slog.LevelDebug
		}
		s.log.Log(ctx, level, "rebuilds have to wait", slog.Any("error", err))
		_ = backoff.Wait(ctx, attempt, 50*time.Millisecond, 2*time.Second)
		attempt++
	}
	return nil
}

// tidyEvery is how often generations are looked for that nobody reads.
const tidyEvery = time.Minute

// tend does everything that is to be done now. With an error some of it is left.
func (s *Set) tend(ctx context.Context, tidy bool) error {
	s.tending.Lock()
	defer s.tending.Unlock()
	if s.slots[0].live.Load() == nil {
		return unavailable("rebuilding", errNotStarted)
	}
	all, err := s.Rebuilds(ctx)
	if err != nil {
		return err
	}
	if tidy {
		if err := s.tidy(ctx, all); err != nil {
			return err
		}
	}
	var jobs []*job
	for _, slot := range s.slots {
		p, ok := all[slot.view.name()]
		if !ok || p.State.Over() {
			continue
		}
		j, err := s.accept(ctx, slot)
		if err != nil {
			return err
		}
		if j != nil {
			jobs = append(jobs, j)
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	return s.rebuild(ctx, jobs)
}

// tidy removes generations that are neither read nor being built: a process may
// have died before it came to that.
func (s *Set) tidy(ctx context.Context, rebuilds map[string]Progress) error {
	known, active, err := s.allGenerations(ctx)
	if err != nil {
		return err
	}
	for _, id := range known {
		name, number, _ := strings.Cut(id, ":")
		n, err := strconv.Atoi(number)
		if err != nil || n == parseBuild(active[name]).number {
			continue
		}
		if p, ok := rebuilds[name]; ok && !p.State.Over() && p.Generation == n {
			continue
		}
		slot, err := s.slot(name)
		if err != nil {
			continue // a view of a later version of ours
		}
		if err := s.discard(ctx, s.generation(slot.view, n)); err != nil {
			return err
		}
	}
	return nil
}

// allGenerations lists those that may have keys, and those that are active. Start
// does not run meanwhile: between registering one and making it active.
func (s *Set) allGenerations(ctx context.Context) (known []string, active map[string]string, err error) {
	s.applying.RLock()
	defer s.applying.RUnlock()
	if known, err = s.client.SMembers(ctx, generationsKey).Result(); err != nil {
		return nil, nil, unavailable("reading which generations there are", err)
	}
	active, err = s.active(ctx)
	return known, active, err
}

// job is one rebuild under way.
type job struct {
	set  *Set
	slot *slot

	mu       sync.Mutex
	progress Progress
	noted    string // the progress in Redis
	began    time.Time
	at       int64 // events that were done when it began
	fresh    *Generation
	writers  []*writer
	live     *Generation // that it was attached to

	ctx    context.Context //nolint:containedctx // a job's own: it may be cancelled while others go on
	cancel context.CancelCauseFunc
	slices chan feed.Slice
}

var errCancelled = errors.New("cancelled")

// accept makes a job of a rebuild that was asked for, or goes on with one that a
// process before us left.
func (s *Set) accept(ctx context.Context, slot *slot) (*job, error) {
	p, text, err := s.readProgress(ctx, slot.view.name())
	if err != nil || text == "" || p.State.Over() {
		return nil, err
	}
	j := &job{set: s, slot: slot, progress: p, noted: text, slices: make(chan feed.Slice, 2)}
	if p.Generation != 0 {
		active, err := s.activeBuild(ctx, slot.view)
		if err != nil {
			return nil, err
		}
		if active.number == p.Generation {
			return nil, j.end(ctx, RebuildDone, nil) // switched, but the answer was lost
		}
		j.fresh = s.generation(slot.view, p.Generation)
	}
	if p.State == RebuildCancelling {
		return nil, j.giveUp(ctx, RebuildCancelled, nil)
	}
	return j, nil
}

// note changes the progress and writes it; a rebuild that somebody has cancelled
// meanwhile is cancelled here too.
func (j *job) note(ctx context.Context, change func(*Progress)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.progress)
	j.progress.UpdatedAt = j.set.now().UTC()
	for range maxLooks {
		after, changed, err := j.set.swapProgress(ctx, j.progress.View, j.noted, j.progress)
		if err != nil {
			return err
		}
		if changed {
			j.noted = after
			return nil
		}
		now, text, err := j.set.readProgress(ctx, j.progress.View)
		if err != nil {
			return err
		}
		j.noted = text
		if text == after { // our own write, whose answer was lost
			return nil
		}
		if now.ID != j.progress.ID || now.State == RebuildCancelling {
			if !j.progress.State.Over() {
				if j.cancel != nil {
					j.cancel(errCancelled)
				}
				return errCancelled
			}
		}
	}
	return unavailable("noting the rebuild of "+j.progress.View, errors.New("others write it all the time"))
}

func (j *job) end(ctx context.Context, state RebuildState, why error) error {
	err := j.note(ctx, func(p *Progress) {
		p.State, p.EndedAt = state, j.set.now().UTC()
		if why != nil {
			p.Error = why.Error()
		}
	})
	j.set.tellOfRebuilds(ctx)
	return err
}

// giveUp removes the half-built generation and says what became of the rebuild.
func (j *job) giveUp(ctx context.Context, state RebuildState, why error) error {
	if j.fresh != nil {
		if err := j.set.discard(ctx, j.fresh); err != nil {
			return err
		}
	}
	return j.end(ctx, state, why)
}

// begin finds or makes the generation that is built.
func (j *job) begin(ctx context.Context, fence int64) (err error) {
	if j.fresh != nil {
		j.writers, err = j.fresh.takeOver(ctx, fence)
		if err == nil || !errors.Is(err, ErrGap) {
			return err
		}
	}
	if j.fresh, err = j.set.register(ctx, j.slot.view); err != nil {
		return err
	}
	j.writers, err = j.fresh.takeOver(ctx, fence)
	return err
}

func (j *job) cursor() Cursor { return lowestWriter(j.writers) }

// rebuild does jobs in one pass over the log. A job that fails for good, or is
// cancelled, ends alone; an error is one after which all that are left are tried
// again.
func (s *Set) rebuild(ctx context.Context, jobs []*job) error {
	s.applying.Lock()
	fence := s.fence
	s.applying.Unlock()
	if fence == 0 {
		return unavailable("rebuilding", errNotStarted)
	}
	for _, j := range jobs {
		j.ctx, j.cancel = context.WithCancelCause(ctx) //nolint:fatcontext // each job's is its own
		defer j.cancel(nil)
		if err := j.begin(ctx, fence); err != nil {
			return err
		}
		j.began, j.at = s.now(), j.cursor().Events
		err := j.note(ctx, func(p *Progress) { p.State, p.Generation, p.Error = RebuildBuilding, j.fresh.number, "" })
		if err != nil && !errors.Is(err, errCancelled) {
			return err
		}
	}
	err := s.build(ctx, jobs)
	for _, j := range jobs {
		if err != nil && context.Cause(j.ctx) == nil { //nolint:contextcheck // the job's own
			j.cancel(err)
		}
	}
	var comparing sync.WaitGroup
	problems := make([]error, len(jobs))
	for i, j := range jobs {
		comparing.Go(func() { problems[i] = s.finish(ctx, j) })
	}
	comparing.Wait()
	return errors.Join(problems...)
}

// finish compares a job's build with the live one and switches over, or clears up
// after one that ended before.
func (s *Set) finish(ctx context.Context, j *job) error {
	err := context.Cause(j.ctx) //nolint:contextcheck // the job's own
	if err == nil {
		err = s.compareAndSwitch(j) //nolint:contextcheck // within the job's own
	}
	if err != nil {
		s.detach(j)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err() // the next to write the views goes on
	case errors.Is(err, errCancelled):
		return j.giveUp(ctx, RebuildCancelled, nil)
	case domain.ClassOf(err) == domain.ClassTransient || errors.Is(err, ErrGap):
		return err
	default:
		s.log.ErrorContext(ctx, "a rebuild failed", slog.String("view", j.progress.View), slog.Any("error", err))
		return j.giveUp(ctx, RebuildFailed, err)
	}
}

func (s *Set) detach(j *job) {
	s.applying.Lock()
	defer s.applying.Unlock()
	if len(j.slot.shadow) > 0 && j.slot.shadow[0] == j.writers[0] {
		j.slot.shadow = nil
	}
}

// build applies the log to the jobs' generations until they are where the live
// ones are, and from then on lets Apply write both.
func (s *Set) build(ctx context.Context, jobs []*job) error {
	from := domain.EndPosition
	limit := 0
	for _, j := range jobs {
		if at := j.cursor().Position; at.Compare(from) < 0 {
			from = at
		}
		if r := j.progress.Rate; r > 0 && (limit == 0 || r < limit) {
			limit = r
		}
	}
	source := &source{follower: s.store.Follow(ctx, from), at: from, limiter: rate.NewLimiter(rate.Inf, 0)}
	defer source.follower.Close()
	if limit > 0 {
		source.limiter = rate.NewLimiter(rate.Limit(limit), max(limit/4, 1)) // small slices: a rebuild is cancelled between two
	}
	noted, stopNoting := context.WithCancel(ctx)
	var noting sync.WaitGroup
	noting.Go(func() { s.noteProgress(noted, jobs) })
	defer noting.Wait()
	defer stopNoting()
	if err := s.read(ctx, source, jobs); err != nil {
		return err
	}
	if !slices.ContainsFunc(jobs, func(j *job) bool { return context.Cause(j.ctx) == nil }) {
		return nil
	}
	// The rest with the live views held still: it is what came since the last look.
	// They must not wait for a rate.
	source.limiter.SetLimit(rate.Inf)
	s.applying.Lock()
	defer s.applying.Unlock()
	target, _, err := s.target()
	if err != nil {
		return err
	}
	for source.at.Compare(target) < 0 {
		slice, err := source.next(ctx, target)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if context.Cause(j.ctx) == nil { //nolint:contextcheck // the job's own
				if err := j.apply(ctx, slice); err != nil {
					j.cancel(err)
				}
			}
		}
	}
	for _, j := range jobs {
		if context.Cause(j.ctx) != nil { //nolint:contextcheck // the job's own
			continue
		}
		if j.slot.writers[0].generation.number == j.fresh.number {
			// A switch that was given up arrived after all, and Start has found it.
			return unavailable("rebuilding "+j.progress.View, errors.New("the new build is read already"))
		}
		if j.cursor().Position != target || lowestWriter(j.slot.writers).Position != target {
			return unavailable("rebuilding "+j.progress.View, errors.New("the builds are apart until the next event"))
		}
		j.live, j.slot.shadow = j.slot.writers[0].generation, j.writers
	}
	return nil
}

// maxRounds is how often a rebuild runs after the live views before it holds them
// still, and limitedRounds how often at the rate that was asked for.
const (
	maxRounds     = 32
	limitedRounds = 4
)

// read brings the jobs close to where the live views are. Each job has a
// goroutine of its own: while Redis is busy with one view, another folds.
func (s *Set) read(ctx context.Context, source *source, jobs []*job) error {
	var working sync.WaitGroup
	for _, j := range jobs {
		working.Go(func() { j.run() })
	}
	defer func() {
		for _, j := range jobs {
			close(j.slices)
		}
		working.Wait()
	}()
	for round := range maxRounds {
		if round >= limitedRounds { // it would never come close to what comes in faster
			source.limiter.SetLimit(rate.Inf)
		}
		s.applying.RLock()
		target, total, err := s.target()
		s.applying.RUnlock()
		if err != nil {
			return err
		}
		behind := 0
		for source.at.Compare(target) < 0 {
			slice, err := source.next(ctx, target)
			if err != nil {
				return err
			}
			behind += len(slice.Events)
			busy := false
			for _, j := range jobs {
				if context.Cause(j.ctx) != nil { //nolint:contextcheck // the job's own
					continue
				}
				j.expect(total)
				select {
				case j.slices <- slice:
					busy = true
				case <-j.ctx.Done():
				}
			}
			if !busy {
				return nil
			}
		}
		if behind <= feed.MaxSlice {
			break
		}
	}
	return nil
}

// target is where the live views stand, and how many events that is. applying must
// be held.
func (s *Set) target() (domain.Position, int64, error) {
	lowest := Cursor{Position: domain.EndPosition}
	for _, slot := range s.slots {
		if len(slot.writers) == 0 {
			return domain.Position{}, 0, unavailable("rebuilding", errNotStarted)
		}
		if c := lowestWriter(slot.writers); c.Position.Compare(lowest.Position) < 0 {
			lowest = c
		}
	}
	return lowest.Position, lowest.Events, nil
}

func (j *job) expect(total int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Total = total
}

func (j *job) run() {
	for slice := range j.slices {
		if context.Cause(j.ctx) != nil {
			continue // who sends must not wait
		}
		if err := j.apply(j.ctx, slice); err != nil {
			j.cancel(err)
		}
	}
}

func (j *job) apply(ctx context.Context, slice feed.Slice) error {
	for _, w := range j.writers {
		if _, err := w.apply(ctx, slice); err != nil {
			return err
		}
	}
	at := j.cursor()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Events, j.progress.Position = at.Events, at.Position.String()
	if took := j.set.now().Sub(j.began).Seconds(); took > 0 {
		j.progress.PerSecond = float64(at.Events-j.at) / took
	}
	return nil
}

func (s *Set) noteProgress(ctx context.Context, jobs []*job) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, j := range jobs {
			if context.Cause(j.ctx) == nil { //nolint:contextcheck // the job's own
				_ = j.note(ctx, func(*Progress) {}) // what is not noted now is in a moment
			}
		}
	}
}

// source reads the log for rebuilds, in slices that end at a target at the latest.
type source struct {
	follower *eventstore.Follower
	at       domain.Position
	ahead    []eventstore.Record // read, not handed out: after the last target
	limiter  *rate.Limiter
}

// rebuildSlice is the most events of a slice: the larger, the fewer round trips and
// commands; readers wait while Redis writes one.
const rebuildSlice = 2048

func (s *source) next(ctx context.Context, target domain.Position) (feed.Slice, error) {
	most := rebuildSlice
	if s.limiter.Limit() != rate.Inf {
		most = min(most, s.limiter.Burst())
	}
	for len(s.ahead) < most && (len(s.ahead) == 0 || s.ahead[len(s.ahead)-1].Position.Compare(target) < 0) {
		next, err := s.follower.Next(ctx, most-len(s.ahead))
		if err != nil {
			return feed.Slice{}, fmt.Errorf("reading the log for a rebuild: %w", err)
		}
		s.ahead = append(s.ahead, next.Records...)
	}
	slice := feed.Slice{After: s.at}
	for i := range s.ahead {
		if s.ahead[i].Position.Compare(target) > 0 {
			break
		}
		event, _ := feed.Decode(&s.ahead[i]) // what is not ours has its place and no more, as in the feed
		slice.Events = append(slice.Events, event)
	}
	s.ahead = s.ahead[len(slice.Events):]
	if len(slice.Events) == 0 {
		s.at = target // nothing of ours up to there
		return slice, nil
	}
	s.at = slice.Events[len(slice.Events)-1].Position
	if s.limiter.Limit() == rate.Inf {
		return slice, nil
	}
	return slice, s.limiter.WaitN(ctx, len(slice.Events))
}

// compareAndSwitch compares a build with the live one and makes it the one that
// is read. Apply writes both meanwhile.
func (s *Set) compareAndSwitch(j *job) error {
	ctx := j.ctx
	err := j.note(ctx, func(p *Progress) { p.State = RebuildComparing })
	if err != nil {
		return err
	}
	found, err := s.compare(ctx, j)
	if err != nil {
		return err
	}
	err = j.note(ctx, func(p *Progress) { p.Keys, p.Differing, p.Different = found.keys, found.differing, found.some })
	if err != nil {
		return err
	}
	if j.progress.Compare {
		return s.leave(ctx, j)
	}
	if found.differing > 0 {
		s.log.ErrorContext(ctx, "a view differed from the log and is replaced", slog.String("view", j.progress.View),
			slog.Int64("keys", found.differing), slog.Any("some", found.some))
	}
	old, err := s.swap(ctx, j)
	if err != nil {
		return err
	}
	leave := context.WithoutCancel(ctx)
	if err := s.discard(ctx, old); err != nil { // Tend tries again
		s.log.WarnContext(leave, "an old generation could not be removed yet", slog.String("view", j.progress.View),
			slog.Int("generation", old.number), slog.Any("error", err))
	}
	return j.end(leave, RebuildDone, nil) // if that fails accept finds what is read
}

// leave ends a comparison: the live build stays, and the other one goes.
func (s *Set) leave(ctx context.Context, j *job) error {
	s.detach(j)
	ctx = context.WithoutCancel(ctx)
	if err := j.end(ctx, RebuildDone, nil); err != nil {
		return err
	}
	if err := s.discard(ctx, j.fresh); err != nil { // Tend tries again
		s.log.WarnContext(ctx, "a build that was compared could not be removed yet", slog.String("view", j.progress.View), slog.Any("error", err))
	}
	return nil
}

// swap makes the job's build the one that is read.
func (s *Set) swap(ctx context.Context, j *job) (old *Generation, err error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	if err := attached(j); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := s.activate(context.WithoutCancel(ctx), j.slot.view, j.fresh.number); err != nil {
		s.letGo(errors.Is(err, ErrFenced)) // whether it is active now only Redis knows
		return nil, err
	}
	old = j.slot.writers[0].generation
	j.slot.writers, j.slot.shadow = j.writers, nil
	j.slot.live.Store(j.fresh)
	s.tell(context.WithoutCancel(ctx), domain.Position{}, domain.Position{}, nil)
	return old, nil
}

// attached tells whether Apply still writes the job's build beside the live one.
func attached(j *job) error {
	if len(j.slot.writers) == 0 || len(j.slot.shadow) == 0 || j.slot.shadow[0] != j.writers[0] ||
		j.slot.writers[0].generation.number == j.fresh.number {
		return unavailable("rebuilding "+j.progress.View, errors.New("the views were started again meanwhile"))
	}
	return nil
}

// comparison is what became of comparing two builds.
type comparison struct {
	keys, differing int64
	some            []string
}

const (
	maxSome      = 8    // keys named that differ
	maxPiece     = 4000 // elements that are compared while Apply waits
	scanCompared = 200  // keys whose sizes are asked for at a time
)

// compare looks whether every key of either build is the same in the other. The
// two are compared piece by piece, each piece at a moment when both stand at the
// same position; Apply waits for a piece, not for all.
func (s *Set) compare(ctx context.Context, j *job) (comparison, error) {
	var found comparison
	differs := func(rest string) {
		found.differing++
		if len(found.some) < maxSome {
			found.some = append(found.some, rest)
		}
	}
	for i := range j.live.parts {
		a, b := j.live.parts[i].prefix, j.fresh.parts[i].prefix
		seen := make(map[string]struct{})
		for _, prefix := range []string{a, b} { // of the second what is new since, or in this build alone
			err := scan(ctx, s.client, prefix, func(names []string) error {
				rests := make([]string, 0, len(names))
				for _, name := range names {
					rest := strings.TrimPrefix(name, prefix)
					if _, known := seen[rest]; !known {
						seen[rest] = struct{}{}
						rests = append(rests, rest)
					}
				}
				found.keys += int64(len(rests))
				for some := range slices.Chunk(rests, scanCompared) {
					if err := s.compareKeys(ctx, j, a, b, some, differs); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return comparison{}, err
			}
		}
	}
	slices.Sort(found.some)
	return found, nil
}

// compareKeys compares keys, as many at a time as fit into a piece.
func (s *Set) compareKeys(ctx context.Context, j *job, a, b string, rests []string, differs func(string)) error {
	sizes, err := sizesOf(ctx, s.client, a, rests)
	if err != nil {
		return err
	}
	for len(rests) > 0 {
		n, elements := 0, int64(0)
		for n < len(rests) && (n == 0 || elements+sizes[rests[n]].elements <= maxPiece) {
			elements += sizes[rests[n]].elements
			n++
		}
		some := rests[:n]
		rests = rests[n:]
		if n == 1 && elements > maxPiece {
			compare := s.compareList
			if sizes[some[0]].kind == "hash" {
				compare = s.compareHash
			}
			if err := compare(ctx, j, a, b, some[0], differs); err != nil {
				return err
			}
			continue
		}
		var values [][]any
		err := s.still(ctx, j, func() (err error) {
			values, err = valuesOf(ctx, s.client, some, a, b)
			return err
		})
		if err != nil {
			return err
		}
		for i, rest := range some {
			if !sameValue(values[0][i], values[1][i]) {
				differs(rest)
			}
		}
	}
	return nil
}

// compareHash compares two large hashes: every field of one, some at a time, and
// how many there are.
func (s *Set) compareHash(ctx context.Context, j *job, a, b, rest string, differs func(string)) error {
	same := true
	for cursor, more := uint64(0), true; more; {
		pairs, next, err := s.client.HScan(ctx, a+rest, cursor, "", maxPiece).Result()
		if err != nil {
			return unavailable("comparing "+rest, err)
		}
		var names []string
		for i := 0; i+1 < len(pairs); i += 2 {
			names = append(names, pairs[i])
		}
		for some := range slices.Chunk(names, maxPiece) {
			err := s.still(ctx, j, func() error {
				left, err := s.client.HMGet(ctx, a+rest, some...).Result()
				if err != nil {
					return unavailable("comparing "+rest, err)
				}
				right, err := s.client.HMGet(ctx, b+rest, some...).Result()
				same = same && slices.Equal(left, right)
				return unavailable("comparing "+rest, err)
			})
			if err != nil {
				return err
			}
		}
		cursor, more = next, next != 0
	}
	err := s.still(ctx, j, func() error {
		left, err := s.client.HLen(ctx, a+rest).Result()
		if err != nil {
			return unavailable("comparing "+rest, err)
		}
		right, err := s.client.HLen(ctx, b+rest).Result()
		same = same && left == right
		return unavailable("comparing "+rest, err)
	})
	if err == nil && !same {
		differs(rest)
	}
	return err
}

// compareList compares two long lists in stretches. They only grow at their ends.
func (s *Set) compareList(ctx context.Context, j *job, a, b, rest string, differs func(string)) error {
	for from := int64(0); ; from += maxPiece {
		var left, right []string
		err := s.still(ctx, j, func() (err error) {
			if left, err = s.client.LRange(ctx, a+rest, from, from+maxPiece-1).Result(); err != nil {
				return unavailable("comparing "+rest, err)
			}
			right, err = s.client.LRange(ctx, b+rest, from, from+maxPiece-1).Result()
			return unavailable("comparing "+rest, err)
		})
		if err != nil {
			return err
		}
		if !slices.Equal(left, right) {
			differs(rest)
			return nil
		}
		if len(left) < maxPiece {
			return nil
		}
	}
}

// still runs fn while nothing is applied. Several may compare at a time.
func (s *Set) still(ctx context.Context, j *job, fn func() error) error {
	s.applying.RLock()
	defer s.applying.RUnlock()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := attached(j); err != nil {
		return err
	}
	return fn()
}
