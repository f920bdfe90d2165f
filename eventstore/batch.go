package eventstore

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

// batcher speaks BatchAppend, which the official client generates but does not
// offer: one long call on which appends are pipelined. It keeps the order of
// submissions and costs about half the CPU per event.
//
// It serves a single address, or the node in this process. On a cluster the leader
// is for the official client to find, so there the batcher is never available.
type batcher struct {
	conn   grpc.ClientConnInterface
	hangUp func() error // closes conn, if it is ours
	nonce  uint64       // of the correlation ids, which count
	count  atomic.Uint64

	ctx    context.Context //nolint:containedctx // ends with close
	cancel context.CancelFunc
	wg     sync.WaitGroup // send, watch, and the receivers of send's calls

	refused atomic.Bool // the server was asked, and does not offer BatchAppend
	wake    chan struct{}
	mu      sync.Mutex
	queue   []*submission // in the order of submissions
	closed  bool

	current atomic.Pointer[batchCall] // what watch watches

	// The rest belongs to send's goroutine.
	offered bool // the server was asked, and offers it
	call    *batchCall
}

// submission is one append on its way through the batcher.
type submission struct {
	id      uuid.UUID
	request []byte            // encoded by whoever submits it: send serves everybody
	outcome chan batchOutcome // gets one
	givenUp atomic.Bool       // nobody waits any more: not worth sending
	age     int               // in ticks of watch, since it was sent; under the call's mu
}

// MarshalBinary gives the request to gRPC as it is.
func (s *submission) MarshalBinary() ([]byte, error) { return s.request, nil }

// errNotOffered is the outcome when the server has no BatchAppend.
var errNotOffered = errors.New("the server does not offer BatchAppend")

// askTimeout bounds the question for the server's features: all appends wait
// behind it.
const askTimeout = 5 * time.Second

// batchCall is one BatchAppend call and what waits on it.
type batchCall struct {
	stream grpc.ClientStream
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting map[uuid.UUID]*submission // nil once the call is broken
}

type batchOutcome struct {
	appended Appended
	err      error
}

// newBatcher speaks over a connection that stays its owner's; without one it is
// never available.
func newBatcher(conn grpc.ClientConnInterface) *batcher {
	b := &batcher{
		conn: conn, hangUp: func() error { return nil },
		nonce: rand.Uint64(), wake: make(chan struct{}, 1), //nolint:gosec // tells calls apart, keeps no secret
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if conn == nil {
		b.refused.Store(true)
		return b
	}
	b.wg.Go(b.send)
	b.wg.Go(b.watch)
	return b
}

// dialBatcher makes a connection of its own.
func dialBatcher(cfg *esdb.Configuration) (*batcher, error) {
	if cfg.DnsDiscover || len(cfg.GossipSeeds) > 0 || cfg.UserCertFile != "" {
		return newBatcher(nil), nil
	}
	options := []grpc.DialOption{
		// By default a connection rests for up to two minutes after an outage.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: askTimeout,
		}),
	}
	if cfg.KeepAliveInterval >= 0 {
		options = append(options, grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: cfg.KeepAliveInterval, Timeout: cfg.KeepAliveTimeout, PermitWithoutStream: true,
		}))
	}
	if cfg.DisableTLS {
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	} else {
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12,
			InsecureSkipVerify: cfg.SkipCertificateVerification, //nolint:gosec // asked for in the connection string
		})))
		if cfg.Username != "" {
			options = append(options, grpc.WithPerRPCCredentials(basicAuth(cfg.Username+":"+cfg.Password)))
		}
	}
	conn, err := grpc.NewClient(cfg.Address, options...)
	if err != nil {
		return nil, err
	}
	b := newBatcher(conn)
	b.hangUp = conn.Close
	return b, nil
}

func (b *batcher) close() error {
	b.cancel()
	b.wg.Wait()
	return b.hangUp()
}

// submit queues one append, or returns nil if the server has no BatchAppend. It
// never blocks: what the server holds back waits in the queue, and whoever
// submitted it waits for the outcome with a context of its own.
func (b *batcher) submit(stream string, expected Revision, events []Proposal) *submission {
	if b.refused.Load() {
		return nil
	}
	s := &submission{outcome: make(chan batchOutcome, 1)}
	binary.BigEndian.PutUint64(s.id[:8], b.nonce)
	binary.BigEndian.PutUint64(s.id[8:], b.count.Add(1))
	s.request = encodeBatch(s.id, stream, expected, events)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		s.fail(unavailable(b.ctx.Err()))
		return s
	}
	b.queue = append(b.queue, s)
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return s
}

func (s *submission) fail(err error) { s.outcome <- batchOutcome{err: err} }

// take empties the queue, for good if closing.
func (b *batcher) take(closing bool) []*submission {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = b.closed || closing
	queue := b.queue
	b.queue = nil
	return queue
}

// send runs until close.
func (b *batcher) send() {
	for b.ctx.Err() == nil {
		select {
		case <-b.wake:
			b.sendAll(b.take(false))
		case <-b.ctx.Done():
		}
	}
	for _, s := range b.take(true) {
		s.fail(unavailable(b.ctx.Err()))
	}
}

// sendAll sends in order. What comes behind a break is not sent over a new call:
// it would overtake what was lost.
func (b *batcher) sendAll(queue []*submission) {
	if len(queue) == 0 {
		return
	}
	err := b.prepare()
	for _, s := range queue {
		if err == nil && !s.givenUp.Load() {
			if b.call.expect(s) {
				if b.call.stream.SendMsg(s) == nil {
					continue
				}
				// The receiver learns the reason, and fails s with all that waits.
				b.call.cancel()
				b.call, err = nil, unavailable(errors.New("an append before this one could not be sent"))
				continue
			}
			b.call, err = nil, unavailable(errors.New("the call broke"))
		}
		if err != nil {
			s.fail(err)
		}
	}
}

// prepare makes sure that there is a call, after asking the server once what it
// offers.
func (b *batcher) prepare() error {
	if !b.offered {
		ctx, cancel := context.WithTimeout(b.ctx, askTimeout)
		defer cancel()
		methods, err := serverfeatures.NewServerFeaturesClient(b.conn).GetSupportedMethods(ctx, &shared.Empty{})
		if code := status.Code(err); err != nil && code != codes.Unimplemented && code != codes.NotFound {
			return unavailable(err)
		}
		for _, m := range methods.GetMethods() {
			if strings.EqualFold(m.GetMethodName(), "batchappend") && strings.HasSuffix(m.GetServiceName(), "streams.streams") {
				// The very first servers take deadlines in another form; not worth one of ours.
				b.offered = slices.Contains(m.GetFeatures(), "deadline_duration")
			}
		}
		if !b.offered {
			b.refused.Store(true)
			return errNotOffered
		}
	}
	if b.call != nil && b.call.broken() {
		b.call = nil
	}
	if b.call != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(b.ctx)
	stream, err := b.conn.NewStream(ctx, &grpc.StreamDesc{StreamName: "BatchAppend", ServerStreams: true, ClientStreams: true},
		streams.Streams_BatchAppend_FullMethodName, grpc.ForceCodecV2(wire.NewCodec()))
	if err != nil {
		cancel()
		return unavailable(err)
	}
	call := &batchCall{stream: stream, cancel: cancel, waiting: make(map[uuid.UUID]*submission)}
	b.wg.Go(func() {
		if code := status.Code(call.receive()); code == codes.Unimplemented {
			b.refused.Store(true) // it was offered by another server at this address
		}
	})
	b.call = call
	b.current.Store(call)
	return nil
}

// watch breaks a call that owes an answer for too long: its server answers pings,
// or the call would have broken by itself, and nothing else. What is in flight has
// an unknown outcome then, and is tried again on another call.
func (b *batcher) watch() {
	const tick = time.Second
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if call := b.current.Load(); call != nil && call.overdue(int(callTimeout/tick)) {
				call.cancel()
			}
		case <-b.ctx.Done():
			return
		}
	}
}

// overdue ages what waits by a tick, and says whether something is older than limit.
func (c *batchCall) overdue(limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	late := false
	for _, s := range c.waiting {
		s.age++
		late = late || s.age > limit
	}
	return late
}

func (c *batchCall) broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting == nil
}

// expect says that s is about to be sent; false if the call is broken.
func (c *batchCall) expect(s *submission) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		return false
	}
	c.waiting[s.id] = s
	return true
}

// receive hands out the answers until the call breaks; then everything that
// still waits has an unknown outcome.
func (c *batchCall) receive() error {
	defer c.cancel()
	for {
		var response batchResponse
		if err := c.stream.RecvMsg(&response); err != nil {
			c.mu.Lock()
			waiting := c.waiting
			c.waiting = nil
			c.mu.Unlock()
			why := unavailable(err)
			if code := status.Code(err); code == codes.PermissionDenied || code == codes.Unauthenticated {
				why = err // no use in trying again
			}
			for _, s := range waiting {
				s.fail(why)
			}
			return err
		}
		c.mu.Lock()
		s := c.waiting[response.id] // nil for a foreign id
		delete(c.waiting, response.id)
		c.mu.Unlock()
		if s != nil {
			s.outcome <- response.outcome()
		}
	}
}

// encodeBatch is a whole BatchAppendReq.
func encodeBatch(id uuid.UUID, stream string, expected Revision, events []Proposal) []byte {
	const perEvent, perRequest = 128, 160 // more than what stands around the payloads
	size := perRequest + len(stream)
	for i := range events {
		size += perEvent + len(events[i].eventType) + len(events[i].data) + len(events[i].metadata)
	}
	b := make([]byte, 0, size)
	b = wire.AppendUUID(b, wire.FieldBatchCorrelation, id)
	b = wire.AppendBatchOptions(b, stream, wire.Expectation(max(expected, NoStream)), callTimeout)
	for i := range events {
		e := &events[i]
		b = wire.AppendProposed(b, wire.FieldBatchProposed, e.id, e.eventType, e.data, e.metadata)
	}
	b = protowire.AppendTag(b, wire.FieldBatchFinal, protowire.VarintType)
	return protowire.AppendVarint(b, protowire.EncodeBool(true))
}

// batchResponse is a BatchAppendResp.
type batchResponse struct {
	id      uuid.UUID
	success *wire.Success     // or
	failure *rpcstatus.Status // this
}

// UnmarshalBinary takes a BatchAppendResp.
func (r *batchResponse) UnmarshalBinary(b []byte) error {
	return wire.Fields(b, func(field protowire.Number, value []byte, _ uint64) (err error) {
		switch field {
		case wire.FieldBatchRespCorrelation:
			r.id, err = wire.DecodeUUID(value)
		case wire.FieldBatchRespSuccess:
			r.success = &wire.Success{}
			err = r.success.Decode(value)
		case wire.FieldBatchRespError:
			r.failure = &rpcstatus.Status{}
			err = proto.Unmarshal(value, r.failure)
		}
		return err
	})
}

func (r *batchResponse) outcome() batchOutcome {
	switch {
	case r.success != nil:
		return batchOutcome{appended: Appended{
			Revision: Revision(r.success.Revision),
			Position: domain.Position{Commit: r.success.Commit, Prepare: r.success.Prepare},
		}}
	case r.failure != nil:
		err := status.ErrorProto(r.failure)
		switch status.Code(err) {
		case codes.AlreadyExists:
			return batchOutcome{err: classified(domain.ClassConflict, CodeWrongRevision, "wrong expected revision", err)}
		case codes.NotFound:
			return batchOutcome{err: classified(domain.ClassNotFound, CodeStreamDeleted, "stream is deleted", err)}
		case codes.OK: // which is no error
		default:
			return batchOutcome{err: err}
		}
	}
	return batchOutcome{err: classified(domain.ClassUnknown, CodeUnclassified, "BatchAppend answered neither success nor error", nil)}
}

// unavailable marks an outcome as unknown, whatever status the broken call had.
func unavailable(err error) error {
	return classified(domain.ClassTransient, CodeUnavailable, "the connection to the event store broke", err)
}

// basicAuth sends credentials with every call, over TLS only.
type basicAuth string

func (a basicAuth) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(a))}, nil
}

func (basicAuth) RequireTransportSecurity() bool { return true }
