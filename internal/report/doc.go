// Package report writes what is recorded as documents: an order's chain, the history
// of an account, a strategy or a user, a day, and what a compliance officer asks for.
// There is one model of a document and one file for each way to write it; docs/reports.md
// describes them to their readers.
//
// A document is read while it is written: its rows come from the read models page by
// page, so that a report of any length takes the same memory. It is a function of the
// log up to where the read models stood when it began, and of the clock: the same of
// both gives the same bytes.
package report
