package domain

import (
	"maps"
	"slices"
)

// Aliases lists the names of other systems that are accepted at the door.
func Aliases() []string { return slices.Sorted(maps.Keys(aliases)) }

// DecodePlain reads what is plain, by hand.
func DecodePlain(text []byte) (*Event, bool) { return decodePlain(text) }
