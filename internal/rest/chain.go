package rest

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"github.com/tradetrail/tradetrail/domain"
)

// chainBody is the body of GET /audit/chain/{order_id}, before the events.
type chainBody struct {
	OrderID string             `json:"order_id"`
	Status  domain.OrderStatus `json:"status"`
	Order   orderBody          `json:"order"`
	Latency nanoseconds        `json:"latency_ns"` // from the first event to the last
}

func (c chainBody) with(events []entry) ([]byte, error) {
	b, err := json.Marshal(c, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	b, err = appendArray(append(b[:len(b)-1], `,"events":`...), events)
	return append(b, '}'), err
}

// orderBody is an order's state, with what follows from it.
type orderBody struct {
	domain.Order

	Leaves    decimal.NullDecimal              `json:"leaves_quantity,omitzero"`
	AvgPrice  decimal.NullDecimal              `json:"avg_price,omitzero"`
	Latencies map[domain.OrderStep]nanoseconds `json:"latencies_ns,omitempty"`
}

func orderBodyOf(o domain.Order) orderBody {
	body := orderBody{Order: o, Leaves: o.Leaves(), AvgPrice: o.AvgPrice(), Latencies: make(map[domain.OrderStep]nanoseconds)}
	for _, step := range domain.OrderSteps() {
		if d, ok := o.Latency(step); ok {
			body.Latencies[step] = nanoseconds(d)
		}
	}
	return body
}

// chain is GET /audit/chain/{order_id}: an order's state and its whole decision
// history, in causal order.
func (a *Audit) chain(w http.ResponseWriter, r *http.Request, _ query) error {
	media, err := negotiate(r, mediaJSON, mediaLines, mediaCSV)
	if err != nil {
		return err
	}
	id := r.PathValue("order_id")
	var chain domain.Chain
	var ok bool
	err = a.inTurn(r.Context(), func(ctx context.Context) error {
		chain, _, ok, err = a.views.Chain(ctx, id)
		return err
	})
	if err != nil {
		return err
	}
	if !ok {
		return &domain.Error{Class: domain.ClassNotFound, Code: "unknown_order", Field: "order_id", Message: fmt.Sprintf("no event names order %.64q", id)}
	}
	entries := make([]entry, len(chain.Steps))
	state, _ := a.seals.State()
	for i, step := range chain.Steps {
		entries[i] = entryOf(step.Located, state)
		latency := nanoseconds(step.LatencyFromPrevious)
		entries[i].Stage, entries[i].Latency = step.Stage, &latency
	}
	h := w.Header()
	tag := a.entityTag(media, entries)
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache") // keep it, and ask whether it still is so
	h.Set("Vary", "Accept")
	if matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	var body []byte
	if media == mediaJSON {
		body, err = chainBody{chain.Order.ID, chain.Order.Status, orderBodyOf(chain.Order), nanoseconds(chain.LatencyTotal())}.with(entries)
	} else {
		f := lasting(media)
		media = f.media
		body, err = f.lines(f.head(true), entries, true)
	}
	if err != nil {
		return fmt.Errorf("encoding the chain of order %s: %w", id, err)
	}
	a.send(w, r, media, body)
	return nil
}

// entityTag is a strong one. What is in an answer follows from which events are in it
// and how they are sealed, and from the build that writes it: an event never changes.
// (A digest of the answer itself costs a tenth of making it.)
func (a *Audit) entityTag(media string, entries []entry) string {
	text := append(append([]byte(a.build), 0), media...)
	for _, e := range entries {
		text = append(append(append(text, 0), e.ID...), 0)
		text = append(append(append(text, e.Position...), 0), e.Seal...)
	}
	sum := sha256.Sum256(text)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// matches reports whether If-None-Match names a tag, by weak comparison as RFC 9110
// asks for: a proxy that compresses may have weakened it.
func matches(headers []string, tag string) bool {
	for _, header := range headers {
		for candidate := range strings.SplitSeq(header, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
				return true
			}
		}
	}
	return false
}
