package domain

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Aliases lists the names of other systems that are accepted at the door.
func Aliases() []string { return slices.Sorted(maps.Keys(aliases)) }

// DecodePlain reads what is plain, by hand.
func DecodePlain(text []byte) (*Event, bool) { return decodePlain(text) }

// OrderDataBothWays reads what the fold wants to know with the library and by hand,
// and tells whether it is plain.
func OrderDataBothWays(text []byte) (library, byHand any, plain bool) {
	var d orderData
	if err := json.Unmarshal(text, &d); err != nil {
		library = err
	} else {
		library = d
	}
	byHand, plain = plainOrderData(jsontext.Value(text))
	return library, byHand, plain
}
