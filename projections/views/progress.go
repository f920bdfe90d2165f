package views

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
)

// RebuildState is how far a rebuild has come.
type RebuildState string

// The states of a rebuild, in their order.
const (
	RebuildQueued     RebuildState = "queued"     // asked for
	RebuildBuilding   RebuildState = "building"   // reading the log
	RebuildComparing  RebuildState = "comparing"  // new build and old one, key by key
	RebuildCancelling RebuildState = "cancelling" // to be given up
	RebuildDone       RebuildState = "done"       // the new build is read
	RebuildFailed     RebuildState = "failed"     // the old one still is
	RebuildCancelled  RebuildState = "cancelled"  // the old one still is
)

// Over reports whether nothing more will happen.
func (s RebuildState) Over() bool {
	return s == RebuildDone || s == RebuildFailed || s == RebuildCancelled
}

// Progress is a view's rebuild under way, or its last. It stands in Redis, so
// that any process can ask for a rebuild and see it, and that one goes on when
// its process dies.
type Progress struct {
	ID         string       `json:"id"`
	View       string       `json:"view"`
	State      RebuildState `json:"state"`
	Compare    bool         `json:"compare,omitzero"` // the live build stays, whatever is found
	Rate       int          `json:"rate,omitzero"`    // events per second at most; 0: no limit
	Generation int          `json:"generation,omitzero"`
	Events     int64        `json:"events"` // done
	Total      int64        `json:"total"`  // to do, as far as known
	Position   string       `json:"position,omitzero"`
	PerSecond  float64      `json:"per_second"` // since it (last) began to read the log
	QueuedAt   time.Time    `json:"queued_at"`
	UpdatedAt  time.Time    `json:"updated_at"`
	EndedAt    time.Time    `json:"ended_at,omitzero"`

	Keys      int64    `json:"keys"`                // compared
	Differing int64    `json:"differing,omitzero"`  // of these
	Different []string `json:"different,omitempty"` // some of them
	Error     string   `json:"error,omitzero"`
}

// Equal reports whether the rebuild changed nothing, as it should unless the
// fold did or Redis was tampered with.
func (p Progress) Equal() bool { return p.State == RebuildDone && p.Differing == 0 }

// Left estimates how long building will still take; ok is false when nothing is
// known.
func (p Progress) Left() (left time.Duration, ok bool) {
	if p.State != RebuildBuilding || p.PerSecond <= 0 {
		return 0, false
	}
	return time.Duration(float64(max(p.Total-p.Events, 0)) / p.PerSecond * float64(time.Second)), true
}

// err is what became of a rebuild that is over.
func (p Progress) err() error {
	switch p.State {
	case RebuildFailed:
		return fmt.Errorf("rebuilding %s: %s", p.View, p.Error)
	case RebuildCancelled:
		return &domain.Error{Class: domain.ClassConflict, Code: "rebuild_cancelled", Message: "the rebuild of " + p.View + " was cancelled"}
	default:
		return nil
	}
}

// ErrRebuilding says that the view is being rebuilt already.
var ErrRebuilding = &domain.Error{Class: domain.ClassConflict, Code: "rebuild_running", Message: "the view is being rebuilt already"}

// swapScript changes a field of a hash if it is what the caller takes it for.
var swapScript = redis.NewScript(`
local now = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if now ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`)

// swapProgress changes what is known of a view's rebuild, unless somebody else
// has; changed is then false.
func (s *Set) swapProgress(ctx context.Context, view, before string, to Progress) (after string, changed bool, err error) {
	to.Error = strings.ToValidUTF8(to.Error, "?")
	encoded, err := json.Marshal(to, json.Deterministic(true))
	if err != nil {
		return "", false, damaged("a rebuild that can't be written: %v", err)
	}
	done, err := swapScript.Run(ctx, s.client, []string{rebuildsKey}, view, before, string(encoded)).Int()
	return string(encoded), done == 1, unavailable("noting the rebuild of "+view, err)
}

func (s *Set) readProgress(ctx context.Context, view string) (p Progress, text string, err error) {
	text, err = s.client.HGet(ctx, rebuildsKey, view).Result()
	if errors.Is(err, redis.Nil) {
		return Progress{}, "", nil
	}
	if err != nil {
		return Progress{}, "", unavailable("reading the rebuild of "+view, err)
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return Progress{}, text, damaged("an unreadable rebuild of %s", view)
	}
	return p, text, nil
}

// Rebuilds are the rebuilds under way and the last of each view, by view.
func (s *Set) Rebuilds(ctx context.Context) (map[string]Progress, error) {
	texts, err := s.client.HGetAll(ctx, rebuildsKey).Result()
	if err != nil {
		return nil, unavailable("reading the rebuilds", err)
	}
	all := make(map[string]Progress, len(texts))
	for view, text := range texts {
		var p Progress
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return nil, damaged("an unreadable rebuild of %s", view)
		}
		all[view] = p
	}
	return all, nil
}

const rebuildsTopic = "\x00rebuilds"

// RebuildOptions say how a rebuild is done.
type RebuildOptions struct {
	Rate int // events per second at most; 0: as fast as it goes
	// Compare only looks whether the live views are what the log says: they stay as
	// they are, and what was built beside them is removed.
	Compare bool
}

// RequestRebuild asks for rebuilds. The process that writes the views does them,
// those that are asked for together in one pass over the log. With an error those
// named before the one at fault stay asked for, and are returned.
func (s *Set) RequestRebuild(ctx context.Context, names []string, options RebuildOptions) ([]Progress, error) {
	if options.Rate < 0 {
		return nil, domain.Rejectf(domain.CodeInvalid, "rate", "must not be negative")
	}
	asked := make([]Progress, 0, len(names))
	for _, name := range names {
		if _, err := s.slot(name); err != nil {
			return asked, err
		}
		before, text, err := s.readProgress(ctx, name)
		if err != nil && text == "" {
			return asked, err
		}
		if err == nil && text != "" && !before.State.Over() {
			return asked, fmt.Errorf("rebuilding %s: %w", name, ErrRebuilding)
		}
		now := s.now().UTC()
		p := Progress{ID: uuid.NewString(), View: name, State: RebuildQueued, Compare: options.Compare, Rate: options.Rate, QueuedAt: now, UpdatedAt: now}
		_, changed, err := s.swapProgress(ctx, name, text, p)
		if err == nil && !changed { // or a first try of the same, whose answer was lost
			var now Progress
			now, _, err = s.readProgress(ctx, name)
			changed = now.ID == p.ID
		}
		if err != nil {
			return asked, err
		}
		if !changed {
			return asked, fmt.Errorf("rebuilding %s: %w", name, ErrRebuilding)
		}
		asked = append(asked, p)
	}
	s.tellOfRebuilds(ctx)
	return asked, nil
}

// CancelRebuild gives up a rebuild under way: its half-built generation is removed
// and nothing has changed. It returns at once; without a rebuild it does nothing.
func (s *Set) CancelRebuild(ctx context.Context, name string) error {
	if _, err := s.slot(name); err != nil {
		return err
	}
	for {
		p, text, err := s.readProgress(ctx, name)
		if err != nil || text == "" || p.State.Over() || p.State == RebuildCancelling {
			return err
		}
		p.State, p.UpdatedAt = RebuildCancelling, s.now().UTC()
		if _, changed, err := s.swapProgress(ctx, name, text, p); err != nil || changed {
			s.tellOfRebuilds(ctx)
			return err
		}
	}
}

// progressEvery is how often progress is noted, and looked for.
const progressEvery = 250 * time.Millisecond

// Rebuild makes views anew from the log beside the live ones, compares the two,
// and switches readers over, each when its comparison is done. The live views are
// read and written throughout. When ctx ends before, what is not done is cancelled:
// of that nothing has changed.
func (s *Set) Rebuild(ctx context.Context, names []string, options RebuildOptions) ([]Progress, error) {
	news := s.hub.listen(rebuildsTopic)
	defer news.close()
	asked, err := s.RequestRebuild(ctx, names, options)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		over := 0
		for i, p := range asked {
			if p.State.Over() {
				over++
				continue
			}
			now, _, err := s.readProgress(ctx, p.View)
			switch {
			case ctx.Err() != nil: // below
			case err != nil && domain.ClassOf(err) != domain.ClassTransient:
				return asked, err
			case err != nil: // Redis is away for a while
			case now.ID != p.ID: // Redis has lost it
				asked[i].State, asked[i].Error = RebuildFailed, "Redis has lost the rebuild"
			default:
				asked[i] = now
			}
		}
		if over == len(asked) {
			break
		}
		select {
		case <-tick.C:
		case <-news.C:
		case <-ctx.Done():
			leave := context.WithoutCancel(ctx)
			for _, p := range asked {
				if !p.State.Over() {
					err = errors.Join(err, s.CancelRebuild(leave, p.View))
				}
			}
			return asked, errors.Join(ctx.Err(), err)
		}
	}
	for _, p := range asked {
		err = errors.Join(err, p.err())
	}
	return asked, err
}
