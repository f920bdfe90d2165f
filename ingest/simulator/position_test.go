package simulator_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/simulator"
)

type positionData struct {
	Side        string          `json:"side"`
	Before      decimal.Decimal `json:"quantity_before"`
	After       decimal.Decimal `json:"quantity_after"`
	EntryBefore decimal.Decimal `json:"avg_entry_before"`
	EntryAfter  decimal.Decimal `json:"avg_entry_after"`
}

// TestSimulator_PositionsFollowTheFills keeps books of its own, from the fills in
// the order in which they were told, and compares each entry.
func TestSimulator_PositionsFollowTheFills(t *testing.T) {
	type key struct{ account, ticker string }
	type fill struct {
		id              string
		quantity, price decimal.Decimal
	}
	type book struct {
		quantity, entry decimal.Decimal
		pending         []fill
	}
	eachDay(t, func(t *testing.T, events []domain.Event) {
		books := map[key]*book{}
		for i := range events {
			e := &events[i]
			k := key{e.AccountID, e.Ticker}
			if books[k] == nil {
				books[k] = &book{}
			}
			b := books[k]
			switch e.Type {
			case domain.OrderPartiallyFilled, domain.OrderFilled:
				d := decode[orderData](t, e)
				if d.Side == "sell" {
					d.Fill = d.Fill.Neg()
				}
				b.pending = append(b.pending, fill{e.ID, d.Fill, d.Price})
			case domain.PositionOpened, domain.PositionUpdated, domain.PositionClosed:
				d := decode[positionData](t, e)
				require.NotEmpty(t, b.pending, "no position without a fill")
				f := b.pending[0]
				b.pending = b.pending[1:]
				require.Equal(t, f.id, e.CausationID)
				require.True(t, d.Before.Equal(b.quantity), "the books agree before")
				require.True(t, d.After.Equal(b.quantity.Add(f.quantity)), "and after")
				require.True(t, d.EntryBefore.Equal(b.entry))

				want := domain.PositionUpdated
				if d.Before.IsZero() {
					want = domain.PositionOpened
				} else if d.After.IsZero() {
					want = domain.PositionClosed
				}
				require.Equal(t, want, e.Type)

				direction := d.After.Sign()
				if direction == 0 {
					direction = d.Before.Sign()
				}
				require.Equal(t, map[int]string{1: "long", -1: "short"}[direction], d.Side)

				switch {
				case d.After.IsZero():
					require.True(t, d.EntryAfter.IsZero())
				case d.Before.Sign() != d.After.Sign():
					require.True(t, d.EntryAfter.Equal(f.price))
				case d.After.Abs().GreaterThan(d.Before.Abs()):
					paid := d.Before.Mul(d.EntryBefore).Add(f.quantity.Mul(f.price))
					require.Equal(t, paid.DivRound(d.After, 4).String(), d.EntryAfter.String())
				default:
					require.True(t, d.EntryAfter.Equal(d.EntryBefore), "selling off does not change what was paid")
				}
				b.quantity, b.entry = d.After, d.EntryAfter
			default:
			}
		}
		for k, b := range books {
			require.Empty(t, b.pending, "all fills of %v are booked", k)
		}
	})
}

func TestSimulator_LongAndShort(t *testing.T) {
	seen := map[string]int{}
	for _, e := range day(simulator.Config{}) {
		if e.Type == domain.PositionOpened || e.Type == domain.PositionClosed {
			seen[string(e.Type)+" "+decode[positionData](t, &e).Side]++
		}
	}
	assert.Len(t, seen, 4, "%v", seen)
}
