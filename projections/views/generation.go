package views

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// view is a fold of the log into keys. Implementations hold no state.
type view interface {
	name() string
	// version is raised when the fold or its keys change; a view of another
	// version is rebuilt at start.
	version() int
	// fold reads what it needs of the view (r sees it exactly as the events before
	// these left it), and returns the writes of these events and the topics that
	// live readers wait on. It must write absolute or appended values that depend
	// on nothing but the view and the events.
	fold(ctx context.Context, r redis.Cmdable, k keys, events []feed.Event) (writes func(redis.Pipeliner), topics []string, err error)
}

// keys makes the keys of one generation of a view.
type keys struct{ prefix string }

func newKeys(view string, generation int) keys {
	return keys{prefix: "tradetrail:{" + view + ":" + strconv.Itoa(generation) + "}:"}
}

// at is a key of the generation; what names the kind of key in one letter.
func (k keys) at(what, id string) string { return k.prefix + what + ":" + id }

func (k keys) cursor() string { return k.prefix + "cursor" }

// ErrGap reports a slice that begins after the view's cursor: events are missing
// between, for example since Redis lost its data. The feed must start again from
// the cursor.
var ErrGap = errors.New("the slice begins after the view's cursor")

// Generation is one build of one view.
type Generation struct {
	view   view
	number int
	keys   keys
	client redis.UniversalClient

	readers sync.RWMutex // held for reading by queries, for writing before the keys are dropped
}

func newGeneration(client redis.UniversalClient, v view, number int) *Generation {
	return &Generation{view: v, number: number, keys: newKeys(v.name(), number), client: client}
}

// Cursor is the position of the last event that the generation has applied.
func (g *Generation) Cursor(ctx context.Context) (domain.Position, error) {
	return g.readCursor(ctx, g.client)
}

func (g *Generation) readCursor(ctx context.Context, r redis.Cmdable) (domain.Position, error) {
	text, err := r.Get(ctx, g.keys.cursor()).Result()
	if errors.Is(err, redis.Nil) {
		return domain.Position{}, nil
	}
	if err != nil {
		return domain.Position{}, unavailable("reading the cursor of "+g.view.name(), err)
	}
	return parsePlace(text)
}

// Apply folds a slice into the view, with its cursor, in one transaction. Events
// that were applied before are skipped, so a slice may come again. It returns
// the topics that changed, and whether events were skipped. Two processes may
// apply to one generation: one of them wins each slice, the other then skips it.
func (g *Generation) Apply(ctx context.Context, slice feed.Slice) (topics []string, skipped bool, err error) {
	for range maxRaces {
		topics, skipped, err = g.apply(ctx, slice)
		if !errors.Is(err, redis.TxFailedErr) {
			break
		}
	}
	return topics, skipped, err
}

// maxRaces is how often a slice is tried when another process was faster. It
// must have applied something each time, so the end comes soon.
const maxRaces = 8

func (g *Generation) apply(ctx context.Context, slice feed.Slice) (topics []string, skipped bool, err error) {
	if len(slice.Events) == 0 {
		return nil, false, nil
	}
	last := slice.Events[len(slice.Events)-1].Position
	attempt := func(tx *redis.Tx) error {
		cursor, err := g.readCursor(ctx, tx)
		if err != nil {
			return err
		}
		if cursor.Compare(slice.After) < 0 {
			return fmt.Errorf("applying %s..%s to %s at %s: %w", slice.After, last, g.view.name(), cursor, ErrGap)
		}
		events := slice.Events
		for len(events) > 0 && events[0].Position.Compare(cursor) <= 0 {
			events = events[1:]
		}
		if len(events) == 0 {
			skipped = true
			return nil
		}
		writes, changed, err := g.view.fold(ctx, tx, g.keys, events)
		if err != nil {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			writes(p)
			p.Set(ctx, g.keys.cursor(), place(last), 0)
			return nil
		})
		topics, skipped = changed, len(events) < len(slice.Events)
		return err
	}
	err = g.client.Watch(ctx, attempt, g.keys.cursor())
	if err != nil && !errors.Is(err, ErrGap) {
		return nil, false, unavailable("applying to "+g.view.name(), err)
	}
	return topics, skipped, err
}

// Hash covers everything the generation holds, its cursor included, and neither
// its number nor its name. Nothing may be applied meanwhile.
func (g *Generation) Hash(ctx context.Context) (string, error) {
	return hashKeys(ctx, g.client, g.keys.prefix)
}

// drop removes the generation once its last reader is done. It must not be the
// live one: then whoever comes to read it meanwhile sees that and turns to the
// live one, without waiting for the removal.
func (g *Generation) drop(ctx context.Context) error {
	g.readers.Lock()
	g.readers.Unlock() //nolint:staticcheck // waiting for the readers is all that is wanted
	return drop(ctx, g.client, g.keys.prefix)
}
