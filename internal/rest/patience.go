package rest

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"time"
)

// Patience is how long a client of a server may take to read one piece of an answer.
const Patience = 30 * time.Second

// pieceBytes is how much of an answer a client must read within the patience.
const pieceBytes = 64 << 10

// Patient writes every answer piece by piece, each of at most 64 KiB and with a
// deadline of its own: whoever does not read is cut off, and whoever reads slowly gets
// all of it. A handler that sets a deadline for writing itself, or hijacks the
// connection, decides alone from then on.
func Patient(next http.Handler, patience time.Duration, now func() time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &pieces{ResponseWriter: w, control: http.NewResponseController(w), patience: patience, now: now}
		// A connection that is used again has the deadline of the answer before. What
		// is sent when next has returned needs one as well.
		p.extend()
		defer p.extend()
		next.ServeHTTP(p, r)
	})
}

// pieces is a response writer with a deadline for each piece.
type pieces struct {
	http.ResponseWriter

	control  *http.ResponseController
	patience time.Duration
	now      func() time.Time

	mu    sync.Mutex
	taken bool // the handler sets the deadlines
}

// extend lets the next piece take as long as any. An error shows when it is written.
func (p *pieces) extend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.taken {
		_ = p.control.SetWriteDeadline(p.now().Add(p.patience))
	}
}

func (p *pieces) Write(b []byte) (int, error) {
	for written := 0; ; {
		piece := b[written:min(len(b), written+pieceBytes)]
		p.extend()
		n, err := p.ResponseWriter.Write(piece)
		written += n
		if err != nil || written == len(b) {
			return written, err
		}
	}
}

// FlushError is what http.ResponseController calls.
func (p *pieces) FlushError() error {
	p.extend()
	return p.control.Flush()
}

func (p *pieces) Flush() { _ = p.FlushError() } // http.Flusher can't tell

func (p *pieces) SetWriteDeadline(deadline time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = true
	return p.control.SetWriteDeadline(deadline)
}

func (p *pieces) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn, buffered, err := p.control.Hijack()
	p.taken = p.taken || err == nil
	return conn, buffered, err
}

func (p *pieces) Unwrap() http.ResponseWriter { return p.ResponseWriter }
