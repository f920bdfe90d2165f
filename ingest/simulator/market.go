package simulator

import "time"

// stock is one instrument of the market; its price is in cents.
type stock struct {
	ticker string
	price  int64
}

// market is a random walk per ticker.
type market struct{ stocks []stock }

func newMarket() market {
	return market{stocks: []stock{
		{"AAPL", 228_40},
		{"MSFT", 412_60},
		{"NVDA", 131_25},
		{"AMZN", 203_10},
		{"GOOGL", 178_85},
		{"META", 590_30},
		{"TSLA", 251_70},
		{"JPM", 236_15},
		{"XOM", 112_45},
		{"UNH", 508_90},
		{"KO", 69_20},
		{"DIS", 108_75},
	}}
}

// scheduleMarket moves all prices once a minute until the close.
func (s *Simulator) scheduleMarket(from time.Time) {
	if from.Before(s.closing) {
		s.at(from, func() {
			for i := range s.market.stocks {
				s.quote(i)
			}
			s.scheduleMarket(s.now.Add(time.Minute))
		})
	}
}

// quote moves the price by a few basis points and returns it. The sum of three
// draws is near enough to a normal step, and the same everywhere, which
// floating point is not.
func (s *Simulator) quote(stock int) int64 {
	price := &s.market.stocks[stock].price
	step := s.between(-3, 3) + s.between(-3, 3) + s.between(-3, 3)
	*price = max(*price+*price*step/10_000, 1_00)
	return *price
}
