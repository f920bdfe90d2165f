package views

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/projections/feed"
)

const (
	activeKey     = "tradetrail:{views}:active"     // hash: view -> generation:version
	generationKey = "tradetrail:{views}:generation" // counter of all generations ever begun
)

// Set is all views together: what applies slices to them, reads them and
// rebuilds them. Reading is safe from any goroutine; Apply and Rebuild take
// turns.
type Set struct {
	client redis.UniversalClient
	store  *eventstore.Store
	log    *slog.Logger
	hub    *hub
	slots  []*slot

	applying sync.Mutex // held for the duration of an Apply, of a Start, and of a switch of generations
	unsure   bool       // an Apply failed: it may have changed what nobody was told of; guarded by applying

	readable domain.Position // where the views must have come before they are read, see Adopt; guarded by applying
	reached  atomic.Bool     // they have
	applied  domain.Position // the last event that all views have got from us; guarded by applying
}

// slot is the place of one view.
type slot struct {
	view       view
	live       atomic.Pointer[Generation] // nil until Start has found it
	rebuilding sync.Mutex
	progress   atomic.Pointer[Progress] // of the rebuild under way, or nil
}

// NewSet makes the set of all views; it touches nothing until Start.
func NewSet(client redis.UniversalClient, store *eventstore.Store, log *slog.Logger) *Set {
	s := &Set{client: client, store: store, log: log, hub: newHub()}
	s.slots = []*slot{{view: eventsView{}}, {view: ordersView{}}}
	for _, v := range newOwnersViews() {
		s.slots = append(s.slots, &slot{view: v})
	}
	return s
}

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
	return nil, &domain.Error{
		Class: domain.ClassNotFound, Code: "unknown_projection", Field: "projection",
		Message: fmt.Sprintf("no projection %.64q; there are %s", name, strings.Join(s.Names(), ", ")),
	}
}

// Start finds the generation of each view that is read, or begins one where
// there is none or its version is another. It returns the lowest cursor: where
// the feed has to begin. It may be called again at any time.
func (s *Set) Start(ctx context.Context) (domain.Position, error) {
	// A switch of generations must not come between reading which are active and
	// taking them.
	s.applying.Lock()
	defer s.applying.Unlock()
	active, err := s.client.HGetAll(ctx, activeKey).Result()
	if err != nil {
		return domain.Position{}, unavailable("reading which views are active", err)
	}
	lowest := domain.EndPosition
	for _, slot := range s.slots {
		number, version := parseActive(active[slot.view.name()])
		if number == 0 || version != slot.view.version() {
			if number, err = s.begin(ctx, slot.view); err != nil {
				return domain.Position{}, err
			}
		}
		live := slot.live.Load()
		if live == nil || live.number != number {
			live = newGeneration(s.client, slot.view, number)
			slot.live.Store(live)
			s.unsure = true
		}
		cursor, err := live.Cursor(ctx)
		if err != nil {
			return domain.Position{}, err
		}
		if cursor.Compare(lowest) < 0 {
			lowest = cursor
		}
	}
	s.reached.Store(lowest.Compare(s.readable) >= 0)
	if s.unsure {
		// What a failed Apply did after all is before the cursors just read, so it
		// does not come again and nobody else will wake those who wait for it.
		s.hub.notifyAll()
		s.unsure = false
	}
	return lowest, nil
}

func parseActive(text string) (generation, version int) {
	g, v, _ := strings.Cut(text, ":")
	generation, errG := strconv.Atoi(g)
	version, errV := strconv.Atoi(v)
	if errG != nil || errV != nil {
		return 0, 0
	}
	return generation, version
}

// begin starts a view from nothing and makes it the one that is read. Processes
// that do so at the same time agree on one generation.
func (s *Set) begin(ctx context.Context, v view) (number int, err error) {
	attempt := func(tx *redis.Tx) error {
		active, err := tx.HGet(ctx, activeKey, v.name()).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		var version int
		if number, version = parseActive(active); number != 0 && version == v.version() {
			return nil
		}
		next, err := tx.Incr(ctx, generationKey).Result()
		if err != nil {
			return err
		}
		number = int(next)
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, activeKey, v.name(), activeValue(v, number))
			return nil
		})
		return err
	}
	for range maxRaces {
		if err = s.client.Watch(ctx, attempt, activeKey); !errors.Is(err, redis.TxFailedErr) {
			break
		}
	}
	return number, unavailable("beginning a generation of "+v.name(), err)
}

func activeValue(v view, number int) string {
	return strconv.Itoa(number) + ":" + strconv.Itoa(v.version())
}

func (s *Set) activate(ctx context.Context, v view, number int) error {
	return unavailable("activating a generation of "+v.name(),
		s.client.HSet(ctx, activeKey, v.name(), activeValue(v, number)).Err())
}

// Apply folds a slice into every view and wakes those who wait for what
// changed. Views that were ahead skip what they have. With an error some views
// may have applied the slice and others not: apply it again.
func (s *Set) Apply(ctx context.Context, slice feed.Slice) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	// Bodies first, so that who follows a reference seldom has to ask the store.
	err := s.applyTo(ctx, s.slots[eventsSlot], slice)
	if err == nil {
		group, ctx := errgroup.WithContext(ctx)
		for _, slot := range s.slots[eventsSlot+1:] {
			group.Go(func() error { return s.applyTo(ctx, slot, slice) })
		}
		err = group.Wait()
	}
	s.unsure = s.unsure || err != nil
	if n := len(slice.Events); err == nil && n > 0 {
		if last := slice.Events[n-1].Position; last.Compare(s.applied) > 0 {
			s.applied = last
		}
		if slice.Events[n-1].Position.Compare(s.readable) >= 0 {
			s.reached.Store(true)
		}
	}
	return err
}

func (s *Set) applyTo(ctx context.Context, slot *slot, slice feed.Slice) (err error) {
	defer func() {
		// The views run in goroutines of their own: nobody above would see a panic,
		// and the process would end with all its other views.
		if p := recover(); p != nil {
			err = fmt.Errorf("applying to %s: panic: %v\n%s", slot.view.name(), p, debug.Stack())
		}
	}()
	live := slot.live.Load()
	if live == nil {
		return unavailable("applying to "+slot.view.name(), errNotStarted)
	}
	topics, skipped, err := live.Apply(ctx, slice)
	if err != nil {
		return err
	}
	if skipped {
		s.hub.notifyAll() // somebody else applied it, and did not tell us what changed
	}
	s.hub.notify(topics)
	return nil
}

var errNotStarted = errors.New("the read models are not open yet")

// Status is where one view stands.
type Status struct {
	Name       string
	Version    int
	Generation int
	Position   domain.Position
	Rebuild    *Progress // of the rebuild under way, or nil
}

// Status tells where every view stands.
func (s *Set) Status(ctx context.Context) ([]Status, error) {
	statuses := make([]Status, 0, len(s.slots))
	for _, slot := range s.slots {
		live, done, err := s.read(slot)
		if err != nil {
			return nil, err
		}
		position, err := live.Cursor(ctx)
		done()
		if err != nil {
			return nil, err
		}
		statuses = append(statuses, Status{
			Name: slot.view.name(), Version: slot.view.version(), Generation: live.number,
			Position: position, Rebuild: slot.progress.Load(),
		})
	}
	return statuses, nil
}

// Hash is the SHA-256 over everything a view holds, with its position. It holds
// back the application of events while it runs, so that the two belong together.
func (s *Set) Hash(ctx context.Context, name string) (string, domain.Position, error) {
	slot, err := s.slot(name)
	if err != nil {
		return "", domain.Position{}, err
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	live, done, err := s.read(slot)
	if err != nil {
		return "", domain.Position{}, err
	}
	defer done()
	position, err := live.Cursor(ctx)
	if err != nil {
		return "", domain.Position{}, err
	}
	hash, err := live.Hash(ctx)
	return hash, position, err
}

// read takes the live generation for reading; done must be called.
func (s *Set) read(slot *slot) (live *Generation, done func(), err error) {
	for {
		live := slot.live.Load()
		if live == nil {
			return nil, nil, unavailable("reading "+slot.view.name(), errNotStarted)
		}
		live.readers.RLock()
		if slot.live.Load() == live {
			return live, live.readers.RUnlock, nil
		}
		live.readers.RUnlock() // switched between the two lines
	}
}
