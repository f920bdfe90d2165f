// Package embedded is an event store in the process that uses it: a node
// which speaks EventStoreDB's gRPC protocol, so that EventStoreDB's official
// client works with it unchanged, and keeps its log in Pebble.
//
// # Promises
//
// An append is acknowledged, and shown to anybody, only after it is synced to
// disk. All events of one append are stored or none. Appends take effect one
// after the other; positions in $all are in that order, and so is everything
// that readers and subscribers see. A subscription delivers every event once,
// in order, however slowly its client reads.
//
// While the disk has less room than Options.ReserveBytes, appends get
// RESOURCE_EXHAUSTED and nothing is written; reads go on.
//
// When a write or a sync fails, the node stops: requests get UNAVAILABLE, Done
// is closed and Err says why. The files are left as a power cut would have
// left them, and the next Open recovers from that. When stored bytes are not
// what was written, the request that met them gets DATA_LOSS and is told where in
// the log that is.
//
// Backup copies the log while the node goes on: the copy is a prefix of the log
// with everything that was acknowledged before. A backup that fails, for want of
// space too, has no consequences for the node. Restore gives the whole store,
// with every record checked, or nothing.
//
// # Format
//
// The store is one Pebble database. Beside its files there are, while a node
// runs, the folders "socket" and "backup", which the next Open removes if they
// were left behind. Integers in keys and index values are
// big-endian and 8 bytes long.
//
//	'f'                       -> format version, an unsigned varint: 1
//	'e' position              -> record
//	'n' stream name           -> stream number
//	's' stream number revision -> position
//
// A record is a CRC-32C (4 bytes, big-endian) of what follows, and a protobuf
// message event_store.client.streams.ReadResp.ReadEvent.RecordedEvent of
// EventStoreDB's public protocol: id, stream name, revision, prepare and commit
// position (equal), metadata ("type", "content-type", "created"), custom
// metadata, data. Its first field is the id, in structured form. "created" is
// the node's clock in steps of 100 ns since 1970, in decimal; it never goes
// back from one record to the next.
//
// The first position is 1. The position of a record is that of the one before
// plus the length of that record with its checksum. So a log can be checked
// for gaps without anything but its records.
//
// A stream's number is the position of its first record. Revisions count from
// 0 without gaps; a tombstone has the revision 2^63-1. The metadata of stream X
// are the events of stream $$X.
//
// What one append writes is one Pebble batch, which Pebble recovers as a whole
// or not at all. Close moves everything into tables, where each block has a
// checksum. After a crash the latest appends are in the write-ahead log only:
// damage there is found too, except in its last 32 KiB, where nothing tells it
// from a write that the crash interrupted. Damage in the manifest, which lists
// the tables, is found by Open before Pebble can take it for such a write.
//
// # Differences from EventStoreDB
//
// Projections, users, access control, TLS and the HTTP interface are not there;
// calls to them answer UNIMPLEMENTED. There are no persistent subscriptions
// either: creating one answers UNIMPLEMENTED, and everything else is answered as
// EventStoreDB does while there is none. Deleted and truncated events are hidden
// but never scavenged. Filters take Go's regular expressions, which have no
// lookaround. Where the protocol leaves a choice:
//
//   - Any and StreamExists recognise a repeated append among the latest 65,536
//     events, per stream, also after a restart; EventStoreDB forgets at restart.
//   - A subscription to $all from a position that no record has, such as one
//     beyond the end of a log restored from an older copy, is refused.
//   - A write waits as long as its caller does; there is no server-side limit
//     of two seconds.
//   - Stream names have at most 4096 bytes and are UTF-8. In trailers, names
//     that are not printable ASCII are percent-encoded.
//   - One append takes at most 32 MiB as it is stored, with the stream's name at
//     each event.
//   - A checkpoint is always the position of a record.
package embedded
