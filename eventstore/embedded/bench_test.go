package embedded_test

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// eventBytes is the payload of an event in the benchmarks: an order event with
// its context has about this many.
const eventBytes = 500

func benchEvents(n int) []esdb.EventData {
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = event()
		events[i].Data = make([]byte, eventBytes)
	}
	return events
}

func reportEvents(b *testing.B, perOp int) {
	b.ReportMetric(float64(b.N*perOp)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkAppend: one event per call of the official client, each synced
// before it is acknowledged, as many callers at once as the name says.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			client := connect(b, open(b, b.TempDir(), embedded.Options{}))
			work := make(chan struct{})
			var wg sync.WaitGroup
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					stream := "order-" + uuid.NewString()
					var expected esdb.ExpectedRevision = esdb.NoStream{}
					for range work {
						result, err := client.AppendToStream(b.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, benchEvents(1)...)
						if err != nil {
							b.Error(err)
							continue
						}
						expected = esdb.Revision(result.NextExpectedVersion)
					}
				})
			}
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			wg.Wait()
			b.StopTimer()
			reportEvents(b, 1)
		})
	}
}

func BenchmarkAppend_Batches(b *testing.B) {
	const size = 500
	client := connect(b, open(b, b.TempDir(), embedded.Options{}))
	b.ResetTimer()
	for i := range b.N {
		_, err := client.AppendToStream(b.Context(), fmt.Sprintf("order-%d", i), esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, benchEvents(size)...)
		require.NoError(b, err)
	}
	b.StopTimer()
	reportEvents(b, size)
}

// BenchmarkBatchAppend: single events on one call, so many of them in flight.
func BenchmarkBatchAppend(b *testing.B) {
	const inFlight = 256
	node := open(b, b.TempDir(), embedded.Options{})
	call, err := streams.NewStreamsClient(dial(b, node)).BatchAppend(b.Context())
	require.NoError(b, err)
	slots := make(chan struct{}, inFlight)
	received := make(chan error, 1)
	b.ResetTimer()
	go func() {
		for {
			resp, err := call.Recv()
			if errors.Is(err, io.EOF) {
				received <- nil
				return
			}
			if err == nil && resp.GetSuccess() == nil {
				err = errors.New(resp.GetError().GetMessage())
			}
			if err != nil {
				received <- err
				return
			}
			<-slots
		}
	}()
	data := make([]byte, eventBytes)
	for i := range b.N {
		slots <- struct{}{}
		req := batchChunk(fmt.Sprintf("order-%d", i%1000), true, 1)
		req.ProposedMessages[0].Data = data
		require.NoError(b, call.Send(req))
	}
	require.NoError(b, call.CloseSend())
	require.NoError(b, <-received)
	b.StopTimer()
	reportEvents(b, 1)
}

// filledNode has n events of the usual size.
func filledNode(b *testing.B, n int) *embedded.Node {
	b.Helper()
	node := open(b, b.TempDir(), embedded.Options{})
	client := connect(b, node)
	for i := range n / 500 {
		_, err := client.AppendToStream(b.Context(), fmt.Sprintf("order-%d", i), esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, benchEvents(500)...)
		require.NoError(b, err)
	}
	return node
}

func BenchmarkReadAll(b *testing.B) {
	const stored = 100_000
	client := connect(b, filledNode(b, stored))
	b.ResetTimer()
	for range b.N {
		reader, err := client.ReadAll(b.Context(), esdb.ReadAllOptions{}, stored)
		require.NoError(b, err)
		n := 0
		for {
			if _, err := reader.Recv(); err != nil {
				require.ErrorIs(b, err, io.EOF)
				break
			}
			n++
		}
		reader.Close()
		require.Equal(b, stored, n)
	}
	b.StopTimer()
	reportEvents(b, stored)
}

func BenchmarkSubscribeAll_Filtered(b *testing.B) {
	const stored = 100_000
	client := connect(b, filledNode(b, stored))
	b.ResetTimer()
	for range b.N {
		sub, err := client.SubscribeToAll(b.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: esdb.ExcludeSystemEventsFilter()})
		require.NoError(b, err)
		for n := 0; n < stored; {
			e := sub.Recv()
			require.Nil(b, e.SubscriptionDropped)
			if e.EventAppeared != nil {
				n++
			}
		}
		require.NoError(b, sub.Close())
	}
	b.StopTimer()
	reportEvents(b, stored)
}
