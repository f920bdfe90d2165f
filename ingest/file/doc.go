// Package file reads files of events: NDJSON, CSV, LOBSTER message files of NASDAQ
// order flow, and logs of FIX messages. A reader streams: it holds one row at a
// time, for LOBSTER also the orders that are open, for FIX a bounded number of
// order ids, and never the file.
//
// A bad row is an Item with Err, and reading goes on with the next row; only an
// I/O error ends a sequence early. Every event that carries no id of its own gets
// one that depends on the content alone, so importing a file twice, from any
// path, records it once.
package file
