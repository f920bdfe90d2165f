package broker_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
	"github.com/tradetrail/tradetrail/ingest/broker"
)

const event = `{"event_type":"order.filled","occurred_at":"2026-03-02T14:30:00Z","order_id":"ord_1"}`

// Derived ids are a storage format: others would record every redelivered message
// a second time.
func TestUnderstand_IDsAreFrozen(t *testing.T) {
	t.Parallel()
	items := broker.Understand("kafka:fills", broker.Message{Partition: "fills/3", Offset: "1042", Body: []byte("[" + event + "," + event + "]")})
	require.Len(t, items, 2)
	assert.Equal(t, domain.DeriveID("kafka:fills", "fills/3", "1042"), items[0].Event.ID)
	assert.Equal(t, domain.DeriveID("kafka:fills", "fills/3", "1042/1"), items[1].Event.ID)
}

func TestUnderstand_ALongMessageIsKeptWhole(t *testing.T) {
	t.Parallel()
	long := make([]byte, ingest.MaxBodyBytes+1)
	items := broker.Understand("kafka:fills", broker.Message{Partition: "fills/3", Offset: "1", Body: long})
	require.Len(t, items, 1)
	assert.Equal(t, domain.CodeTooLarge, items[0].Err.Code)
	assert.Len(t, items[0].Raw, len(long), "quarantine sees all of it, for its size and digest")
}

func TestUnderstand_APoisonousPieceCostsNoOther(t *testing.T) {
	t.Parallel()
	items := broker.Understand("kafka:fills", broker.Message{Partition: "fills/3", Offset: "7", Body: []byte(event + "\n{\n" + event)})
	require.Len(t, items, 3)
	assert.NotNil(t, items[0].Event)
	assert.Contains(t, items[1].Err.Message, "(message 7 of fills/3)")
	assert.Equal(t, domain.DeriveID("kafka:fills", "fills/3", "7/2"), items[2].Event.ID, "the id counts what is broken, too")
}
