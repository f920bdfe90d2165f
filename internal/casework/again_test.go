package casework_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/internal/casework"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// An act that is sent again before the read models have it is the same act: the log has
// it, and the answer is that of the first time.
func TestDesk_SentAgainWhileViewsLag(t *testing.T) {
	store := viewstest.OpenInProcess(t)
	recorder, err := ingest.NewRecorder(store.Store, viewstest.Discard(), time.Now, prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(func() { recorder.Close(context.WithoutCancel(t.Context())) })
	lagging := newBook() // nothing that is recorded ever gets there
	lagging.lost = &domain.Error{Class: domain.ClassTransient, Code: "views_behind"}
	now := at
	desk := casework.NewDesk(lagging, recorder, notBob{}, func() time.Time {
		now = now.Add(time.Second)
		return now
	})
	mine := act(domain.AnomalyCommented, "x")
	mine.EventID = "mine"
	for range 2 {
		_, err = desk.Do(as(t, "ann"), mine)
		require.Equal(t, domain.ClassTransient, domain.ClassOf(err), "%v", err)
	}
	lagging.lost = nil
	done, err := desk.Do(as(t, "ann"), mine)
	require.NoError(t, err)
	assert.Equal(t, ingest.Duplicate, done.Receipt.Status)

	for _, other := range []casework.Act{
		{Anomaly: "F", Type: domain.AnomalyCommented, Text: "y", EventID: "mine"},
		{Anomaly: "F", Type: domain.AnomalyAcknowledged, EventID: "mine"},
	} {
		_, err = desk.Do(as(t, "ann"), other)
		assert.Equal(t, domain.CodeConflict, codeOf(err), "%v", err)
	}
	_, err = desk.Do(as(t, "eve"), mine)
	assert.Equal(t, domain.CodeConflict, codeOf(err), "%v", err)

	acts := 0
	for record, err := range store.Forwards(t.Context(), domain.Position{}, math.MaxUint64) {
		require.NoError(t, err)
		if record.Type == string(domain.AnomalyCommented) {
			acts++
		}
	}
	assert.Equal(t, 1, acts)
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*domain.Error](err); ok {
		return e.Code
	}
	return ""
}
