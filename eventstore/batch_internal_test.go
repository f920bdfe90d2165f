package eventstore

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/tradetrail/tradetrail/domain"
)

// silentServer offers BatchAppend, takes everything and never answers.
type silentServer struct {
	calls    atomic.Int32
	requests atomic.Int32
}

func (s *silentServer) Invoke(_ context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	methods, ok := reply.(*serverfeatures.SupportedMethods)
	if !ok {
		return errors.New("asked something else")
	}
	methods.Methods = []*serverfeatures.SupportedMethod{{
		ServiceName: "event_store.client.streams.streams", MethodName: "batchappend", Features: []string{"deadline_duration"},
	}}
	return nil
}

func (s *silentServer) NewStream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	s.calls.Add(1)
	return &silentCall{ctx: ctx, server: s}, nil
}

type silentCall struct {
	grpc.ClientStream

	ctx    context.Context
	server *silentServer
}

func (c *silentCall) SendMsg(any) error {
	c.server.requests.Add(1)
	return nil
}

func (c *silentCall) RecvMsg(any) error {
	<-c.ctx.Done()
	return c.ctx.Err()
}

func TestBatcher_BreaksACallThatOwesAnAnswerForTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &silentServer{}
		b := newBatcher(server)
		begin := time.Now()
		s := b.submit("order-1", NoStream, []Proposal{{id: uuid.New(), eventType: "order.accepted"}})
		o := <-s.outcome
		assert.Equal(t, domain.ClassTransient, domain.ClassOf(o.err), "the outcome is unknown: %v", o.err)
		assert.InDelta(t, callTimeout.Seconds(), time.Since(begin).Seconds(), 2)

		_ = b.submit("order-1", NoStream, nil)
		synctest.Wait()
		assert.EqualValues(t, 2, server.calls.Load(), "the next append gets a call of its own")
		assert.EqualValues(t, 2, server.requests.Load())
		require.NoError(t, b.close())
	})
}
