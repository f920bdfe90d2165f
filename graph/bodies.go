package graph

import (
	"context"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/tradetrail/tradetrail/ingest"
)

// The bounds of bodies that are under way. What a body is decoded to may take forty
// times its bytes, until it is answered, and waiting for a turn comes later.
const (
	smallBody    = 64 << 10 // waits for nobody
	bigBodies    = 32 << 20 // bytes of larger ones together
	bodyPatience = 10 * time.Second
)

// bodies bounds how many bytes of bodies are read, decoded and executed at a time.
type bodies struct {
	places *semaphore.Weighted
	wait   time.Duration
}

func newBodies(total int64, wait time.Duration) *bodies {
	return &bodies{semaphore.NewWeighted(total), wait}
}

// bounded has bodies take their place before more than smallBody of them is read.
// The server's read timeout bounds how long a slow sender keeps one. A subscription
// keeps what it was asked with as long as it lasts, so over server-sent events
// bodies are small, as messages over a WebSocket are.
func (b *bodies) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (stream{}).Supports(r) {
			r.Body = http.MaxBytesReader(w, r.Body, smallBody)
			next.ServeHTTP(w, r)
			return
		}
		size := int64(ingest.MaxBodyBytes)
		if r.ContentLength >= 0 {
			size = min(r.ContentLength, size)
		}
		held := &heldBody{ReadCloser: r.Body, ctx: r.Context(), of: b, size: size, free: smallBody}
		defer held.release()
		r.Body = held
		next.ServeHTTP(w, r)
	})
}

// heldBody is a body that takes a place once it turns out to be big.
type heldBody struct {
	io.ReadCloser

	ctx  context.Context //nolint:containedctx // of the request, as the body is
	of   *bodies
	size int64
	free int // bytes that need no place
	held bool
}

// Read reads on, in its place.
func (b *heldBody) Read(p []byte) (int, error) {
	if b.free == 0 && !b.held {
		ctx, cancel := context.WithTimeout(b.ctx, b.of.wait)
		defer cancel()
		if b.of.places.Acquire(ctx, b.size) != nil {
			return 0, errOverloaded
		}
		b.held = true
	}
	if !b.held {
		p = p[:min(len(p), b.free)]
	}
	n, err := b.ReadCloser.Read(p)
	b.free = max(b.free-n, 0)
	return n, err
}

func (b *heldBody) release() {
	if b.held {
		b.of.places.Release(b.size)
	}
}
