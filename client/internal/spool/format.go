package spool

import (
	"encoding/binary"
	"hash/crc32"
	"sync/atomic"
	"unsafe"
)

const (
	pageBytes    = 4096
	headerBytes  = pageBytes
	recordBytes  = 40 // of a record before its body
	alignBytes   = 8
	magic        = "ttspool1"
	sumAt        = 56
	droppedFrom  = 64
	droppedTo    = 72
	droppedSince = 80
)

// The kinds of what stands at a place in a segment, in the first word. Zero is
// nothing: a record begins to exist with its first word.
const (
	kindMask   = 0xfff00000
	kindRecord = 0x10000000
	wordPad    = 0x20000000
	wordEnd    = 0x30000000
)

// MaxBody is the size of the largest body, in bytes.
const MaxBody = 1<<20 - 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// aligned is how much of a segment a record with this body takes.
func aligned(body int) int64 {
	return int64(recordBytes+body+alignBytes-1) &^ (alignBytes - 1)
}

func pageAfter(offset int64) int64 { return (offset + pageBytes - 1) &^ (pageBytes - 1) }

// ID is an event id: a UUID of version 7.
type ID [16]byte

// newID makes an id that no other append has: nonce, of which 42 bits count, is
// drawn each time that a spool is opened, and one opening gives a sequence once.
// Ids of one spool rise with time and sequence.
func newID(at int64, sequence, nonce uint64) (id ID) {
	ms := uint64(at) / 1e6 //nolint:gosec // appended after 1970
	binary.BigEndian.PutUint64(id[:], ms<<16|0x7000|sequence>>20&0xfff)
	binary.BigEndian.PutUint64(id[8:], 1<<63|sequence&0xfffff<<42|nonce&(1<<42-1))
	return id
}

// HeadBytes is the room that Append needs before a body.
const HeadBytes = recordBytes

// putHead completes a record in the caller's buffer, but for its first word, which
// it returns.
func putHead(record []byte, number, sequence uint64, at int64, id ID) (word uint32) {
	binary.LittleEndian.PutUint64(record[8:], sequence)
	binary.LittleEndian.PutUint64(record[16:], uint64(at)) //nolint:gosec // bits, not a number
	copy(record[24:], id[:])
	binary.LittleEndian.PutUint32(record[4:], checksum(number, record[8:]))
	return kindRecord | uint32(len(record)-recordBytes) //nolint:gosec // at most MaxBody
}

func checksum(number uint64, data []byte) uint32 {
	return crc32.Update(uint32(number), castagnoli, data) //nolint:gosec // a seed
}

// commit makes what was written at to exist, for readers of the file and for who
// comes after a crash. to is aligned.
func commit(to []byte, word uint32) {
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&to[0])), word) //nolint:gosec // within the mapping, aligned
}

// store64 changes a word of a mapping that readers may look at.
func store64(to []byte, value uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&to[0])), value) //nolint:gosec // within the mapping, aligned
}

// header is what a segment says about itself.
type header struct {
	number, first uint64
	created       int64
	spool         ID
	size          int64 // of the file
}

func (h header) put(to []byte) {
	copy(to, magic)
	binary.LittleEndian.PutUint64(to[8:], h.number)
	binary.LittleEndian.PutUint64(to[16:], h.first)
	binary.LittleEndian.PutUint64(to[24:], uint64(h.created)) //nolint:gosec // bits, not a number
	copy(to[32:], h.spool[:])
	binary.LittleEndian.PutUint64(to[48:], uint64(h.size)) //nolint:gosec // not below 0
	binary.LittleEndian.PutUint32(to[sumAt:], checksum(0, to[:sumAt]))
}

// parseHeader reports whether page begins with a header.
func parseHeader(page []byte) (h header, ok bool) {
	if len(page) < headerBytes || string(page[:8]) != magic ||
		binary.LittleEndian.Uint32(page[sumAt:]) != checksum(0, page[:sumAt]) {
		return header{}, false
	}
	h = header{
		number:  binary.LittleEndian.Uint64(page[8:]),
		first:   binary.LittleEndian.Uint64(page[16:]),
		created: int64(binary.LittleEndian.Uint64(page[24:])), //nolint:gosec // bits, not a number
		size:    int64(binary.LittleEndian.Uint64(page[48:])), //nolint:gosec // bits, not a number
	}
	copy(h.spool[:], page[32:])
	return h, true
}

// dropped returns which sequences the header says were dropped; from is 0 if none.
func dropped(page []byte) (from, to uint64, since int64) {
	from = binary.LittleEndian.Uint64(page[droppedFrom:])
	to = binary.LittleEndian.Uint64(page[droppedTo:])
	if from == 0 || to < from {
		return 0, 0, 0
	}
	return from, to, int64(binary.LittleEndian.Uint64(page[droppedSince:])) //nolint:gosec // bits, not a number
}

// Record is one record as it was appended. Body is valid until the next read.
type Record struct {
	Sequence uint64
	At       int64 // when it was appended, ns since 1970
	ID       ID
	Body     []byte
}
