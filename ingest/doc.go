// Package ingest is the one door into Tradetrail: whatever the source, its
// events end in Recorder.Record, and the source learns "done" only from the
// receipt of a durable append.
package ingest
