package embedded

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

// channel connects the node with its own process: the protocol's stubs and the
// node's handlers meet without socket, HTTP/2 frames and headers. Messages cross
// it encoded, so the two sides never share what one of them may still change.
type channel struct {
	services map[string]registered

	// ctx ends the calls that still run when the node has waited long enough.
	ctx    context.Context //nolint:containedctx // ends with the node
	cancel context.CancelFunc

	mu      sync.Mutex
	closing bool           // no new calls
	calls   sync.WaitGroup // added to under mu, while not closing
}

// registered is a service with its implementation.
type registered struct {
	desc *grpc.ServiceDesc
	impl any
}

func newChannel() *channel {
	c := &channel{services: make(map[string]registered)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// RegisterService implements grpc.ServiceRegistrar.
func (c *channel) RegisterService(desc *grpc.ServiceDesc, impl any) {
	c.services[desc.ServiceName] = registered{desc: desc, impl: impl}
}

// close refuses new calls and waits for the others. After cancel they end soon.
func (c *channel) close() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.calls.Wait()
}

// begin counts a call, which ends with its end.
func (c *channel) begin(ctx context.Context) (*call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, status.Error(codes.Unavailable, ErrClosed.Error())
	}
	c.calls.Add(1)
	l := &call{channel: c, client: ctx, up: newPipe(), down: newPipe()}
	l.server, l.cancel = context.WithCancel(ctx)
	l.uncouple = context.AfterFunc(c.ctx, l.cancel) //nolint:contextcheck // the channel's own, on purpose
	return l, nil
}

// handler finds the one of a method such as "/package.Service/Method".
func (c *channel) handler(method string) (func(grpc.ServerStream) error, error) {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	r, ok := c.services[service]
	if ok {
		for i := range r.desc.Streams {
			if m := &r.desc.Streams[i]; m.StreamName == name {
				return func(stream grpc.ServerStream) error { return m.Handler(r.impl, stream) }, nil
			}
		}
		for i := range r.desc.Methods {
			if m := &r.desc.Methods[i]; m.MethodName == name {
				return func(stream grpc.ServerStream) error { return unary(m, r.impl, stream) }, nil
			}
		}
	}
	return nil, status.Errorf(codes.Unimplemented, "unknown method %s", method)
}

// unary handles a call of one message each way.
func unary(m *grpc.MethodDesc, impl any, stream grpc.ServerStream) error {
	ctx := grpc.NewContextWithServerTransportStream(stream.Context(), unaryEnd{stream, m.MethodName})
	resp, err := m.Handler(impl, ctx, stream.RecvMsg, nil)
	if err != nil {
		return err
	}
	return stream.SendMsg(resp)
}

// Invoke implements grpc.ClientConnInterface.
func (c *channel) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // of what can't be sent, the handler would wait for ever
	stream, err := c.NewStream(ctx, &grpc.StreamDesc{}, method, opts...)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(args); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(reply)
}

// NewStream implements grpc.ClientConnInterface.
func (c *channel) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	handle, err := c.handler(method) //nolint:contextcheck // the handler takes that of its stream
	if err != nil {
		return nil, err
	}
	l, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	go func() {
		err := handlerError(ctx, handle(serverEnd{l}))
		if err == nil {
			err = io.EOF
		}
		l.up.end(io.EOF)
		l.down.end(err)
		l.end()
	}()
	return &clientEnd{call: l, opts: opts, single: !desc.ServerStreams}, nil
}

// handlerError is how a client sees a handler's error.
func handlerError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	default:
		return status.Convert(wireError(err)).Err()
	}
}

// call is one call. Its client and its handler have an end each.
type call struct {
	channel  *channel
	client   context.Context //nolint:containedctx // the caller's
	server   context.Context //nolint:containedctx // ends with client, with end, or with the node
	cancel   context.CancelFunc
	uncouple func() bool
	up, down *pipe // to the handler, and back

	mu              sync.Mutex
	header, trailer metadata.MD
}

func (l *call) end() {
	l.uncouple()
	l.cancel()
	l.channel.calls.Done()
}

// clientEnd implements grpc.ClientStream.
type clientEnd struct {
	*call
	opts   []grpc.CallOption
	single bool // there is one answer, and the call ends with it
}

func (e *clientEnd) Context() context.Context { return e.client }

func (e *clientEnd) SendMsg(m any) error {
	message, err := wire.Encode(m)
	if err != nil {
		return err
	}
	return pipeError(e.up.put(e.client, message))
}

func (e *clientEnd) CloseSend() error {
	e.up.end(io.EOF)
	return nil
}

func (e *clientEnd) RecvMsg(m any) error {
	message, err := e.down.take(e.client)
	if err != nil {
		return e.ended(err)
	}
	if err := wire.Decode(message, m); err != nil || !e.single {
		return err
	}
	if _, err = e.down.take(e.client); errors.Is(err, io.EOF) {
		_ = e.ended(err)
		return nil
	}
	return e.ended(err)
}

// ended gives header and trailer to those who asked for them when they called. It
// runs on the caller's goroutine: where they are written to belongs to the caller.
func (e *clientEnd) ended(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, opt := range e.opts {
		switch o := opt.(type) {
		case grpc.HeaderCallOption:
			*o.HeaderAddr = e.header
		case grpc.TrailerCallOption:
			*o.TrailerAddr = e.trailer
		}
	}
	return pipeError(err)
}

// pipeError is how a client sees the end of its own context.
func pipeError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	return err
}

func (e *clientEnd) Header() (metadata.MD, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.header, nil
}

func (e *clientEnd) Trailer() metadata.MD {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.trailer
}

// serverEnd implements grpc.ServerStream.
type serverEnd struct{ *call }

func (e serverEnd) Context() context.Context { return e.server }

func (e serverEnd) SendMsg(m any) error {
	message, err := wire.Encode(m)
	if err != nil {
		return err
	}
	return e.down.put(e.server, message)
}

func (e serverEnd) RecvMsg(m any) error {
	message, err := e.up.take(e.server)
	if err != nil {
		return err
	}
	return wire.Decode(message, m)
}

func (e serverEnd) SetHeader(md metadata.MD) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.header = metadata.Join(e.header, md)
	return nil
}

func (e serverEnd) SendHeader(md metadata.MD) error { return e.SetHeader(md) }

func (e serverEnd) SetTrailer(md metadata.MD) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trailer = metadata.Join(e.trailer, md)
}

// unaryEnd implements grpc.ServerTransportStream, through which unary handlers
// set their trailers.
type unaryEnd struct {
	grpc.ServerStream
	method string
}

func (e unaryEnd) Method() string { return e.method }

func (e unaryEnd) SetTrailer(md metadata.MD) error {
	e.ServerStream.SetTrailer(md)
	return nil
}
