package embedded_test

import (
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// fillingFS is a disk with as much room as a test says.
type fillingFS struct {
	vfs.FS
	room atomic.Uint64
}

func (f *fillingFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.room.Load()}, nil
}

func TestNode_RefusesAppendsOnAFullDiskUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	disk := &fillingFS{FS: vfs.NewMem()}
	disk.room.Store(2000)
	node := open(t, "data", embedded.Options{FS: disk, ReserveBytes: 1000})
	client := connect(t, node)
	first := event()
	_, err := client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, first)
	require.NoError(t, err)
	sub, err := client.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	defer sub.Close()

	disk.room.Store(999)
	_, err = client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(0)}, event())
	require.ErrorContains(t, err, "the disk is full")
	var refused *esdb.Error
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, codes.ResourceExhausted, grpcCode(refused.Err()))
	_, err = client.DeleteStream(t.Context(), "order-1", esdb.DeleteStreamOptions{})
	require.ErrorContains(t, err, "the disk is full")
	_, err = client.TombstoneStream(t.Context(), "order-1", esdb.TombstoneStreamOptions{})
	require.ErrorContains(t, err, "the disk is full")

	// What needs no room goes on: a repeated append, reads.
	_, err = client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, first)
	require.NoError(t, err)
	assert.Len(t, readAll(t, client), 1)

	disk.room.Store(1000)
	last := event()
	_, err = client.AppendToStream(t.Context(), "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(0)}, last)
	require.NoError(t, err)
	for {
		e := sub.Recv()
		require.Nil(t, e.SubscriptionDropped, "subscriptions outlive a full disk")
		if e.EventAppeared != nil && e.EventAppeared.Event.EventID == last.EventID {
			break
		}
	}
	require.NoError(t, node.Err())
}
