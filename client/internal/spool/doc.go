// Package spool is a queue of records on disk between one process that appends
// and its own delivery: appending is a copy into a mapped file, without a system
// call, and what was appended survives the process.
//
// # Files
//
// A spool is a directory of segments, NNNNNNNNNNNNNNNN.seg, numbered from 1. All
// have one size and get their blocks before they are used, so that a full disk is
// met when a segment is prepared and never by a write into the mapping (SIGBUS).
// The file "spool" is locked while a process has the spool open and holds its id;
// "delivered" holds the mark.
//
// A segment is a header page and records, all little-endian:
//
//	header  0 "ttspool1"  8 number  16 first sequence  24 created, ns  32 spool id
//	        48 size of the file  56 CRC-32C of the first 56 bytes
//	        64 and 72 the first and last sequence dropped while the segment was the
//	        last one and full, 80 the moment of the first drop, in ns
//	record  0 kind and size of the body  4 CRC-32C from 8 on, seeded with the number
//	        8 sequence  16 appended, ns  24 event id  40 body, then zeros up to 8 bytes
//	pad     0 kind: go on at the next page
//	end     0 kind: the next record is in the next segment
//
// The first word of a record is stored last, atomically. So a process that is
// killed leaves records that are whole, and at most one, which nobody was told to
// have been appended, that is none.
//
// # Progress
//
// The mark is the sequence before which everything was delivered. It is written
// after that, so a crash repeats what was delivered and skips nothing. What a
// reader finds damaged or dropped it returns as a gap in its place; a gap follows
// from the files alone, so that after a crash it is found again and is the same.
package spool
