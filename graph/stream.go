package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// stream is the transport of server-sent events, in the distinct connections mode
// of https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md.
//
// The header of the answer is sent when a subscription has taken its place in the
// log: who has it gets every event that is recorded from then on. Errors before
// that come as an event, as the protocol has it. A stream that ends without the
// event complete was cut off, and clients come back.
type stream struct {
	requests

	live *live
}

const eventStream = "text/event-stream"

// Supports says whether a request is for server-sent events.
func (stream) Supports(r *http.Request) bool {
	if !strings.Contains(r.Header.Get("Accept"), eventStream) || r.Header.Get("Upgrade") != "" {
		return false
	}
	if r.Method == http.MethodGet {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && r.Method == http.MethodPost && mediaType == "application/json"
}

// Do runs one operation.
func (s stream) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	ctx := r.Context()
	params, status, err := s.read(r)
	if err != nil {
		refuse(w, status, refusal(ctx, exec, err))
		return
	}
	params.Headers = r.Header
	release, err := s.live.connections.take(ctx)
	if err != nil {
		refuse(w, http.StatusTooManyRequests, refusal(ctx, exec, err))
		return
	}
	defer release()
	out := &sender{ctx: ctx, live: s.live, w: w, control: http.NewResponseController(w)}
	defer context.AfterFunc(ctx, out.hurry)()
	opCtx, problems := exec.CreateOperationContext(ctx, params)
	ctx = graphql.WithOperationContext(ctx, opCtx)
	if len(problems) > 0 {
		out.finish(exec.DispatchError(ctx, problems).Errors)
		return
	}
	switch opCtx.Operation.Operation {
	case ast.Subscription:
		release, err := s.live.subscriptions.take(ctx)
		if err != nil {
			out.finish(refusal(ctx, exec, err))
			return
		}
		defer release()
	case ast.Mutation:
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			refuse(w, http.StatusMethodNotAllowed, refusal(ctx, exec, reject(codeMethod, "a GET executes queries and subscriptions only: POST mutations")))
			return
		}
	case ast.Query:
	}
	// Whoever can't be written to any more is followed no longer.
	ctx, cancel := context.WithCancel(ctx)
	ctx, result := withOutcome(ctx)
	defer result.following.Wait()
	defer cancel()
	responses, ctx := exec.DispatchOperation(ctx, opCtx)
	if !out.begin() {
		return
	}
	alive := out.keepAlive()
	defer alive()
	for response := responses(ctx); response != nil; response = responses(ctx) {
		if problems = incomplete(opCtx, response); len(problems) > 0 {
			break
		}
		if !out.next(response) {
			return
		}
	}
	if ctx.Err() != nil {
		out.cut()
		return
	}
	if len(problems) == 0 {
		problems = result.errors()
	}
	out.finish(problems)
}

// refuse answers a request of which no operation was begun.
func refuse(w http.ResponseWriter, status int, problems gqlerror.List) {
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"errors":` + string(encodeErrors(problems)) + "}\n")) // who does not read it knows the status
}

// sender writes events to one client.
type sender struct {
	ctx     context.Context //nolint:containedctx // the request's: when it ends, nobody is waited for as long
	live    *live
	w       http.ResponseWriter
	control *http.ResponseController

	mu    sync.Mutex // held while something is written
	begun bool
	over  bool // nothing may be written any more
}

// begin sends the header.
func (s *sender) begin() bool {
	s.begun = true
	header := s.w.Header()
	header.Set("Content-Type", eventStream+"; charset=utf-8")
	header.Set("Cache-Control", "no-cache")
	header.Set("X-Accel-Buffering", "no") // proxies pass events on at once
	return s.write([]byte(":\n\n"))
}

func (s *sender) next(response *graphql.Response) bool {
	payload, err := encodeResponse(response)
	if err != nil {
		return s.event("next", []byte(`{"errors":[{"message":"internal error"}]}`))
	}
	return s.event("next", payload)
}

// event sends one whose data is JSON.
func (s *sender) event(kind string, data []byte) bool {
	if bytes.ContainsAny(data, "\r\n") { // blanks of JSON that somebody recorded; a line ends the data
		var compact bytes.Buffer
		if json.Compact(&compact, data) == nil {
			data = compact.Bytes()
		}
	}
	text := make([]byte, 0, len(kind)+len(data)+18)
	text = append(text, "event: "...)
	text = append(text, kind...)
	text = append(text, "\ndata: "...)
	text = append(text, data...)
	return s.write(append(text, "\n\n"...))
}

// finish ends the stream for good.
func (s *sender) finish(problems gqlerror.List) {
	if !s.begun && !s.begin() {
		return
	}
	if len(problems) > 0 {
		s.event("next", []byte(`{"errors":`+string(encodeErrors(problems))+"}"))
	}
	s.event("complete", nil)
}

// hurry leaves the client CloseWithin to take what is being written.
func (s *sender) hurry() {
	_ = s.control.SetWriteDeadline(s.live.Now().Add(s.live.CloseWithin)) // it fails for what is closed
}

// write sends text, or waits until the client has room for it; not for longer than
// WriteWithin for each 64 KiB.
func (s *sender) write(text []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	_ = s.control.SetWriteDeadline(s.live.writeBy(len(text))) // without one it waits for the server's
	if s.ctx.Err() != nil {
		s.hurry() // it may have been done, and undone by the line above
	}
	_, err := s.w.Write(text)
	if err == nil {
		err = s.control.Flush()
	}
	s.over = err != nil
	return err == nil
}

// keepAlive sends comments, until stop is called: nothing is written afterwards.
func (s *sender) keepAlive() (stop func()) {
	var timer *time.Timer
	s.mu.Lock()
	defer s.mu.Unlock()
	timer = time.AfterFunc(s.live.KeepAlive, func() {
		if s.write([]byte(":\n\n")) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.over {
				timer.Reset(s.live.KeepAlive)
			}
		}
	})
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.over = true
		timer.Stop()
	}
}

// cut ends the connection in the middle of the answer. An answer that ended well
// would look complete to clients that don't know our events.
func (s *sender) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if conn, _, err := s.control.Hijack(); err == nil {
		_ = conn.Close()
	}
}
