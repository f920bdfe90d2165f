// Package simulator makes up a trading day: strategies that decide, a risk
// engine, reviewers, a broker, a market that moves, and the positions that come
// of it, with the links and latencies of a real desk. It feeds `serve --demo`,
// `simulate` and tests.
//
// A day is a function of its Config: the same configuration gives the same bytes
// on every machine. That is why nothing here is a float, or a clock.
package simulator
