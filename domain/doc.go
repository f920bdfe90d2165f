// Package domain holds what Tradetrail is about: the audit event and its input
// shapes, exact decimals, the life cycle of an order, and the chain of decisions
// behind it. It is pure: no I/O, no clock, nothing of ours imported.
//
// Everything here is a function of its arguments, so the same log always folds
// into the same state, live, after a rebuild, and on an examiner's laptop.
package domain
