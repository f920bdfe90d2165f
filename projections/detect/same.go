package detect

import (
	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/domain/rules"
)

// Same reports whether a recorded event says the same as one of the detector's that has
// its id: it is the detector's own, and is about the same finding, or has the same rules
// judge. Other thresholds find the same with other numbers, and another process has
// another clock. What was recorded first stands. An event of others that has taken the
// id says something else, whatever it says.
func Same(recorded, e *domain.Event) bool {
	if recorded.Source != Source || recorded.Type != e.Type {
		return false
	}
	if e.Type == domain.ConfigChanged {
		a, b := termIn(recorded), termIn(e)
		return recorded.EntityID == e.EntityID && a.New != "" && a.New == b.New && a.Old == b.Old
	}
	a, found := rules.Recorded(recorded)
	b, finds := rules.Recorded(e)
	return found && finds && a.ID == b.ID && a.Rule == b.Rule && a.Version == b.Version
}

func termIn(e *domain.Event) (data termData) {
	if json.Unmarshal(e.Data, &data) != nil {
		return termData{}
	}
	return data
}
