package ingest_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// Of what is told again in other words its teller knows that it is the same.
func TestRecord_TheSameInOtherWords(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	var asked []string
	says := func(text string, same bool) ingest.Item {
		e := &domain.Event{
			ID: "e", Type: domain.UserAction, OccurredAt: time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC), SchemaVersion: domain.SchemaVersion,
			UserID: "1", Actor: text,
		}
		return ingest.Item{Line: 1, Event: e, Same: func(recorded *domain.Event) bool {
			asked = append(asked, recorded.Actor)
			return same
		}}
	}
	other := says("before", false)
	other.Event.ID = "before"
	receipts := record(t, r, other, says("a", false), says("a", false))
	assert.Equal(t, []ingest.Status{ingest.Recorded, ingest.Recorded, ingest.Duplicate}, statuses(receipts))
	assert.Empty(t, asked, "nobody is asked about the very same")
	first := receipts[1]

	for name, again := range map[string]*ingest.Recorder{"the recorder that knows it": r, "one that must look": newRecorder(t, store)} {
		receipts = record(t, again, says("b", true), says("c", false))
		assert.Equal(t, []ingest.Status{ingest.Duplicate, ingest.Rejected}, statuses(receipts), name)
		assert.Equal(t, first.Revision, receipts[0].Revision, name)
		assert.Equal(t, domain.CodeConflict, receipts[1].Err.Code, name)
	}
	assert.Equal(t, []string{"a", "a", "a", "a"}, asked)
	assert.Len(t, logged(t, store), 3, "two events, and what is another in quarantine")
}

// Only the detector records what has the id of a finding.
func TestRecord_KeepsTheIDsOfFindings(t *testing.T) {
	t.Parallel()
	r, _ := newBench(t)
	finding := uuid.NewString()
	detected := func(id, entity string) ingest.Item {
		return ingest.Item{Line: 1, Event: &domain.Event{
			ID: id, Type: domain.AnomalyDetected, OccurredAt: time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC), SchemaVersion: domain.SchemaVersion,
			EntityType: domain.KindAnomaly, EntityID: entity, OrderID: "1", Source: domain.DetectorSource,
		}}
	}
	id := domain.FindingEventID(finding)
	receipts := record(t, r, detected(id, finding), detected("mine", finding), detected("yours", "F"))
	assert.Equal(t, []ingest.Status{ingest.Rejected, ingest.Recorded, ingest.Recorded}, statuses(receipts))
	assert.Equal(t, domain.CodeConflict, receipts[0].Err.Code)
	receipts, err := r.Record(t.Context(), domain.DetectorSource, []ingest.Item{detected(id, finding)})
	require.NoError(t, err)
	assert.Equal(t, []ingest.Status{ingest.Recorded}, statuses(receipts))
}
