package simulator_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/simulator"
)

// chains builds every order's chain from the events that it refers to, as the
// read models do.
func chains(events []domain.Event) map[string]domain.Chain {
	byRef := map[domain.Ref][]domain.Located{}
	refs := map[string]map[domain.Ref]bool{}
	own := map[string][]domain.Located{}
	for i := range events {
		e := domain.Located{Event: &events[i], Position: domain.Position{Commit: uint64(i + 1), Prepare: uint64(i + 1)}}
		if e.OrderID != "" {
			own[e.OrderID] = append(own[e.OrderID], e)
			if refs[e.OrderID] == nil {
				refs[e.OrderID] = map[domain.Ref]bool{}
			}
			for _, ref := range e.Refs() {
				refs[e.OrderID][ref] = true
			}
			continue
		}
		byRef[e.Home()] = append(byRef[e.Home()], e)
	}
	built := map[string]domain.Chain{}
	for order, all := range own {
		for ref := range refs[order] {
			all = append(all, byRef[ref]...)
		}
		built[order] = domain.BuildChain(order, all)
	}
	return built
}

func TestSimulator_Chains(t *testing.T) {
	eachDay(t, func(t *testing.T, events []domain.Event) {
		for order, chain := range chains(events) {
			stages := chain.Stages()
			require.GreaterOrEqual(t, len(stages), 4, order)
			require.Equal(t, []domain.Stage{domain.StageSignal, domain.StageRecommendation, domain.StageRisk}, stages[:3], order)
			require.Contains(t, stages, domain.StageOrder)
			for i, step := range chain.Steps {
				require.GreaterOrEqual(t, step.LatencyFromPrevious, time.Duration(0), "step %d of %s: causal and temporal order agree", i, order)
			}
		}
	})
}

func TestSimulator_OrdersEndWell(t *testing.T) {
	eachDay(t, func(t *testing.T, events []domain.Event) {
		for id, chain := range chains(events) {
			o := chain.Order
			require.True(t, o.Quantity.Valid)
			require.True(t, o.Quantity.Decimal.IsPositive())
			require.Empty(t, o.Odd, id)
			require.True(t, o.CumQuantity.LessThanOrEqual(o.Quantity.Decimal), "%s has %s of %s", id, o.CumQuantity, o.Quantity.Decimal)
			switch o.Status {
			case domain.StatusFilled:
				require.True(t, o.CumQuantity.Equal(o.Quantity.Decimal))
				require.True(t, o.Commission.IsPositive())
			case domain.StatusCanceled, domain.StatusExpired:
				require.True(t, o.CumQuantity.LessThan(o.Quantity.Decimal))
			case domain.StatusRejected:
				require.True(t, o.CumQuantity.IsZero())
			default:
				require.Fail(t, "an order is left over", "%s is %s", id, o.Status)
			}
		}
	})
}

type orderData struct {
	Side       string              `json:"side"`
	Type       string              `json:"order_type"`
	Quantity   decimal.Decimal     `json:"quantity"`
	Limit      decimal.NullDecimal `json:"limit_price"`
	Arrival    decimal.Decimal     `json:"arrival_price"`
	Fill       decimal.Decimal     `json:"fill_quantity"`
	Price      decimal.Decimal     `json:"fill_price"`
	Cum        decimal.Decimal     `json:"cum_quantity"`
	Leaves     decimal.Decimal     `json:"leaves_quantity"`
	Commission decimal.Decimal     `json:"commission"`
	Slippage   decimal.Decimal     `json:"slippage_bps"`
}

func TestSimulator_Fills(t *testing.T) {
	eachDay(t, func(t *testing.T, events []domain.Event) {
		orders := map[string]*orderData{}
		for i := range events {
			e := &events[i]
			switch e.Type {
			case domain.OrderSubmitted:
				o := decode[orderData](t, e)
				require.Equal(t, o.Type == "limit", o.Limit.Valid)
				orders[e.OrderID] = &o
			case domain.OrderReplaced:
				d := decode[orderData](t, e)
				o := orders[e.OrderID]
				o.Quantity, o.Limit = d.Quantity, d.Limit
			case domain.OrderPartiallyFilled, domain.OrderFilled:
				o, d := orders[e.OrderID], decode[orderData](t, e)
				o.Cum = o.Cum.Add(d.Fill)
				require.True(t, d.Fill.IsPositive())
				require.True(t, d.Price.IsPositive())
				require.True(t, d.Commission.IsPositive())
				require.Equal(t, o.Side, d.Side)
				require.True(t, o.Cum.Equal(d.Cum))
				require.True(t, o.Quantity.Sub(o.Cum).Equal(d.Leaves))
				require.Equal(t, e.Type == domain.OrderFilled, d.Leaves.IsZero())
				worse := d.Price.Sub(o.Arrival)
				beyond := d.Price.Sub(o.Limit.Decimal)
				if o.Side == "sell" {
					worse, beyond = worse.Neg(), beyond.Neg()
				}
				require.False(t, o.Limit.Valid && beyond.IsPositive(), "%s at %s, limit %s", o.Side, d.Price, o.Limit.Decimal)
				require.Equal(t, worse.Shift(4).DivRound(o.Arrival, 2).String(), d.Slippage.String())
			default:
			}
		}
	})
}

func TestSimulator_SlippageHasOutliers(t *testing.T) {
	outliers, fills := 0, 0
	for _, e := range day(simulator.Config{}) {
		if e.Type == domain.OrderFilled || e.Type == domain.OrderPartiallyFilled {
			fills++
			if decode[orderData](t, &e).Slippage.GreaterThan(decimal.NewFromInt(50)) {
				outliers++
			}
		}
	}
	assert.Positive(t, outliers, "something for the anomaly detection to find")
	assert.Less(t, outliers, fills/20)
}

func TestSimulator_DecisionsBindTheOrder(t *testing.T) {
	eachDay(t, func(t *testing.T, events []domain.Event) {
		limit := decimal.NewFromInt(250_000)
		last := map[string]domain.EventType{} // by recommendation, before its order
		duplicates := map[string]string{}
		for i := range events {
			e := &events[i]
			rec := e.RecommendationID
			if rec == "" {
				continue
			}
			if e.OrderID == "" {
				last[rec] = e.Type
				continue
			}
			if e.Type != domain.OrderSubmitted {
				continue
			}
			require.Empty(t, duplicates[rec], "one order a recommendation")
			duplicates[rec] = e.OrderID
			o := decode[orderData](t, e)
			want := domain.RiskEvaluated
			if !o.Arrival.Mul(o.Quantity).LessThan(limit) {
				want = domain.ApprovalApproved
			}
			require.Equal(t, want, last[rec], "the last word before the order")
			require.Equal(t, want == domain.ApprovalApproved, e.ApprovalID != "")
		}
		for rec, word := range last {
			ordered := word == domain.RiskEvaluated || word == domain.ApprovalApproved
			require.Equal(t, ordered, duplicates[rec] != "", "%s ended with %s", rec, word)
		}
	})
}
