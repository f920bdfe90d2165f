package embedded

import "encoding/binary"

// The first byte of a key says what it is. doc.go has the whole format.
const (
	keyFormat byte = 'f'
	keyEvent  byte = 'e'
	keyName   byte = 'n'
	keyStream byte = 's'
)

// formatVersion is the version of everything below Pebble: keys, index values
// and records. It is raised when an older program could misread a newer store.
const formatVersion = 1

// firstPosition is where an empty log begins. It is not 0, because clients
// take position 0 for "before everything".
const firstPosition uint64 = 1

// indexValueLen is the length of the values under keyName and keyStream.
const indexValueLen = 8

func formatKey() []byte { return []byte{keyFormat} }

func appendEventKey(dst []byte, position uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, keyEvent), position)
}

func appendNameKey(dst []byte, stream string) []byte {
	return append(append(dst, keyName), stream...)
}

func appendStreamKey(dst []byte, stream, revision uint64) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, keyStream), stream)
	return binary.BigEndian.AppendUint64(dst, revision)
}

// eventKeyPosition is the inverse of appendEventKey; ok is false for any other key.
func eventKeyPosition(key []byte) (position uint64, ok bool) {
	if len(key) != 9 || key[0] != keyEvent {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

// streamKeyRevision is the revision in a key of the given stream; ok is false for any other key.
func streamKeyRevision(key []byte, stream uint64) (revision uint64, ok bool) {
	if len(key) != 17 || key[0] != keyStream || binary.BigEndian.Uint64(key[1:9]) != stream {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[9:]), true
}
