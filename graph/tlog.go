package graph

import (
	"context"
	"encoding/base64"
	"iter"
	"slices"
	"strconv"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph/model"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/tlog"
)

// Log is the transparency log.
type Log interface {
	State() (state tlog.State, changed <-chan struct{})
	Index(ctx context.Context, p domain.Position) (index uint64, ok bool, err error)
	Checkpoint(ctx context.Context) (tlog.Checkpoint, error)
	Prove(ctx context.Context, p domain.Position) (proof tlog.Proof, ok bool, err error)
}

// noLog is the log of a server without one.
type noLog struct{}

func (noLog) State() (tlog.State, <-chan struct{}) { return tlog.State{}, nil }

func (noLog) Index(context.Context, domain.Position) (uint64, bool, error) { return 0, false, nil }

func (noLog) Checkpoint(context.Context) (tlog.Checkpoint, error) {
	return tlog.Checkpoint{}, notAvailable("this server has no transparency log")
}

func (noLog) Prove(context.Context, domain.Position) (tlog.Proof, bool, error) {
	return tlog.Proof{}, false, notAvailable("this server has no transparency log")
}

func orNone(log Log) Log {
	if log == nil {
		return noLog{}
	}
	return log
}

// event is an event, and how far it is sealed by now.
func (r *Resolver) event(e domain.Located) *model.AuditEvent {
	state, _ := r.sealing.State()
	return sealedEvent(state, e)
}

func sealedEvent(state tlog.State, e domain.Located) *model.AuditEvent {
	out := toEvent(e)
	out.Seal = model.Seal(state.Of(e.Position))
	return out
}

// chain is a chain, and how far its events are sealed by now.
func (r *Resolver) chain(c domain.Chain, archived int) *model.Chain {
	out := toChain(c, archived)
	state, _ := r.sealing.State()
	for i, step := range c.Steps {
		out.Events[i].Event.Seal = model.Seal(state.Of(step.Position))
	}
	return out
}

// unavailable is an error of the log for clients: what is not there is not available.
func unavailable(err error) error {
	if domain.ClassOf(err) == domain.ClassNotFound {
		return notAvailable(err.Error())
	}
	return err
}

func toCheckpoint(c tlog.Checkpoint, seal tlog.Seal) *model.Checkpoint {
	out := &model.Checkpoint{
		Origin: c.Origin, Size: int(c.Size), RootHash: c.Root.String(), Note: c.Note, Time: c.Time, //nolint:gosec // leaves are fewer than that
		Seal: model.Seal(seal), Witnesses: c.Witnesses(),
	}
	if c.Size > 0 {
		out.Position = optional(c.Last.String())
	}
	return out
}

// checkpoint is the newest.
func (r *Resolver) checkpoint(ctx context.Context) (*model.Checkpoint, error) {
	c, err := r.sealing.Checkpoint(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	state, _ := r.sealing.State()
	if state.Witnessed.Note != "" && state.Witnessed.Size == c.Size {
		return toCheckpoint(state.Witnessed, tlog.Witnessed), nil
	}
	return toCheckpoint(c, tlog.Sealed), nil
}

// leafIndex is the number of an event's leaf.
func (r *Resolver) leafIndex(ctx context.Context, e *model.AuditEvent) (*int, error) {
	position, err := domain.ParsePosition(e.Position)
	if err != nil {
		return nil, err
	}
	index, ok, err := r.sealing.Index(ctx, position)
	if err != nil || !ok {
		return nil, err
	}
	return optional(int(index)), nil //nolint:gosec // leaves are fewer than that
}

// proof proves an event.
func (r *Resolver) proof(ctx context.Context, id string, position *string) (*model.InclusionProof, error) {
	if _, err := r.sealing.Checkpoint(ctx); err != nil {
		return nil, unavailable(err)
	}
	at, ok, err := r.placeOf(ctx, id, position)
	if err != nil || !ok {
		return nil, err
	}
	proof, ok, err := r.sealing.Prove(ctx, at)
	if err != nil || !ok {
		return nil, unavailable(err)
	}
	out := &model.InclusionProof{
		EventID: id, LeafIndex: int(proof.Index), TreeSize: int(proof.Checkpoint.Size), Leaf: string(proof.Leaf), //nolint:gosec // leaves are fewer than that
		RootHash: proof.Checkpoint.Root.String(), Hashes: []string{}, Checkpoint: toCheckpoint(proof.Checkpoint, proof.Seal),
	}
	for _, hash := range proof.Hashes {
		out.Hashes = append(out.Hashes, base64.StdEncoding.EncodeToString(hash))
	}
	return out, nil
}

// placeOf finds the one event that has an id, at a position if one is given.
func (r *Resolver) placeOf(ctx context.Context, id string, position *string) (at domain.Position, ok bool, err error) {
	query := views.Query{Limit: 2}
	if position != nil {
		if at, err = domain.ParsePosition(*position); err != nil {
			return at, false, inField("position", err)
		}
		query.After, query.Before = at.Around()
	} else {
		query.Expression = "event_id == " + strconv.Quote(id)
	}
	found, err := r.views.Search(ctx, query)
	if err != nil {
		return at, false, err
	}
	events := slices.DeleteFunc(found.Events, func(e domain.Located) bool { return e.ID != id })
	switch {
	case len(events) == 1 && (position != nil || !found.More):
		return events[0].Position, true, nil
	case len(events) > 1:
		return at, false, reject("ambiguous", "several events have this id, in different streams: give the position of the one that is meant")
	case found.More && position == nil:
		return at, false, reject("search_too_long", "the log is too long to look for an id in it: give the position of the event")
	default:
		return at, false, nil
	}
}

// sealsOf remembers what was told of the seals of events that were delivered.
type sealsOf struct {
	lowest [2]*domain.Position // of the delivered events that were not sealed, and not witnessed, when they were told
}

// delivered takes note of what was told of an event.
func (s *sealsOf) delivered(p domain.Position, state tlog.State) {
	of := state.Of(p)
	if of == tlog.Recorded {
		s.keep(0, p)
	}
	if of != tlog.Witnessed {
		s.keep(1, p)
	}
}

func (s *sealsOf) keep(level int, p domain.Position) {
	if s.lowest[level] == nil || p.Compare(*s.lowest[level]) < 0 {
		s.lowest[level] = &p
	}
}

// moved reports whether a newer state seals or witnesses something that was
// delivered, and takes note that it was told. newest is the last that was.
func (s *sealsOf) moved(state tlog.State, newest domain.Position) bool {
	moved := false
	for level, c := range []tlog.Checkpoint{state.Sealed, state.Witnessed} {
		lowest := s.lowest[level]
		if lowest == nil || c.Size == 0 || lowest.Compare(c.Last) > 0 {
			continue
		}
		moved = true
		s.lowest[level] = nil
		if newest.Compare(c.Last) > 0 {
			// Which of those behind was delivered first is not remembered: the next
			// checkpoint tells of them all.
			_, behind := c.Last.Around()
			s.keep(level, behind)
		}
	}
	return moved
}

// withSeals are updates of a chain for its events as they come, and in between one
// whenever the seal of an event that was delivered has moved.
func (r *Resolver) withSeals(ctx context.Context, order string, events iter.Seq2[domain.Located, error]) iter.Seq2[*model.ChainUpdate, error] {
	type news struct {
		event domain.Located
		err   error
	}
	return func(yield func(*model.ChainUpdate, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		coming := make(chan news)
		done := make(chan struct{})
		defer func() { cancel(); <-done }()
		go func() {
			defer close(done)
			defer close(coming)
			defer func() {
				if cause := recover(); cause != nil {
					select {
					case coming <- news{err: r.recovered(ctx, cause)}:
					case <-ctx.Done():
					}
				}
			}()
			for e, err := range events {
				select {
				case coming <- news{e, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		var newest *domain.Located
		var seals sealsOf
		for {
			state, changed := r.sealing.State()
			if newest != nil && seals.moved(state, newest.Position) {
				if !yield(chainUpdate(order, model.ChainUpdateKindSeal, state, *newest), nil) {
					return
				}
				continue
			}
			select {
			case n, ok := <-coming:
				switch {
				case !ok:
					return
				case n.err != nil:
					yield(nil, n.err)
					return
				}
				state, _ := r.sealing.State()
				newest = &n.event
				seals.delivered(n.event.Position, state)
				if !yield(chainUpdate(order, model.ChainUpdateKindEvent, state, n.event), nil) {
					return
				}
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

func chainUpdate(order string, kind model.ChainUpdateKind, state tlog.State, e domain.Located) *model.ChainUpdate {
	return &model.ChainUpdate{OrderID: order, Cursor: e.Position.String(), Kind: kind, Event: sealedEvent(state, e)}
}

// checkpoints are the newest checkpoint and those to come.
func (r *Resolver) checkpoints(ctx context.Context) iter.Seq2[*model.Checkpoint, error] {
	return func(yield func(*model.Checkpoint, error) bool) {
		var told tlog.State
		for {
			state, changed := r.sealing.State()
			if c := state.Sealed; c.Note != "" && (told.Sealed.Note == "" || c.Size > told.Sealed.Size) && !yield(toCheckpoint(c, tlog.Sealed), nil) {
				return
			}
			if c := state.Witnessed; c.Size > told.Witnessed.Size && !yield(toCheckpoint(c, tlog.Witnessed), nil) {
				return
			}
			told = state
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}
