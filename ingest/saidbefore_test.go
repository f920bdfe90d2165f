package ingest_test

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// Which message of FIX says that it may be a repetition is told that it is one, if
// its id is recorded; which does not, and what is no message of FIX, says something
// else under the same id.
func TestRecord_PossibleRepetitions(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	of := func(raw, data string) ingest.Item {
		e := &domain.Event{
			ID: "e", Type: domain.OrderAccepted, OccurredAt: time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC), SchemaVersion: domain.SchemaVersion,
			OrderID: "1", Raw: []byte(raw), Data: jsontext.Value(data),
		}
		return ingest.Item{Line: 1, Event: e}
	}
	const message = "8=FIX.4.4\x0135=8\x01"
	receipts := record(t, r, of(message, `{"msg_seq_num":1}`), of(message, `{"msg_seq_num":9,"poss_resend":true}`), of(message, `{"msg_seq_num":1,"poss_dup":true}`))
	assert.Equal(t, []ingest.Status{ingest.Recorded, ingest.Duplicate, ingest.Duplicate}, statuses(receipts))
	receipts = record(t, r, of(message, `{"msg_seq_num":2}`), of(message, `{"msg_seq_num":3,"poss_dup":false}`),
		of(message, `{"msg_seq_num":4,"poss_dup":"true"}`), of("", `{"msg_seq_num":5,"poss_dup":true}`))
	assert.Equal(t, []ingest.Status{ingest.Rejected, ingest.Rejected, ingest.Rejected, ingest.Rejected}, statuses(receipts))
	require.Equal(t, domain.CodeConflict, receipts[0].Err.Code)
	assert.Len(t, logged(t, store), 5, "one event, and four in quarantine")
}
