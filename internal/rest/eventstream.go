package rest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest"
)

// bodyPatience is how long the next whole line of a stream may take to come.
const bodyPatience = time.Minute

// slicesUnderWay are begun and not answered yet, of one stream, at most: one that is
// waited for, one that can't be put behind the others, and those between.
const slicesUnderWay = 10

const codeStalled = "stalled"

// Why a stream ends before its client has ended it.
var (
	errStalled  = domain.Rejectf(codeStalled, "", "no whole line came for a minute")
	errStopping = &domain.Error{Class: domain.ClassTransient, Code: "stopping", Message: "the server is stopping"}
)

// stream records NDJSON as it comes, in slices of at most 64 KiB. Several slices
// are under way at a time, and no more: when the store, or the client in reading its
// receipts, is slow, no more of the body is read.
//
// Whoever accepts NDJSON gets a receipt a line, in order, and a last line with the
// totals, which says complete if all that was sent was taken. Without that line the
// answer is not whole. Others get one answer at the end.
func (d *Door) stream(w http.ResponseWriter, r *http.Request, body io.Reader, account *account, source string) {
	begin, err := d.recorder.Sequence(r.Context(), source)
	if err != nil {
		writeProblem(w, r, d.log, problemOf(err))
		return
	}
	control := http.NewResponseController(w)
	slow := &deadlined{in: body, control: control, now: d.now}
	lines, err := account.meterLines(slow)
	defer lines.give()
	if err != nil {
		writeProblem(w, r, d.log, problemOf(err))
		return
	}
	var out streamAnswer = &collected{}
	if media, _ := negotiate(r, mediaJSON, mediaLines); media == mediaLines {
		if !r.ProtoAtLeast(1, 1) {
			writeProblem(w, r, d.log, newProblem(http.StatusHTTPVersionNotSupported, codeVersion, "receipts as NDJSON need HTTP/1.1"))
			return
		}
		_ = control.EnableFullDuplex() // HTTP/2 always is
		// Behind a body that is not read to its end, net/http can't go on after this.
		w.Header().Set("Connection", "close")
		out = &streamed{w: w, control: control}
		out.begin()
	}
	reading, stopReading := context.WithCancelCause(r.Context())
	defer stopReading(nil)
	defer context.AfterFunc(d.stop, func() { stopReading(errStopping) })() //nolint:contextcheck // the stop ends streams, too
	slow.ctx = reading
	// Reading ends at once, whatever it waits for.
	defer context.AfterFunc(reading, slow.interrupt)()

	// What was read is recorded, whether its sender is still there or not.
	recording := context.WithoutCancel(r.Context())

	slices := make(chan slice, 1)
	calls := make(chan underWay, slicesUnderWay-2)
	var wg sync.WaitGroup
	var unread error // why reading ended; nil at the end of the body
	wg.Go(func() {
		defer close(slices)
		unread = read(reading, slow, lines, account, slices)
	})
	wg.Go(func() {
		defer close(calls)
		for s := range slices {
			calls <- underWay{begin(recording, s.items), s}
		}
	})
	for c := range calls {
		receipts, recordErr := c.wait()
		if err == nil {
			out.add(receipts, len(calls) == 0)
		}
		c.slice.give()
		if err == nil {
			if err = recordErr; err == nil {
				err = out.err()
			}
			if err != nil {
				stopReading(err)
			}
		}
	}
	wg.Wait()
	if err == nil {
		err = unread
	}
	out.end(r, d.log, w, err)
}

// slice is a part of a stream, with the memory that it takes.
type slice struct {
	items []ingest.Item
	give  func()
}

type underWay struct {
	wait  ingest.Wait
	slice slice
}

// read cuts the body into slices.
func read(ctx context.Context, body *deadlined, unfinished *metered, account *account, to chan<- slice) error {
	for lines := ingest.NewLines(unfinished); ; {
		body.restart()
		unfinished.restart()
		items, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errStalled):
			return errStalled
		case err != nil && context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		size := int64(0)
		for i := range items {
			size += int64(len(items[i].Raw))
		}
		give, err := account.wait(ctx, size)
		if err != nil {
			return context.Cause(ctx)
		}
		select {
		case to <- slice{items, give}:
		case <-ctx.Done():
			give()
			return context.Cause(ctx)
		}
	}
}

// deadlined reads from a connection with a deadline, which restart puts off. Behind
// the end of the body there is none: the server listens there for the client to go
// away, and would take a deadline for that.
type deadlined struct {
	in      io.Reader
	ctx     context.Context //nolint:containedctx // of the reading
	control *http.ResponseController
	now     func() time.Time

	mu       sync.Mutex
	deadline time.Time
	ended    bool
}

func (d *deadlined) restart() { d.until(d.now().Add(bodyPatience)) }

// interrupt ends a Read that is waiting.
func (d *deadlined) interrupt() { d.until(time.Unix(1, 0)) }

func (d *deadlined) until(deadline time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		deadline = time.Unix(1, 0)
	} else {
		d.deadline = deadline
	}
	if !d.ended {
		_ = d.control.SetReadDeadline(deadline) // where there is none, the server's own counts
	}
}

// late reports whether it was our deadline that a Read has met.
func (d *deadlined) late() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.now().Before(d.deadline)
}

func (d *deadlined) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	_ = d.control.SetReadDeadline(time.Time{})
}

func (d *deadlined) Read(p []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := d.in.Read(p)
	if bytes.IndexByte(p[:n], '\n') >= 0 {
		d.restart() // a blank line, which gives no slice, is one too
	}
	switch {
	case errors.Is(err, io.EOF):
		d.end()
	case isTimeout(err) && d.late():
		err = errStalled
	}
	return n, err
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout()
}

// streamAnswer is how the receipts of a stream are given.
type streamAnswer interface {
	begin()
	// add gives the next receipts; last says that none are ready behind them.
	add(receipts []ingest.Receipt, last bool)
	// err says why no more receipts can be given.
	err() error
	end(r *http.Request, log *slog.Logger, w http.ResponseWriter, err error)
}

// collected is one answer, at the end.
type collected struct{ answer answer }

func (c *collected) begin()     {}
func (c *collected) err() error { return nil }

func (c *collected) add(receipts []ingest.Receipt, _ bool) {
	if c.answer.problem.Status == 0 {
		c.answer.problem.Status = http.StatusOK
	}
	c.answer.add(receipts)
}

func (c *collected) end(r *http.Request, log *slog.Logger, w http.ResponseWriter, err error) {
	if c.answer.problem.Status == 0 {
		c.answer.problem.Status = http.StatusOK
	}
	switch e, ours := errors.AsType[*domain.Error](err); {
	case err == nil:
	case ours && e.Class != domain.ClassRejected:
		c.answer.interrupted(r, err, log)
	default:
		c.answer.problem = unreadable(err)
	}
	if c.answer.counts.Receipts == nil {
		c.answer.counts.Receipts = []receipt{}
	}
	c.answer.write(w, r, log)
}

// streamed is a receipt a line.
type streamed struct {
	w       http.ResponseWriter
	control *http.ResponseController
	answer  answer // for its counts
	buf     []byte
	failed  error
	lines   int
}

func (s *streamed) err() error { return s.failed }

func (s *streamed) begin() {
	s.answer.problem.Status = http.StatusOK
	s.w.Header().Set("Content-Type", mediaLines)
	s.w.Header().Set("X-Content-Type-Options", "nosniff")
	s.w.WriteHeader(http.StatusOK)
	s.failed = s.control.Flush()
}

func (s *streamed) add(receipts []ingest.Receipt, last bool) {
	s.buf = s.buf[:0]
	for i := range receipts {
		out := s.answer.tally(&receipts[i])
		s.buf = out.appendTo(s.buf)
	}
	s.lines += len(receipts)
	_, s.failed = s.w.Write(s.buf)
	if s.failed == nil && last {
		s.failed = s.control.Flush()
	}
}

// totals is the last line.
type totals struct {
	Receipts  int      `json:"receipts"`
	Recorded  int      `json:"recorded"`
	Duplicate int      `json:"duplicate"`
	Rejected  int      `json:"rejected"`
	Complete  bool     `json:"complete"` // everything that was sent has its receipt, with a status
	Problem   *problem `json:"problem,omitzero"`
}

func (s *streamed) end(r *http.Request, log *slog.Logger, _ http.ResponseWriter, err error) {
	if s.failed != nil {
		log.DebugContext(r.Context(), "receipts not delivered", slog.Any("error", s.failed))
		return
	}
	t := totals{
		Receipts: s.lines, Recorded: s.answer.counts.Recorded, Duplicate: s.answer.counts.Duplicate, Rejected: s.answer.counts.Rejected,
		Complete: err == nil,
	}
	if err != nil {
		p := unreadable(err)
		t.Problem = &p
		log.InfoContext(r.Context(), "a stream of events ended early", slog.Any("error", err))
	}
	line, encodeErr := json.Marshal(t, jsontext.AllowInvalidUTF8(true))
	if encodeErr == nil {
		_, encodeErr = s.w.Write(append(line, '\n'))
	}
	if encodeErr != nil {
		log.DebugContext(r.Context(), "totals not delivered", slog.Any("error", encodeErr))
	}
}
