// Package tiles reads a transparency log that is kept as C2SP tlog-tiles: the
// newest checkpoint, leaves, proofs, and the leaf of a position. It reads from a
// folder or over HTTP and writes nothing.
//
// Nothing that is read here is checked against a signature: that is what
// package verify does with the proofs. What contradicts the layout, such as a
// tile that is too short, is of domain.ClassIntegrity; a file that is missing is
// too, below the size of a checkpoint.
package tiles
