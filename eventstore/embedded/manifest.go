package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The manifest says which tables the store has. Pebble takes a damaged record
// for the end that a crash left, however much follows it: the tables which the
// rest adds are then forgotten, and deleted. So the manifest is read here first,
// and damage told from a torn end.
//
// It is LevelDB's log format: blocks of 32 KiB, filled with chunks of a header
// (CRC-32C of kind and data, masked; length; kind) and data.
const (
	manifestBlock  = 32 << 10
	manifestHeader = 7
	// Kinds of chunks: a whole record, or its first, middle or last part.
	wholeKind, firstKind, lastKind = 1, 2, 4
)

// checkManifest finds damage in the manifest of the store in dir, if there is one.
func checkManifest(dir string, fs vfs.FS) error {
	desc, err := pebble.Peek(dir, fs)
	if err != nil || !desc.Exists {
		return err
	}
	file, err := fs.Open(desc.ManifestFilename)
	if err != nil {
		return err
	}
	content, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if at, damaged := manifestDamage(content); damaged {
		return &IntegrityError{Err: fmt.Errorf("%s is damaged at byte %d", fs.PathBase(desc.ManifestFilename), at)}
	}
	return nil
}

// manifestDamage is where the first bad chunk begins, unless it may be what a
// crash left of the last record: then no other record begins behind it, and it is
// more than one bit away from a good one. Of a record that lies in two blocks, the
// second part may have reached the disk and the first not.
func manifestDamage(content []byte) (at int, damaged bool) {
	for at < len(content) {
		block := blockFrom(content, at)
		if len(block) < manifestHeader {
			at += len(block) // too small for a chunk
			continue
		}
		n, ok := goodChunk(block)
		if !ok {
			break
		}
		at += n
	}
	if at == len(content) {
		return 0, false
	}
	if oneBitFromGood(blockFrom(content, at)) {
		return at, true
	}
	for later := at + 1; later < len(content); later++ {
		block := blockFrom(content, later)
		if _, ok := goodChunk(block); ok && (block[6] == wholeKind || block[6] == firstKind) {
			return at, true
		}
	}
	return 0, false
}

// blockFrom is what its block has from this byte on.
func blockFrom(content []byte, at int) []byte {
	return content[at:min(len(content), (at/manifestBlock+1)*manifestBlock)]
}

// goodChunk says whether b begins with an undamaged chunk, and how long it is.
func goodChunk(b []byte) (n int, ok bool) {
	sum, stored, n, ok := chunkSums(b)
	return n, ok && sum == stored && b[6] >= wholeKind && b[6] <= lastKind
}

// chunkSums are the checksum which the chunk at the beginning of b should have,
// and the one it has; ok is false if b is too short for its length.
func chunkSums(b []byte) (sum, stored uint32, n int, ok bool) {
	if len(b) < manifestHeader {
		return 0, 0, 0, false
	}
	n = manifestHeader + int(binary.LittleEndian.Uint16(b[4:]))
	if n > len(b) {
		return 0, 0, 0, false
	}
	sum = crc32.Checksum(b[6:n], castagnoli())
	sum = bits.RotateLeft32(sum, 17) + 0xa282ead8 // LevelDB's mask
	return sum, binary.LittleEndian.Uint32(b), n, true
}

// oneBitFromGood says whether b begins with a chunk in which one bit has flipped.
func oneBitFromGood(b []byte) bool {
	if sum, stored, n, ok := chunkSums(b); ok {
		if bits.OnesCount32(sum^stored) == 1 {
			return true
		}
		if anyFlip(b[:n], 8*6, 8*n) {
			return true
		}
	}
	return len(b) >= manifestHeader && anyFlip(b, 8*4, 8*6)
}

// anyFlip says whether one of the bits [from, to) makes a good chunk when flipped.
func anyFlip(b []byte, from, to int) bool {
	flipped := append([]byte{}, b...)
	for bit := from; bit < to; bit++ {
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, ok := goodChunk(flipped); ok {
			return true
		}
		flipped[bit/8] ^= 1 << (bit % 8)
	}
	return false
}
