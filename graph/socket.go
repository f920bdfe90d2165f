package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gorilla/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"golang.org/x/time/rate"
)

// socket is the transport graphql-transport-ws. Unlike gqlgen's it bounds messages
// and writes, keeps to the protocol's close codes, and asks clients to come back
// when the service stops.
//
// A subscription begins before the next message of its connection is read: who
// sends ping after subscribe, and has got pong, gets every event that is recorded
// from then on.
type socket struct{ live *live }

// Supports says whether a request is for a WebSocket.
func (socket) Supports(r *http.Request) bool { return websocket.IsWebSocketUpgrade(r) }

// Do serves a connection until it ends. Its operations, and what follows events for
// them, have ended then; a timer that fires at that moment finds it closed.
func (s socket) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	release, err := s.live.connections.take(r.Context())
	if err != nil {
		refuse(w, http.StatusTooManyRequests, refusal(r.Context(), exec, err))
		return
	}
	defer release()
	upgrader := websocket.Upgrader{Subprotocols: []string{subprotocol}} // other origins are refused
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	c := &connection{ctx: ctx, live: s.live, exec: exec, conn: conn, headers: r.Header, active: make(map[string]*operation), messages: rate.NewLimiter(rate.Limit(s.live.MessagesPerSecond), s.live.MessagesAtOnce)}
	c.serve(ctx, cancel)
}

// connection is one WebSocket.
type connection struct {
	ctx     context.Context //nolint:containedctx // the connection's: operations that end with it say nothing
	live    *live
	exec    graphql.GraphExecutor
	conn    *websocket.Conn
	headers http.Header

	sending sync.Mutex // held while a message is written

	mu     sync.Mutex
	active map[string]*operation
	ending bool // the close frame is sent, or about to be
	acked  bool
	taking time.Time // until then the client may be busy with a large message, and our ping be behind it

	operations sync.WaitGroup

	messages *rate.Limiter // belongs to serve
}

// operation is one that is under way.
type operation struct {
	id      string
	cancel  context.CancelFunc
	release func()
}

// errOver ends serve where the client is to be told nothing more.
var errOver = errors.New("the connection is over")

func (c *connection) serve(ctx context.Context, cancel context.CancelFunc) {
	restarting := context.AfterFunc(ctx, func() { c.end(websocket.CloseServiceRestart, "the service stops; come back") })
	waiting := time.AfterFunc(c.live.InitWithin, func() {
		if !c.ready() {
			c.end(closeInitTimeout, "Connection initialisation timeout")
		}
	})
	alive := c.keepAlive()
	defer func() {
		restarting()
		waiting.Stop()
		alive()
		cancel()
		_ = c.conn.Close() // a write that hangs ends too
		c.operations.Wait()
	}()
	c.conn.SetReadLimit(c.live.MessageBytes)
	if c.conn.Subprotocol() != subprotocol {
		c.end(closeSubprotocol, "Subprotocol not acceptable")
	}
	c.expect()
	for {
		kind, text, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		if c.over() {
			continue // until the client has closed too, or CloseWithin
		}
		c.expect()
		switch {
		case !c.messages.AllowN(c.live.Now(), 1):
			c.end(websocket.ClosePolicyViolation, fmt.Sprintf("more than %d messages a second", c.live.MessagesPerSecond))
		case kind != websocket.TextMessage:
			c.end(closeBadRequest, "Invalid message: not a text")
		default:
			c.take(ctx, text)
		}
	}
}

// expect gives the client time until it must show a sign of life.
func (c *connection) expect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending {
		from := c.live.Now()
		if c.taking.After(from) {
			from = c.taking
		}
		_ = c.conn.SetReadDeadline(from.Add(2 * c.live.KeepAlive)) // a connection without has ended
	}
}

func (c *connection) ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acked
}

// over reports whether the client is told nothing more. It would take the end of an
// operation that the stop ends for one that it need not come back for.
func (c *connection) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending || c.ctx.Err() != nil
}

// take does what a message asks for.
func (c *connection) take(ctx context.Context, text []byte) {
	m, err := parseMessage(text)
	if err != nil {
		c.end(closeBadRequest, "Invalid message: "+err.Error())
		return
	}
	switch m.Type {
	case "connection_init":
		c.mu.Lock()
		again := c.acked
		c.acked = true
		c.mu.Unlock()
		if again {
			c.end(closeTooManyInits, "Too many initialisation requests")
			return
		}
		c.send([]byte(`{"type":"connection_ack"}`), nil)
	case "ping":
		c.send([]byte(`{"type":"pong"}`), nil)
	case "pong":
	case "subscribe":
		c.subscribe(ctx, m)
	case "complete":
		if op := c.remove(m.ID, nil); op != nil {
			op.cancel()
		}
	default:
		c.end(closeBadRequest, fmt.Sprintf("Invalid message: unknown type %.32q", m.Type))
	}
}

// subscribe begins an operation. The resolver of a subscription has taken its
// place in the log when this returns.
func (c *connection) subscribe(ctx context.Context, m message) {
	if !c.ready() {
		c.end(closeUnauthorized, "Unauthorized")
		return
	}
	params, err := readBody(m.Payload)
	if err != nil || m.ID == "" || checkParams(params) != nil {
		c.end(closeBadRequest, "Invalid message: subscribe needs an id and a payload with a query")
		return
	}
	ctx = graphql.StartOperationTrace(ctx)
	params.Headers = c.headers
	now := c.live.Now()
	params.ReadTime = graphql.TraceTiming{Start: now, End: now}

	ctx, cancel := context.WithCancel(ctx)
	op := &operation{id: m.ID, cancel: cancel, release: func() {}}
	switch err := c.begin(op); {
	case errors.Is(err, errOver):
		cancel()
		return
	case err != nil:
		cancel()
		c.send(reply("error", op.id, encodeErrors(refusal(ctx, c.exec, err))), nil)
		return
	}
	opCtx, problems := c.exec.CreateOperationContext(ctx, params)
	if len(problems) > 0 {
		c.finish(op, c.exec.DispatchError(graphql.WithOperationContext(ctx, opCtx), problems).Errors)
		return
	}
	if opCtx.Operation.Operation == ast.Subscription {
		release, err := c.live.subscriptions.take(ctx)
		if err != nil {
			c.finish(op, refusal(ctx, c.exec, err))
			return
		}
		op.release = release
	}
	ctx, result := withOutcome(graphql.WithOperationContext(ctx, opCtx))
	responses, ctx := c.exec.DispatchOperation(ctx, opCtx)
	c.operations.Go(func() {
		var problems gqlerror.List
		defer func() {
			if cause := recover(); cause != nil {
				problems = gqlerror.List{gqlerror.WrapIfUnwrapped(opCtx.Recover(ctx, cause))}
			}
			cancel()
			if ended := result.errors(); len(problems) == 0 {
				problems = ended
			}
			c.finish(op, problems)
		}()
		for response := responses(ctx); response != nil; response = responses(ctx) {
			if problems = incomplete(opCtx, response); len(problems) > 0 || !c.deliver(ctx, op, response) {
				return
			}
		}
	})
}

// begin makes an operation one of those under way.
func (c *connection) begin(op *operation) error {
	c.mu.Lock()
	_, taken := c.active[op.id]
	full := len(c.active) >= c.live.OperationsPerConnection
	if !taken && !full {
		c.active[op.id] = op
	}
	c.mu.Unlock()
	switch {
	case taken:
		c.end(closeDuplicate, "Subscriber for "+op.id+" already exists")
		return errOver
	case full:
		return tooMany("subscriptions", fmt.Sprintf("%d operations are under way on this connection, and no more are taken", c.live.OperationsPerConnection))
	default:
		return nil
	}
}

// remove takes an operation out of those under way: whichever has the id, or only
// that one.
func (c *connection) remove(id string, only *operation) *operation {
	c.mu.Lock()
	defer c.mu.Unlock()
	op := c.active[id]
	if op == nil || only != nil && op != only {
		return nil
	}
	delete(c.active, id)
	return op
}

// finish ends an operation by itself: the client is told, unless it has ended it.
func (c *connection) finish(op *operation, problems gqlerror.List) {
	op.cancel()
	op.release()
	text := reply("complete", op.id, nil)
	if len(problems) > 0 {
		text = reply("error", op.id, encodeErrors(problems))
	}
	// The id is free before the client hears of it.
	if !c.send(text, func() bool { return c.remove(op.id, op) != nil }) {
		c.remove(op.id, op)
	}
}

// deliver sends a response; false when nobody wants more.
func (c *connection) deliver(ctx context.Context, op *operation, response *graphql.Response) bool {
	payload, err := encodeResponse(response)
	if err != nil {
		c.live.log.ErrorContext(ctx, "encoding a response failed", slog.Any("error", err))
		return false
	}
	if ctx.Err() != nil {
		return false
	}
	return c.send(reply("next", op.id, payload), func() bool { return c.underWay(op) })
}

// underWay reports whether nobody has ended an operation yet. Its id may already
// be another's.
func (c *connection) underWay(op *operation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active[op.id] == op
}

// send writes a message if it is still wanted when its turn has come, or waits until
// the client has room for it. One that makes none for WriteWithin is cut off.
func (c *connection) send(text []byte, wanted func() bool) bool {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.over() || wanted != nil && !wanted() {
		return false
	}
	by := c.live.writeBy(len(text))
	_ = c.conn.SetWriteDeadline(by) // it fails for no connection of ours
	if len(text) > writeUnit {
		c.mu.Lock()
		c.taking = by
		c.mu.Unlock()
		c.expect()
	}
	if c.conn.WriteMessage(websocket.TextMessage, text) != nil {
		if !c.over() { // who ends it closes it
			_ = c.conn.Close() // and serve ends
		}
		return false
	}
	return true
}

// keepAlive pings, until stop is called.
func (c *connection) keepAlive() (stop func()) {
	var mu sync.Mutex
	stopped := false
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(c.live.KeepAlive, func() {
		if c.ready() {
			c.send([]byte(`{"type":"ping"}`), nil)
		}
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			timer.Reset(c.live.KeepAlive)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// end closes the connection with a code. What is under way ends, and serve soon.
func (c *connection) end(code int, reason string) {
	c.mu.Lock()
	if c.ending {
		c.mu.Unlock()
		return
	}
	c.ending = true
	for _, op := range c.active {
		op.cancel()
	}
	c.mu.Unlock()
	until := c.live.Now().Add(c.live.CloseWithin)
	if len(reason) > maxCloseReasonBytes {
		reason = strings.ToValidUTF8(reason[:maxCloseReasonBytes], "") // half a character is left out
	}
	// The client answers with a close frame, which serve reads. To close at once
	// could throw ours away before it is read.
	err := c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), until)
	if err != nil {
		_ = c.conn.Close()
		return
	}
	_ = c.conn.SetReadDeadline(until)
}
