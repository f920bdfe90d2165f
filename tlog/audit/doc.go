// Package audit finds out whether the event store, the transparency log and what was
// ever signed about them still agree.
//
// A verification reads every payload of the store, computes the leaves and the tree
// anew, and holds them against the leaves and the tiles of the log's folder and
// against every checkpoint of its history. It takes no stored hash on trust. JSON is
// never decoded, so it takes as long as reading and SHA-256 do.
//
// Where two of three contradict the third, the third is at fault: an event is compared
// with its entry in the log and with its hash in the tiles. Where all three agree and a
// signed checkpoint does not, all three were rewritten.
//
// Memory is bounded: a few hundred events, a tile for each level of the tree, and the
// findings, of which a bounded number is kept.
//
// How far a verification came is kept in the log's folder, under a code that only the
// holder of the salt key can make, so that the next one begins there. It saves work;
// whoever removes it makes the next verification begin at the first event.
package audit
