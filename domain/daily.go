package domain

import "time"

// Traded are the sums over executions. The order of the Adds does not matter.
type Traded struct {
	Fills      int64   `json:"fills,omitzero"`
	Quantity   Decimal `json:"quantity,omitzero"`   // FIX 32 LastQty, summed; of all instruments alike
	Value      Decimal `json:"value,omitzero"`      // sum of price x quantity (FIX 31 x 32) over the fills that name both
	Commission Decimal `json:"commission,omitzero"` // FIX 12; rebates are below 0
}

// Add counts one execution. What it does not name adds nothing.
func (t *Traded) Add(f Fill) {
	t.Fills++
	if f.Quantity.Valid {
		t.Quantity = t.Quantity.Add(f.Quantity.Decimal)
		if f.Price.Valid {
			t.Value = t.Value.Add(f.Price.Decimal.Mul(f.Quantity.Decimal))
		}
	}
	if f.Commission.Valid {
		t.Commission = t.Commission.Add(f.Commission.Decimal)
	}
}

// Merge adds other sums.
func (t *Traded) Merge(other Traded) {
	t.Fills += other.Fills
	t.Quantity = t.Quantity.Add(other.Quantity)
	t.Value = t.Value.Add(other.Value)
	t.Commission = t.Commission.Add(other.Commission)
}

// TradedIn is what an event adds to sums; ok is false for events that are no
// execution.
func TradedIn(e *Event) (t Traded, ok bool) {
	fill, ok := FillOf(e)
	if ok {
		t.Add(fill)
	}
	return t, ok
}

// Day are the counts and sums of one day, in UTC and by occurred_at: see DayOf.
// The same events give the same day in whatever order they are added, and, when
// encoded with json.Deterministic, the same bytes. How many orders were submitted
// or rejected, and the like, is in ByType. A copy shares its maps with the original:
// only one of the two may be added to.
type Day struct {
	Events int64 `json:"events,omitzero"`
	Traded

	Slippage Slippage `json:"slippage,omitzero"`

	ByType  map[string]int64 `json:"by_type,omitzero"`  // event_type, also of unknown types
	ByHour  map[int]int64    `json:"by_hour,omitzero"`  // 0 to 23, UTC; hours without events are missing
	FirstAt time.Time        `json:"first_at,omitzero"` // earliest and latest occurred_at
	LastAt  time.Time        `json:"last_at,omitzero"`
}

// DayOf names the day that the event belongs to, as 2006-01-02. A day is a day in
// UTC, whatever the market's time zone: a name that every reader understands alike
// and that never has 23 or 25 hours.
func DayOf(e *Event) string { return e.OccurredAt.UTC().Format(time.DateOnly) }

// Add counts an event, which must be one of this day.
func (d *Day) Add(e *Event) {
	traded, _ := TradedIn(e)
	d.AddTraded(e, traded)
}

// AddTraded is Add for who knows what TradedIn says of the event.
func (d *Day) AddTraded(e *Event, traded Traded) {
	at := e.OccurredAt.UTC()
	if d.Events == 0 || at.Before(d.FirstAt) {
		d.FirstAt = at
	}
	if d.Events == 0 || at.After(d.LastAt) {
		d.LastAt = at
	}
	if d.ByType == nil {
		d.ByType = make(map[string]int64)
	}
	if d.ByHour == nil {
		d.ByHour = make(map[int]int64)
	}
	d.Events++
	d.ByType[string(e.Type)]++
	d.ByHour[at.Hour()]++
	if traded.Fills > 0 {
		d.Merge(traded)
		if bps, ok := SlippageOf(e); ok {
			d.Slippage.Add(bps, 1)
		}
	}
}

// ByStage sums ByType over the stages; stages without events are missing.
func (d *Day) ByStage() map[Stage]int64 {
	sums := make(map[Stage]int64)
	for t, n := range d.ByType {
		sums[EventType(t).Stage()] += n
	}
	return sums
}
