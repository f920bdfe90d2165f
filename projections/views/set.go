package views

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// Set is all views together: what applies slices to them, reads them and
// rebuilds them. Reading is safe from any goroutine of any process. Of all
// processes on one Redis one writes: Start takes over, and whoever wrote before
// can't any more.
type Set struct {
	client redis.UniversalClient
	reads  *convoy
	writes *ferry
	store  *eventstore.Store
	log    *slog.Logger
	hub    *hub
	slots  []*slot
	name   string // of this process, among those on one Redis
	now    func() time.Time
	limits limits

	channel string // where news is published

	applying sync.RWMutex // held for the duration of an Apply, of a Start, and of a switch of generations; for reading by who compares builds
	fence    int64        // our number as the one that writes; 0: we don't; guarded by applying
	unsure   bool         // an Apply failed: it may have changed what nobody was told of; guarded by applying

	tending sync.Mutex // held while rebuilds are done

	sight   sight
	told    domain.Position // the last stretch that another process told of; belongs to Watch
	highest atomic.Int64    // of the numbers that this process has met
}

// slot is the place of one view.
type slot struct {
	view    view
	live    atomic.Pointer[Generation] // the one that is read; nil until it is found
	writers []*writer                  // of live; nil: not known to be ours; guarded by applying
	shadow  []*writer                  // of a build that has caught up and waits for the switch; guarded by applying
}

// Options are what views depend on besides the log.
type Options struct {
	// Keep is how long the bodies of events stay in Redis, by recorded_at and
	// against the newest event. Older ones are read from the event store. 0: for
	// ever.
	Keep time.Duration
	// Parts is over how many hash slots of a cluster the bodies are spread. 0: 8 on a
	// cluster, 1 elsewhere.
	Parts int
	// Now is the clock: it tells how long something takes, and what is written of
	// rebuilds. nil: the machine's.
	Now func() time.Time
}

// NewSet makes the set of all views; it touches nothing until Start or Watch.
func NewSet(client redis.UniversalClient, store *eventstore.Store, log *slog.Logger, options Options) *Set {
	bodies := eventsView{count: options.Parts, keep: options.Keep}
	if bodies.count == 0 {
		bodies.count = 1
		if _, cluster := client.(*redis.ClusterClient); cluster {
			bodies.count = clusterParts
		}
	}
	s := &Set{client: client, reads: newConvoy(client), writes: newFerry(client), store: store, log: log, hub: newHub(), name: uuid.NewString(), now: options.Now, limits: defaultLimits(), channel: channelOf(client)}
	if s.now == nil {
		s.now = time.Now
	}
	for _, v := range []view{
		bodies,
		searchView{},
		ordersView{},
		chainsView{},
		accountsView(), strategiesView(), usersView(), instrumentsView(),
		entitiesView{},
		dailyView{},
		latencyView{},
		anomaliesView{},
	} {
		s.slots = append(s.slots, &slot{view: v})
	}
	return s
}

// Now is the time by the set's clock.
func (s *Set) Now() time.Time { return s.now() }

// Names lists the views.
func (s *Set) Names() []string {
	names := make([]string, len(s.slots))
	for i, slot := range s.slots {
		names[i] = slot.view.name()
	}
	return names
}

func (s *Set) slot(name string) (*slot, error) {
	for _, slot := range s.slots {
		if slot.view.name() == name {
			return slot, nil
		}
	}
	return nil, UnknownProjection("projection", name, s.Names())
}

// UnknownProjection says that there is no view of a name, and which there are.
func UnknownProjection(field, name string, names []string) error {
	return &domain.Error{
		Class: domain.ClassNotFound, Code: "unknown_projection", Field: field,
		Message: fmt.Sprintf("no projection %.64q; there are %s", name, strings.Join(names, ", ")),
	}
}

func (s *Set) generation(v view, number int) *Generation {
	return newGeneration(s.client, s.reads, s.writes, s.log, v, number)
}

// Start makes this process the one that writes the views, if it is not yet. It
// finds the generation of each that is read, or begins one where there is none or
// it is of another version, and returns the lowest cursor: where the feed has to
// begin. It may be called again at any time, and must be after an Apply failed.
//
// Only the holder of the lease may call it: whoever calls it takes over.
func (s *Set) Start(ctx context.Context) (domain.Position, error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	lowest, err := s.start(ctx)
	if err != nil {
		s.letGo(errors.Is(err, ErrFenced))
	}
	return lowest, err
}

func (s *Set) start(ctx context.Context) (domain.Position, error) {
	if s.fence == 0 {
		fence, err := s.draw(ctx, fenceKey)
		if err != nil {
			return domain.Position{}, err
		}
		s.fence, s.unsure = fence, true // whoever wrote before may not have told of its last
	}
	active, err := s.active(ctx)
	if err != nil {
		return domain.Position{}, err
	}
	lowest := domain.EndPosition
	for _, slot := range s.slots {
		stand, err := s.take(ctx, slot, parseBuild(active[slot.view.name()]))
		if err != nil {
			return domain.Position{}, err
		}
		if stand.Position.Compare(lowest) < 0 {
			lowest = stand.Position
		}
	}
	if err := s.look(ctx); err != nil {
		return domain.Position{}, err
	}
	if s.unsure {
		// What a failed Apply did after all is before the cursors just read, so it
		// does not come again and nobody else will wake those who wait for it.
		s.tell(ctx, domain.Position{}, domain.Position{}, nil)
		s.unsure = false
	}
	return lowest, nil
}

// take makes sure that we are the writer of the build that is read, and returns
// the cursor that is furthest behind.
func (s *Set) take(ctx context.Context, slot *slot, active build) (Cursor, error) {
	if active.fits(slot.view) && len(slot.writers) > 0 && slot.writers[0].generation.number == active.number {
		cursors, ok, err := slot.writers[0].generation.cursors(ctx)
		if err != nil {
			return Cursor{}, err
		}
		if ok {
			for i, w := range slot.writers {
				switch {
				case cursors[i].fence > s.fence:
					return Cursor{}, ErrFenced
				case cursors[i].String() != w.stands:
					slot.writers = nil
					return s.take(ctx, slot, active)
				}
			}
			return lowestOf(cursors), nil
		}
	}
	slot.writers, slot.shadow = nil, nil
	if active.fits(slot.view) {
		g := s.generation(slot.view, active.number)
		writers, err := g.takeOver(ctx, s.fence)
		if err == nil {
			s.adoptWriters(slot, g, writers)
			return lowestWriter(writers), nil
		}
		if !errors.Is(err, ErrGap) {
			return Cursor{}, err
		}
		// Its cursor is gone: what else there is of it can't be trusted.
	}
	g, err := s.register(ctx, slot.view)
	if err != nil {
		return Cursor{}, err
	}
	writers, err := g.takeOver(ctx, s.fence)
	if err != nil {
		return Cursor{}, err
	}
	s.sight.reached.Store(false) // before anybody takes it: look opens again
	if err := s.activate(ctx, slot.view, g.number); err != nil {
		return Cursor{}, err
	}
	s.adoptWriters(slot, g, writers)
	return lowestWriter(writers), nil
}

func (s *Set) adoptWriters(slot *slot, g *Generation, writers []*writer) {
	slot.writers = writers
	if live := slot.live.Load(); live == nil || live.number != g.number {
		slot.live.Store(g)
		s.unsure = true
	}
}

func lowestWriter(writers []*writer) Cursor {
	cursors := make([]Cursor, len(writers))
	for i, w := range writers {
		cursors[i] = w.cursor
	}
	return lowestOf(cursors)
}

// register begins a new generation. From before its first key until after its
// last it is in the list of those that must not be forgotten.
func (s *Set) register(ctx context.Context, v view) (*Generation, error) {
	number, err := s.draw(ctx)
	if err != nil {
		return nil, err
	}
	g := s.generation(v, int(number))
	if err := s.client.SAdd(ctx, generationsKey, g.id()).Err(); err != nil {
		return nil, unavailable("registering a generation of "+v.name(), err)
	}
	return g, g.begin(ctx)
}

// discard removes a generation that is not read (any more).
func (s *Set) discard(ctx context.Context, g *Generation) error {
	active, err := s.activeBuild(ctx, g.view)
	if err != nil {
		return err
	}
	if active.number == g.number {
		return fmt.Errorf("removing generation %d of %s, which is read", g.number, g.view.name())
	}
	if err := s.bury(ctx, g); err != nil {
		return err
	}
	if err := g.drop(ctx); err != nil {
		return err
	}
	return unavailable("forgetting a generation of "+g.view.name(), s.client.SRem(ctx, generationsKey, g.id()).Err())
}

// buryScript removes a cursor, unless somebody with a later fence writes there.
var buryScript = redis.NewScript(`
local cursor = redis.call('GET', KEYS[1])
if cursor and tonumber(string.match(cursor, '(%d+)$') or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
return 1`)

// bury removes the cursors of a generation, unless another process has taken it
// over since we were the one that writes.
func (s *Set) bury(ctx context.Context, g *Generation) error {
	s.applying.RLock()
	fence := s.fence
	s.applying.RUnlock()
	for _, k := range g.parts {
		buried, err := buryScript.Run(ctx, s.client, []string{k.cursor()}, fence).Int()
		if err != nil {
			return unavailable("removing "+g.view.name(), err)
		}
		if buried == 0 {
			return fmt.Errorf("removing generation %d of %s: %w", g.number, g.view.name(), ErrFenced)
		}
	}
	return nil
}

// letGo forgets what is known of the views' cursors: only Redis knows.
func (s *Set) letGo(fenced bool) {
	for _, slot := range s.slots {
		slot.writers, slot.shadow = nil, nil
	}
	if fenced {
		s.fence = 0
	}
	s.unsure = true
}

// Stop ends this process's turn as the one that writes; the next Start begins
// another.
func (s *Set) Stop() {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.letGo(true)
}

// Apply folds a slice into every view and wakes those who wait for what
// changed, here and in other processes. Views that were ahead skip what they
// have. With an error some views may have applied the slice and others not: call
// Start and apply from where it says.
func (s *Set) Apply(ctx context.Context, slice feed.Slice) error {
	if len(slice.Events) == 0 {
		return nil
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	var mu sync.Mutex
	topics := make(map[string]struct{})
	group, groupCtx := errgroup.WithContext(ctx)
	for _, slot := range s.slots {
		if len(slot.writers) == 0 {
			return unavailable("applying to "+slot.view.name(), errNotStarted)
		}
		for _, w := range slices.Concat(slot.writers, slot.shadow) {
			group.Go(func() error {
				changed, err := w.apply(groupCtx, slice)
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(topics, changed)
				return err
			})
		}
	}
	last := slice.Events[len(slice.Events)-1].Position
	if err := group.Wait(); err != nil {
		s.letGo(errors.Is(err, ErrFenced))
		return err
	}
	s.sight.arrived(last)
	s.tell(ctx, slice.After, last, topics)
	return nil
}

var errNotStarted = errors.New("the read models are not open yet")

// Hash is the SHA-256 over everything a view holds, with its position. Where the
// views are written it holds back the application of events while it runs;
// elsewhere it tries again until nothing was applied meanwhile.
func (s *Set) Hash(ctx context.Context, name string) (string, domain.Position, error) {
	slot, err := s.slot(name)
	if err != nil {
		return "", domain.Position{}, err
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	for range maxHashes {
		live := slot.live.Load()
		if live == nil {
			return "", domain.Position{}, unavailable("reading "+name, errNotStarted)
		}
		before, ok, err := live.cursor(ctx)
		if err != nil {
			return "", domain.Position{}, err
		}
		hash, err := live.hash(ctx)
		if err != nil {
			return "", domain.Position{}, err
		}
		after, _, err := live.cursor(ctx)
		if err != nil {
			return "", domain.Position{}, err
		}
		if ok && before == after {
			return hash, after.Position, nil
		}
		if err := s.look(ctx); err != nil {
			return "", domain.Position{}, err
		}
	}
	return "", domain.Position{}, &domain.Error{
		Class: domain.ClassTransient, Code: "views_busy", Message: name + " changes faster than it can be hashed here; ask the process that writes it",
	}
}

// maxHashes is how often hashing is tried.
const maxHashes = 5

// id is the generation in the list of those that may have keys.
func (g *Generation) id() string { return g.view.name() + ":" + strconv.Itoa(g.number) }
