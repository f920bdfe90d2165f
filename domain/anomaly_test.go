package domain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
)

func anomalyEvent(id string, kind domain.EventType, data string) *domain.Event {
	return &domain.Event{
		ID: id, Type: kind, EntityType: domain.KindAnomaly, EntityID: "F", Actor: "by-" + id, Data: []byte(data),
		OccurredAt: time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC),
	}
}

func TestAnomaly_Fold(t *testing.T) {
	found := anomalyEvent("found", domain.AnomalyDetected, `{}`)
	again := anomalyEvent("again", domain.AnomalyDetected, `{}`)
	seen := anomalyEvent("seen", domain.AnomalyAcknowledged, ``)
	seen2 := anomalyEvent("seen2", domain.AnomalyAcknowledged, ``)
	ann := anomalyEvent("ann", domain.AnomalyAssigned, `{"assignee":"ann"}`)
	bob := anomalyEvent("bob", domain.AnomalyAssigned, `{"assignee":"bob"}`)
	nobody := anomalyEvent("nobody", domain.AnomalyAssigned, `{"assignee":7}`)
	said := anomalyEvent("said", domain.AnomalyCommented, `{"comment":"why"}`)
	done := anomalyEvent("done", domain.AnomalyDismissed, `{"reason":"a test"}`)
	done2 := anomalyEvent("done2", domain.AnomalyDismissed, `{"reason":"mine"}`)
	other := anomalyEvent("other", domain.UserAction, `{}`)
	own := anomalyEvent("own", domain.AnomalyDetected, `{}`)
	own.Source = domain.DetectorSource
	long := anomalyEvent("long", domain.AnomalyAssigned, `{"assignee":"`+strings.Repeat("ü", 200)+`"}`)
	tale := anomalyEvent("tale", domain.AnomalyDismissed, `{"reason":"`+strings.Repeat("ü", 300_000)+`"}`)
	for _, c := range []struct {
		name   string
		events []*domain.Event
		want   string // status, who acknowledged, assignee, who dismissed, reason, comments, events
	}{
		{"found", []*domain.Event{found}, "OPEN     0 0"},
		{"found twice", []*domain.Event{found, again}, "OPEN     0 0"},
		{"something else", []*domain.Event{found, other}, "OPEN     0 0"},
		{"acknowledged", []*domain.Event{found, seen}, "ACKNOWLEDGED by-seen    0 1"},
		{"by two", []*domain.Event{found, seen, seen2}, "ACKNOWLEDGED by-seen    0 2"},
		{"assigned twice", []*domain.Event{found, ann, bob}, "OPEN  bob   0 2"},
		{"assigned to what is no name", []*domain.Event{found, ann, nobody}, "OPEN  ann   0 2"},
		{"dismissed at once", []*domain.Event{found, done}, "DISMISSED   by-done a test 0 1"},
		{"by two", []*domain.Event{found, done, done2}, "DISMISSED   by-done a test 0 2"},
		{"after the end", []*domain.Event{found, ann, done, bob, seen, said}, "DISMISSED  ann by-done a test 1 5"},
		{"before it was found", []*domain.Event{done, seen, ann, said, found}, "OPEN     0 4"},
		{"never found", []*domain.Event{done}, "OPEN     0 1"},
		{"before the detector found it", []*domain.Event{found, done, said, own, seen}, "ACKNOWLEDGED by-seen    0 3"},
		{"found by the detector, and again", []*domain.Event{own, done, own, found}, "DISMISSED   by-done a test 0 1"},
		{"for a long reason", []*domain.Event{found, long, tale}, "DISMISSED  " + strings.Repeat("ü", 126) + "… by-tale " + strings.Repeat("ü", 8190) + "… 0 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var a domain.Anomaly
			for _, e := range c.events {
				a.Apply(e)
			}
			assert.Equal(t, "F", a.ID)
			assert.Equal(t, c.want, fmt.Sprintf("%s %s %s %s %s %d %d", a.Status, a.Acknowledged.By, a.Assignee, a.Dismissed.By, a.Reason, a.Comments, a.Events))
		})
	}
}

// Whatever is done, a state never goes back, one act at most has each effect, and the
// state is the same after a way through JSON at any point.
func TestAnomaly_Properties(t *testing.T) {
	rank := map[domain.AnomalyStatus]int{}
	for i, status := range domain.AnomalyStatuses() {
		rank[status] = i
	}
	rapid.Check(t, func(t *rapid.T) {
		var a, stored domain.Anomaly
		a.Apply(anomalyEvent("found", domain.AnomalyDetected, `{}`))
		stored = a
		effects := map[domain.EventType][]string{}
		var acts []*domain.Event
		for i := range rapid.IntRange(0, 12).Draw(t, "acts") {
			e := anomalyEvent(fmt.Sprint(i), rapid.SampledFrom(domain.AnomalyActs()).Draw(t, "act"), `{"assignee":"a","reason":"r"}`)
			acts = append(acts, e)
			before := rank[a.Status]
			a.Apply(e)
			assert.GreaterOrEqual(t, rank[a.Status], before)
			text, err := json.Marshal(stored)
			require.NoError(t, err)
			stored = domain.Anomaly{}
			require.NoError(t, json.Unmarshal(text, &stored))
			stored.Apply(e)
			assert.Equal(t, a, stored)
		}
		for _, e := range acts {
			if a.Effective(e.Type, e.ID) {
				effects[e.Type] = append(effects[e.Type], e.ID)
			}
		}
		assert.LessOrEqual(t, len(effects[domain.AnomalyAcknowledged]), 1)
		assert.LessOrEqual(t, len(effects[domain.AnomalyDismissed]), 1)
		assert.EqualValues(t, len(acts), a.Events)
	})
}

func TestAnomalyID(t *testing.T) {
	own := anomalyEvent("e", domain.AnomalyDetected, ``)
	own.EntityType = ""
	assert.Equal(t, "e", domain.AnomalyID(own), "a detection that names no anomaly is one")
	act := anomalyEvent("e", domain.AnomalyCommented, ``)
	assert.Equal(t, "F", domain.AnomalyID(act))
	act.OrderID = "o"
	assert.Equal(t, "anomaly-F", act.Stream(), "what is said of an anomaly is no part of an order's life")
	act.EntityType = ""
	assert.Empty(t, domain.AnomalyID(act))
	assert.Empty(t, domain.AnomalyID(anomalyEvent("e", domain.OrderFilled, ``)))
}

func TestDetectionIn(t *testing.T) {
	full := domain.DetectionIn(anomalyEvent("e", domain.AnomalyDetected, `{"kind":"k","rule":"r","severity":"s","explanation":"\u003cb\u003e","evidence":["1",2,"3"]}`))
	assert.Equal(t, domain.Detection{Kind: "k", Rule: "r", Severity: "s", Explanation: "<b>", Evidence: []string{"1", "3"}}, full)
	for _, data := range []string{``, `[]`, `{`, `{"kind":7,"rule":null,"severity":{},"explanation":[],"evidence":"e"}`} {
		assert.Equal(t, domain.Detection{Evidence: []string{}}, domain.DetectionIn(anomalyEvent("e", domain.AnomalyDetected, data)), data)
	}
}

// Who knows which finding will come can't dismiss it beforehand, and what he says of it
// counts for nothing once it is found.
func TestAnomaly_NobodyDismissesWhatIsYetToBeFound(t *testing.T) {
	var a domain.Anomaly
	forged := anomalyEvent("forged", domain.AnomalyDetected, `{}`)
	forged.Source = "http"
	genuine := anomalyEvent("real", domain.AnomalyDetected, `{}`)
	genuine.Source = domain.DetectorSource
	for _, e := range []*domain.Event{forged, anomalyEvent("d", domain.AnomalyDismissed, `{"reason":"nothing"}`), anomalyEvent("c", domain.AnomalyCommented, `{"comment":"x"}`)} {
		a.Apply(e)
	}
	assert.Equal(t, domain.AnomalyStatusDismissed, a.Status, "until it is found")
	a.Apply(genuine)
	want := domain.Anomaly{ID: a.ID, Status: domain.AnomalyStatusOpen, Detected: "real", Found: true, Events: 2}
	assert.Equal(t, want, a)
	a.Apply(forged)
	assert.Equal(t, want, a)
}

// The state keeps what a desk would have taken; the events keep all.
func TestAnomaly_KeepsNoMoreThanIsShown(t *testing.T) {
	var a domain.Anomaly
	long := strings.Repeat("é", 100<<10)
	a.Apply(anomalyEvent("found", domain.AnomalyDetected, `{}`))
	a.Apply(anomalyEvent("a", domain.AnomalyAssigned, `{"assignee":"x`+long+`"}`))
	a.Apply(anomalyEvent("d", domain.AnomalyDismissed, `{"reason":"x`+long+`"}`))
	for kept, most := range map[string]int{a.Assignee: domain.MaxAssignee, a.Reason: domain.MaxAnomalyText} {
		assert.LessOrEqual(t, len(kept), most)
		assert.Greater(t, len(kept), most-4, "but whole letters")
		assert.True(t, strings.HasSuffix(kept, "é…"), "it shows that there is more")
	}
}
