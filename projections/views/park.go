package views

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/feed"
)

// Parked is an event that a view could not take in, or that waits behind such a
// one: later events of the same order, or else of the same stream, are held back,
// since a fold that leaves one out would tell something wrong about them. All
// others go on. A rebuild takes them in, once the fold is mended.
type Parked struct {
	View     string `json:"view"`
	Position string `json:"position"`
	Stream   string `json:"stream"`
	Revision uint64 `json:"revision"`
	Type     string `json:"event_type,omitzero"`
	EventID  string `json:"event_id,omitzero"`
	OrderID  string `json:"order_id,omitzero"`
	Reason   string `json:"reason"`
}

// maxParked bounds what a part of a view parks. If so much is wrong, the fold is,
// and going on would only hide it: the writing of the views stops there, and a
// rebuild fails.
const maxParked = 10_000

// maxReason bounds the text that is kept, in characters.
const maxReason = 500

func park(v view, e feed.Event, reason string) Parked {
	p := Parked{
		View: v.name(), Position: e.Position.String(), Stream: e.Stream, Revision: e.Revision,
		Reason: strings.ToValidUTF8(fmt.Sprintf("%.*s", maxReason, reason), "?"),
	}
	if e.Event != nil {
		p.Type, p.EventID, p.OrderID = string(e.Type), e.ID, e.OrderID
	}
	return p
}

func (p Parked) position() domain.Position {
	position, _ := domain.ParsePosition(p.Position) // park wrote it
	return position
}

// holds are the orders and streams whose events are held back, each behind the
// first that was parked.
type holds struct {
	first map[string]domain.Position
	count int
}

// heldBy is what an event and those that wait behind it have in common.
func heldBy(order, stream string) string {
	if order != "" {
		return orderTopic(order)
	}
	return "stream:" + stream
}

func (h holds) behind(e feed.Event) (domain.Position, bool) {
	if len(h.first) == 0 || e.Event == nil {
		return domain.Position{}, false
	}
	p, ok := h.first[heldBy(e.OrderID, e.Stream)]
	return p, ok
}

func (h *holds) add(p Parked) {
	key := heldBy(p.OrderID, p.Stream)
	if before, ok := h.first[key]; !ok || p.position().Compare(before) < 0 {
		h.first[key] = p.position()
	}
	h.count++
}

func (h holds) check(p Parked) error {
	if h.count < maxParked {
		return nil
	}
	return &domain.Error{
		Class: domain.ClassConflict, Code: "too_many_parked",
		Message: fmt.Sprintf("%s has parked %d events and stops at %s (%s)", p.View, h.count, p.Position, p.Reason),
	}
}

// park writes the row of a parked event.
func (b *batch) park(p Parked) error {
	encoded, err := json.Marshal(p)
	if err != nil {
		return damaged("a parked event that can't be written: %v", err)
	}
	b.add("HSET", b.keys.parked(), place(p.position()), encoded)
	return nil
}

// park puts an event aside that can't be folded, and moves on.
func (w *writer) park(ctx context.Context, e feed.Event, why *poison) error {
	p := park(w.generation.view, e, why.reason)
	if err := w.held.check(p); err != nil {
		return err
	}
	b := newBatch(w.keys)
	if err := b.park(p); err != nil {
		return err
	}
	if err := w.move(ctx, b, w.cursor.past(e)); err != nil {
		return err
	}
	w.held.add(p)
	w.generation.log.ErrorContext(ctx, "an event was parked", slog.String("view", p.View), slog.String("position", p.Position),
		slog.String("stream", p.Stream), slog.String("reason", p.Reason))
	return nil
}

func readHolds(ctx context.Context, client redis.UniversalClient, k keys) (holds, error) {
	h := holds{first: make(map[string]domain.Position)}
	parked, err := readParked(ctx, client, k)
	for _, p := range parked {
		h.add(p)
	}
	return h, err
}

// readParked lists what a part of a view has parked, in the order of the log.
func readParked(ctx context.Context, client redis.UniversalClient, k keys) ([]Parked, error) {
	found, err := client.HGetAll(ctx, k.parked()).Result()
	if err != nil {
		return nil, unavailable("reading what is parked", err)
	}
	parked := make([]Parked, 0, len(found))
	for at, text := range found {
		var p Parked
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return nil, damaged("an unreadable parked event at %s", at)
		}
		parked = append(parked, p)
	}
	slices.SortFunc(parked, func(a, b Parked) int { return a.position().Compare(b.position()) })
	return parked, nil
}
