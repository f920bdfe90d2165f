package views

import (
	_ "embed"

	"github.com/klauspost/compress/s2"
)

// The bodies of events and the states of orders are JSON in which little but
// the ids, times and amounts is new. They are compressed one by one, with a
// dictionary of what such texts have in common, to about a third.
//
// The dictionary is part of the format: whoever changes it must raise the
// versions of the views that pack.

//go:embed dictionary.txt
var dictionarySource []byte

var dictionary = s2.MakeDict(dictionarySource, nil)

// The first byte of a packed text.
const (
	plainText  = "\x00"
	packedText = "\x01" // s2 with the dictionary
)

// minPacked is the length below which packing does not pay.
const minPacked = 32

func pack(text []byte) string {
	if len(text) >= minPacked {
		if packed := dictionary.Encode(nil, text); len(packed) < len(text) {
			return packedText + string(packed)
		}
	}
	return plainText + string(text)
}

// maxUnpacked is more than any event has: 1 MiB and what the envelope adds.
const maxUnpacked = 64 << 20

func unpack(packed string) ([]byte, error) {
	switch {
	case packed == "":
		return nil, damaged("an empty text")
	case packed[:1] == plainText:
		return []byte(packed[1:]), nil
	case packed[:1] != packedText:
		return nil, damaged("a text packed in an unknown way")
	}
	data := []byte(packed[1:])
	if n, err := s2.DecodedLen(data); err != nil || n > maxUnpacked {
		return nil, damaged("a packed text of impossible length")
	}
	text, err := dictionary.Decode(nil, data)
	if err != nil {
		return nil, damaged("a text that can't be unpacked: %v", err)
	}
	return text, nil
}
