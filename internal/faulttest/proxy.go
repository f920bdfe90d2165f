// Package faulttest is a gRPC proxy that fails on demand, for tests of what
// talks to an event store.
package faulttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// Message is one message that the proxy is about to pass on.
type Message struct {
	Method string // such as /event_store.client.streams.Streams/Append
	Answer bool   // from the server; else to it
	N      int    // of all messages in this direction, from 1
	Data   []byte // as on the wire
}

// Fault decides what becomes of a message: nil passes it on. An error swallows
// it, and the call ends with that error: the request has not reached the server
// then, or has been carried out and the answer is lost. It is called
// concurrently.
type Fault func(Message) error

// ErrCut is what a broken connection looks like.
var ErrCut = status.Error(codes.Unavailable, "connection cut")

// Proxy passes calls on to a backend, from an address that stays the same.
type Proxy struct {
	t       testing.TB
	path    string
	mu      sync.Mutex
	server  *grpc.Server // nil while down
	serving sync.WaitGroup
	backend grpc.ClientConnInterface
	hangUp  func() error // closes backend, if it is the proxy's own
	fault   Fault
	counts  [2]int
}

// New makes a proxy that is up; it ends with the test.
func New(t testing.TB, backend string) *Proxy {
	t.Helper()
	p := newProxy(t)
	p.Backend(backend)
	p.Up()
	return p
}

// Over makes a proxy in front of a connection, which stays its owner's: a socket
// for what has none.
func Over(t testing.TB, backend grpc.ClientConnInterface) *Proxy {
	t.Helper()
	p := newProxy(t)
	p.backend = backend
	p.Up()
	return p
}

func newProxy(t testing.TB) *Proxy {
	t.Helper()
	// Not t.TempDir: the names of tests may be longer than a socket's may be.
	dir, err := os.MkdirTemp("", "proxy") //nolint:usetesting // see above
	require.NoError(t, err)
	p := &Proxy{t: t, path: filepath.Join(dir, "s"), hangUp: func() error { return nil }}
	t.Cleanup(func() {
		p.Down()
		p.mu.Lock()
		defer p.mu.Unlock()
		_ = p.hangUp()
		_ = os.RemoveAll(dir)
	})
	return p
}

// Address is for grpc.NewClient.
func (p *Proxy) Address() string { return "unix://" + p.path }

// Backend changes where calls go.
func (p *Proxy) Backend(address string) {
	p.t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.hangUp()
	p.backend, p.hangUp = conn, conn.Close
}

// Inject sets what happens to messages from now on; nil for nothing.
func (p *Proxy) Inject(fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.counts = fault, [2]int{}
}

// Down cuts all connections and refuses new ones.
func (p *Proxy) Down() {
	p.mu.Lock()
	server := p.server
	p.server = nil
	p.mu.Unlock()
	if server != nil {
		server.Stop()
		p.serving.Wait()
	}
}

// Up takes connections again.
func (p *Proxy) Up() {
	p.t.Helper()
	_ = os.Remove(p.path)
	listener, err := new(net.ListenConfig).Listen(context.Background(), "unix", p.path)
	require.NoError(p.t, err)
	server := grpc.NewServer(grpc.UnknownServiceHandler(p.handle), grpc.ForceServerCodecV2(raw{}), grpc.WaitForHandlers(true), grpc.MaxRecvMsgSize(20<<20))
	p.mu.Lock()
	p.server = server
	p.mu.Unlock()
	p.serving.Go(func() { _ = server.Serve(listener) }) // ends with Stop
}

func (p *Proxy) decide(method string, answer bool, data []byte) error {
	p.mu.Lock()
	direction := 0
	if answer {
		direction = 1
	}
	p.counts[direction]++
	fault, n := p.fault, p.counts[direction]
	p.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(Message{Method: method, Answer: answer, N: n, Data: data})
}

func (p *Proxy) handle(_ any, in grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(in)
	ctx, cancel := context.WithCancel(in.Context())
	defer cancel()
	p.mu.Lock()
	backend := p.backend
	p.mu.Unlock()
	out, err := backend.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method,
		grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(20<<20))
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() {
		for {
			var message passed
			if err := in.RecvMsg(&message); err != nil {
				if errors.Is(err, io.EOF) {
					err = out.CloseSend()
				}
				if err != nil {
					ended <- err
				}
				return
			}
			if err := p.decide(method, false, message); err != nil {
				ended <- err
				return
			}
			if out.SendMsg(&message) != nil {
				return // the other direction knows why
			}
		}
	}()
	answered := make(chan struct{}) // after this handler, nothing may be sent
	defer func() {
		cancel()
		<-answered
	}()
	go func() {
		defer close(answered)
		for {
			var message passed
			if err := out.RecvMsg(&message); err != nil {
				in.SetTrailer(out.Trailer())
				if errors.Is(err, io.EOF) {
					err = nil
				}
				ended <- err
				return
			}
			if err := p.decide(method, true, message); err != nil {
				ended <- err
				return
			}
			if err := in.SendMsg(&message); err != nil {
				ended <- err
				return
			}
		}
	}()
	return <-ended
}

// passed is a message that goes through as it is, with any codec of ours.
type passed []byte

// MarshalBinary implements encoding.BinaryMarshaler.
func (m passed) MarshalBinary() ([]byte, error) { return m, nil }

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (m *passed) UnmarshalBinary(b []byte) error {
	*m = bytes.Clone(b)
	return nil
}

// raw is the codec of nothing but passed messages.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*passed)
	if !ok {
		return nil, errors.New("not a passed message")
	}
	return mem.BufferSlice{mem.SliceBuffer(*m)}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*passed)
	if !ok {
		return errors.New("not a passed message")
	}
	*m = data.Materialize()
	return nil
}
