package domain

import (
	"maps"
	"slices"
)

// Aliases lists the names of other systems that are accepted at the door.
func Aliases() []string { return slices.Sorted(maps.Keys(aliases)) }
