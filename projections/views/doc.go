// Package views keeps the read models in Redis: event bodies, orders and their
// chains, and the trails of accounts, strategies and users. A view is a fold of
// the log: given the same events in the same order it writes the same keys.
//
// Exactly once: each slice of events becomes one MULTI/EXEC that holds the
// view's writes and its cursor and that Redis refuses when the cursor is not
// where the fold began (WATCH). A crash between two lines can't matter.
//
// All keys of one generation of a view share a hash tag, so everything runs on
// Redis Cluster, where different views live on different nodes:
//
//	tradetrail:{accounts:3}:t:ACC-1    view accounts, generation 3, trail of ACC-1
//	tradetrail:{views}:active          view -> generation and version being read
package views
