package eventstore

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
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
	conn *grpc.ClientConn
	log  *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex // held for the duration of a Send: the order of submissions is the order on the wire
	checked  bool       // the server was asked what it offers
	offered  bool       // BatchAppend is among it
	duration bool       // and it takes deadlines as durations
	call     *batchCall // nil: to be opened by the next submit
}

// batchCall is one BatchAppend call and what waits on it.
type batchCall struct {
	stream streams.Streams_BatchAppendClient
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting map[uuid.UUID]chan batchOutcome // nil once the call is broken
}

type batchOutcome struct {
	appended Appended
	err      error
}

func newBatcher(cfg *esdb.Configuration, log *slog.Logger) (*batcher, error) {
	b := &batcher{log: log}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if cfg.DnsDiscover || len(cfg.GossipSeeds) > 1 || cfg.UserCertFile != "" {
		return b, nil
	}
	options := []grpc.DialOption{
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: cfg.KeepAliveInterval, Timeout: cfg.KeepAliveTimeout, PermitWithoutStream: true,
		}),
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
	b.conn, err = grpc.NewClient(cfg.Address, options...)
	return b, err
}

func (b *batcher) close() error {
	b.cancel()
	b.wg.Wait()
	if b.conn == nil {
		return nil
	}
	return b.conn.Close()
}

// available asks the server once what it offers. While the server is away the
// answer is no, and the official client's way decides what happens.
func (b *batcher) available() bool {
	if b.conn == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.checked {
		return b.offered
	}
	ctx, cancel := context.WithTimeout(b.ctx, callTimeout)
	defer cancel()
	methods, err := serverfeatures.NewServerFeaturesClient(b.conn).GetSupportedMethods(ctx, &shared.Empty{})
	switch status.Code(err) {
	case codes.OK:
		for _, m := range methods.GetMethods() {
			if strings.EqualFold(m.GetMethodName(), "batchappend") && strings.HasSuffix(m.GetServiceName(), "streams.streams") {
				b.offered, b.duration = true, slices.Contains(m.GetFeatures(), "deadline_duration")
			}
		}
		b.checked = true
	case codes.Unimplemented, codes.NotFound:
		b.checked = true
	default:
	}
	return b.offered
}

// submit sends one append and returns where its outcome will appear. It blocks
// while the server holds back (HTTP/2 flow control).
func (b *batcher) submit(stream string, expected Revision, events []proposed) <-chan batchOutcome {
	outcome := make(chan batchOutcome, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.call == nil {
		call, err := b.open()
		if err != nil {
			outcome <- batchOutcome{err: unavailable(err)}
			return outcome
		}
		b.call = call
	}
	id := uuid.New()
	if !b.call.expect(id, outcome) {
		b.call = nil
		outcome <- batchOutcome{err: unavailable(b.ctx.Err())}
		return outcome
	}
	if err := b.call.stream.Send(b.request(id, stream, expected, events)); err != nil {
		// The receiver learns the reason and fails everything that waits.
		b.call.cancel()
		b.call = nil
	}
	return outcome
}

func (b *batcher) open() (*batchCall, error) {
	ctx, cancel := context.WithCancel(b.ctx)
	stream, err := streams.NewStreamsClient(b.conn).BatchAppend(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	call := &batchCall{stream: stream, cancel: cancel, waiting: make(map[uuid.UUID]chan batchOutcome)}
	b.wg.Go(call.receive)
	return call, nil
}

func (c *batchCall) expect(id uuid.UUID, outcome chan batchOutcome) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		return false
	}
	c.waiting[id] = outcome
	return true
}

// receive hands out the answers until the call breaks; then everything that
// still waits has an unknown outcome.
func (c *batchCall) receive() {
	defer c.cancel()
	for {
		response, err := c.stream.Recv()
		if err != nil {
			c.mu.Lock()
			waiting := c.waiting
			c.waiting = nil
			c.mu.Unlock()
			for _, outcome := range waiting {
				outcome <- batchOutcome{err: unavailable(err)}
			}
			return
		}
		id := readUUID(response.GetCorrelationId())
		c.mu.Lock()
		outcome := c.waiting[id]
		delete(c.waiting, id)
		c.mu.Unlock()
		if outcome != nil {
			outcome <- readOutcome(response)
		}
	}
}

func (b *batcher) request(id uuid.UUID, stream string, expected Revision, events []proposed) *streams.BatchAppendReq {
	options := &streams.BatchAppendReq_Options{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
	}
	if expected < 0 {
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
	} else {
		options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: uint64(expected)}
	}
	if b.duration {
		options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(callTimeout)}
	} else {
		options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{
			Deadline_21_10_0: timestamppb.New(time.Now().Add(callTimeout)), //nolint:forbidigo // the wire wants a wall-clock deadline
		}
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
