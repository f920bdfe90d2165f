package eventstore

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
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
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tradetrail/tradetrail/domain"
)

// batcher speaks BatchAppend, which the official client generates but does not
// offer: one long call on which appends are pipelined. It keeps the order of
// submissions and costs about half the CPU per event.
//
// It serves a single address. On a cluster the leader is for the official client
// to find, so there the batcher is never available.
type batcher struct {
	conn *grpc.ClientConn // nil: no BatchAppend

	ctx    context.Context //nolint:containedctx // ends with close
	cancel context.CancelFunc
	wg     sync.WaitGroup // send, and the receivers of its calls

	refused atomic.Bool // the server was asked, and does not offer BatchAppend
	wake    chan struct{}
	mu      sync.Mutex
	queue   []*submission // in the order of submissions
	closed  bool

	// The rest belongs to send's goroutine.
	offered  bool // the server was asked, and offers it
	duration bool // with deadlines as durations
	call     *batchCall
}

// submission is one append on its way through the batcher.
type submission struct {
	id      uuid.UUID
	request *streams.BatchAppendReq
	outcome chan batchOutcome // gets one
	givenUp atomic.Bool       // nobody waits any more: not worth sending
}

// errNotOffered is the outcome when the server has no BatchAppend.
var errNotOffered = errors.New("the server does not offer BatchAppend")

// askTimeout bounds the question for the server's features: all appends wait
// behind it.
const askTimeout = 5 * time.Second

// batchCall is one BatchAppend call and what waits on it.
type batchCall struct {
	stream streams.Streams_BatchAppendClient
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting map[uuid.UUID]*submission // nil once the call is broken
}

type batchOutcome struct {
	appended Appended
	err      error
}

func newBatcher(cfg *esdb.Configuration) (*batcher, error) {
	b := &batcher{wake: make(chan struct{}, 1)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if cfg.DnsDiscover || len(cfg.GossipSeeds) > 0 || cfg.UserCertFile != "" {
		b.refused.Store(true)
		return b, nil
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
	var err error
	if b.conn, err = grpc.NewClient(cfg.Address, options...); err != nil {
		return nil, err
	}
	b.wg.Go(b.send)
	return b, nil
}

func (b *batcher) close() error {
	b.cancel()
	b.wg.Wait()
	if b.conn == nil {
		return nil
	}
	return b.conn.Close()
}

// submit queues one append, or returns nil if the server has no BatchAppend. It
// never blocks: what the server holds back waits in the queue, and whoever
// submitted it waits for the outcome with a context of its own.
func (b *batcher) submit(stream string, expected Revision, events []proposed) *submission {
	if b.refused.Load() {
		return nil
	}
	id := uuid.New()
	s := &submission{id: id, request: newRequest(id, stream, expected, events), outcome: make(chan batchOutcome, 1)}
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
				b.setDeadline(s.request)
				if b.call.stream.Send(s.request) == nil {
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
				b.offered, b.duration = true, slices.Contains(m.GetFeatures(), "deadline_duration")
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
	stream, err := streams.NewStreamsClient(b.conn).BatchAppend(ctx)
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
	return nil
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
		response, err := c.stream.Recv()
		if err != nil {
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
		id := readUUID(response.GetCorrelationId())
		c.mu.Lock()
		s := c.waiting[id]
		delete(c.waiting, id)
		c.mu.Unlock()
		if s != nil {
			s.outcome <- readOutcome(response)
		}
	}
}

func newRequest(id uuid.UUID, stream string, expected Revision, events []proposed) *streams.BatchAppendReq {
	options := &streams.BatchAppendReq_Options{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
	}
	if expected < 0 {
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
	} else {
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(expected)}
	}
	messages := make([]*streams.BatchAppendReq_ProposedMessage, len(events))
	for i, e := range events {
		messages[i] = &streams.BatchAppendReq_ProposedMessage{
			Id:             writeUUID(e.id),
			Metadata:       map[string]string{"type": e.eventType, "content-type": "application/json"},
			CustomMetadata: e.metadata,
			Data:           e.data,
		}
	}
	return &streams.BatchAppendReq{CorrelationId: writeUUID(id), Options: options, ProposedMessages: messages, IsFinal: true}
}

// setDeadline tells the server when nobody waits any more.
func (b *batcher) setDeadline(request *streams.BatchAppendReq) {
	if b.duration {
		request.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(callTimeout)}
		return
	}
	request.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{
		Deadline_21_10_0: timestamppb.New(time.Now().Add(callTimeout)), //nolint:forbidigo // the wire wants a wall-clock deadline
	}
}

func readOutcome(response *streams.BatchAppendResp) batchOutcome {
	switch result := response.GetResult().(type) {
	case *streams.BatchAppendResp_Success_:
		position := result.Success.GetPosition()
		return batchOutcome{appended: Appended{
			Revision: Revision(result.Success.GetCurrentRevision()), //nolint:gosec // revisions are int64 on the server
			Position: domain.Position{Commit: position.GetCommitPosition(), Prepare: position.GetPreparePosition()},
		}}
	case *streams.BatchAppendResp_Error:
		err := status.ErrorProto(result.Error)
		switch status.Code(err) {
		case codes.AlreadyExists:
			return batchOutcome{err: classified(domain.ClassConflict, CodeWrongRevision, "wrong expected revision", err)}
		case codes.NotFound:
			return batchOutcome{err: classified(domain.ClassNotFound, CodeStreamDeleted, "stream is deleted", err)}
		default:
			return batchOutcome{err: err}
		}
	default:
		return batchOutcome{err: classified(domain.ClassUnknown, CodeUnclassified, "BatchAppend answered neither success nor error", nil)}
	}
}

// unavailable marks an outcome as unknown, whatever status the broken call had.
func unavailable(err error) error {
	return classified(domain.ClassTransient, CodeUnavailable, "the connection to the event store broke", err)
}

func writeUUID(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}
}

func readUUID(id *shared.UUID) uuid.UUID {
	if s := id.GetStructured(); s != nil {
		var out uuid.UUID
		for i := range 8 {
			shift := 56 - 8*i
			out[i] = byte(s.GetMostSignificantBits() >> shift)    //nolint:gosec // one byte of eight
			out[8+i] = byte(s.GetLeastSignificantBits() >> shift) //nolint:gosec // one byte of eight
		}
		return out
	}
	out, _ := uuid.Parse(id.GetString_()) // a foreign id matches nothing that waits
	return out
}

// basicAuth sends credentials with every call, over TLS only.
type basicAuth string

func (a basicAuth) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(a))}, nil
}

func (basicAuth) RequireTransportSecurity() bool { return true }
