// Package tlog is the transparency log: a follower of $all that makes event n leaf
// n of a Merkle tree, and signs checkpoints of it. Whoever has seen a checkpoint
// can tell whether anything before it was changed, removed or left out.
//
// The tree is a Tessera POSIX log: a folder of C2SP tlog-tiles. Its size is the
// follower's only cursor. Tessera's sequencer drops a batch that it could not write
// and goes on with the next, which would leave a gap, so it is given one batch at a
// time, exactly as long as it asks for: see tree. A batch is there as a whole
// or not at all, and what a crash leaves behind the end is written over, with the
// same bytes.
//
// The log is a witness: it never skips. What it can't write it tries again, and
// when the folder contradicts the event store, or itself, it stops and says so. It
// holds back neither recording nor views.
//
// The formats are described in docs/formats.md.
package tlog
