// Package views keeps the read models in Redis, brings them up to date, rebuilds
// them and reads them: event bodies and what finds them, orders and their chains,
// the trails of accounts, strategies, users, instruments and other entities, sums
// by day, and how long each stage of a decision takes.
//
// A view is a fold of the log: given the same events in the same order it writes
// the same keys, however the log is cut into slices. Each is a file of its own,
// with its keys at the top.
//
// Exactly once: each slice of events becomes, in each part of a view, one
// MULTI/EXEC that holds the writes and the cursor, and that Redis refuses when the
// cursor is not what the writer left (WATCH). The cursor holds the number of
// whoever writes, its fence: one process writes, and who takes over draws a higher
// number and writes it into every cursor first. So a crash between two lines can't
// matter, nor can a process that wakes after its lease has gone to another.
//
// Any number of processes read. A generation, one build of one view, is begun with
// its cursor and dies cursor first, under a number that never comes again: readers
// look for the cursor after what they have read.
//
// All keys of one part of a generation share a hash tag, so everything runs on
// Redis Cluster, where different views live on different nodes:
//
//	tradetrail:{accounts:3}:t:1f       view accounts, generation 3, hash 1f of the table of its trails
//	tradetrail:{accounts:3}:T:ACC-1    a long trail
//	tradetrail:{events:2:5}:b:21       view events in eight parts: block 21, in part 5 of generation 2
//	tradetrail:{views}:active          view -> generation, version and settings of the build being read
package views
