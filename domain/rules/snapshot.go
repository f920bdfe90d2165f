package rules

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
)

// snapshotVersion is raised when what an engine remembers changes its form.
const snapshotVersion = 1

type snapshot struct {
	Version     int                      `json:"version"`
	Set         string                   `json:"set"`
	Now         time.Time                `json:"now"`
	Horizon     time.Time                `json:"horizon"`
	Stats       Stats                    `json:"stats"`
	Orders      []remembered[order]      `json:"orders"`
	Over        []remembered[order]      `json:"over"`
	Trails      []remembered[trail]      `json:"trails"`
	Activities  []remembered[activity]   `json:"activities"`
	Instruments []remembered[instrument] `json:"instruments"`
	Scopes      []remembered[time.Time]  `json:"scopes"`
	Waiting     []question               `json:"waiting"`
}

// Snapshot is all that the engine remembers, as JSON. Some 2 kB for each order that is
// open or in its grace, 1.5 kB for one that is over, 300 bytes for each decision, and
// up to 15 kB for an owner in an instrument; with all bounds reached, 200 MB.
func (e *Engine) Snapshot() ([]byte, error) {
	return json.Marshal(snapshot{
		Version: snapshotVersion, Set: e.set.hash, Now: e.now, Horizon: e.horizon, Stats: e.Stats(),
		Orders: e.orders.save(), Over: e.over.save(), Trails: e.trails.save(), Activities: e.activities.save(),
		Instruments: e.instruments.save(), Scopes: e.scopes.save(), Waiting: e.waiting.waiting(),
	}, json.Deterministic(true))
}

// Resume continues from a snapshot: what it finds is what the engine would have found
// that made it. A snapshot of another set is a conflict: start anew, from the log.
func (s *Set) Resume(data []byte) (*Engine, error) {
	var saved snapshot
	if err := json.Unmarshal(data, &saved); err != nil {
		return nil, &domain.Error{Class: domain.ClassIntegrity, Code: domain.CodeMalformed, Message: "reading a snapshot of rules", Err: err}
	}
	if saved.Version != snapshotVersion || saved.Set != s.hash {
		return nil, &domain.Error{Class: domain.ClassConflict, Code: "other_rules", Message: "the snapshot is of other rules"}
	}
	e := s.Engine()
	e.now, e.horizon, e.seen, e.stats = saved.Now, saved.Horizon, saved.Stats.Events, saved.Stats
	e.waiting.questions = saved.Waiting
	e.orders.load(saved.Orders)
	e.over.load(saved.Over)
	e.trails.load(saved.Trails)
	e.activities.load(saved.Activities)
	e.instruments.load(saved.Instruments)
	e.scopes.load(saved.Scopes)
	return e, nil
}
