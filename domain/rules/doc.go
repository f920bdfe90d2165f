// Package rules judges the log: which chains, orders and accounts went wrong, and
// why, in words. docs/rules.md describes every rule.
//
// A Set is compiled rules with their thresholds; an Engine of it is given the log's
// events in commit order and answers with findings. Nothing here looks at a clock,
// draws a number or reads a file: the same set and the same events give the same
// findings, live, after a rebuild, from a snapshot, and in the time machine.
//
// A rule accuses only of what the log shows. What is missing never fires: an order
// that rested before the log began is not asked where its submission is.
package rules
