package projections

// CloseFeed ends the handler from below, as a defect might.
func (p *Projections) CloseFeed() error { return p.turn.Load().Close() }
