package ingest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// Who says of an event that it may be a repetition is told that it is one, if its
// id is recorded; who does not, says something else under the same id.
func TestRecord_PossibleRepetitions(t *testing.T) {
	t.Parallel()
	r, store := newBench(t)
	of := func(data string) ingest.Item {
		return ingest.Understand(1, []byte(`{"event_id":"e","event_type":"order.accepted","occurred_at":"2026-03-02T14:30:00Z","order_id":"1","data":`+data+`}`))
	}
	receipts := record(t, r, of(`{"msg_seq_num":1}`), of(`{"msg_seq_num":9,"poss_resend":true}`), of(`{"msg_seq_num":1,"poss_dup":true}`))
	assert.Equal(t, []ingest.Status{ingest.Recorded, ingest.Duplicate, ingest.Duplicate}, statuses(receipts))
	receipts = record(t, r, of(`{"msg_seq_num":2}`), of(`{"msg_seq_num":3,"poss_dup":false}`), of(`{"msg_seq_num":4,"poss_dup":"true"}`))
	assert.Equal(t, []ingest.Status{ingest.Rejected, ingest.Rejected, ingest.Rejected}, statuses(receipts))
	require.Equal(t, domain.CodeConflict, receipts[0].Err.Code)
	assert.Len(t, logged(t, store), 4, "one event, and three in quarantine")
}
