package rest

import (
	"errors"
	"net/http"
	"time"
)

// pieceBytes is how much of an answer a client must read within the patience.
const pieceBytes = 64 << 10

// delivery writes an answer piece by piece, each with a deadline of its own: whoever
// does not read is cut off, and whoever reads slowly gets all of it.
type delivery struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	now      func() time.Time
	patience time.Duration
}

func (a *Audit) deliver(w http.ResponseWriter) *delivery {
	return &delivery{w: w, control: http.NewResponseController(w), now: a.views.Now, patience: a.limits.Patience}
}

func (d *delivery) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		piece := p[:min(len(p), pieceBytes)]
		if err := d.extend(); err != nil {
			return written, err
		}
		n, err := d.w.Write(piece) //nolint:gosec // no HTML: the media type is set, and nosniff
		written += n
		if err != nil {
			return written, err
		}
		p = p[len(piece):]
	}
	return written, nil
}

// flush sends what was written.
func (d *delivery) flush() error {
	if err := d.extend(); err != nil {
		return err
	}
	return d.control.Flush()
}

// extend lets the next piece take as long as any.
func (d *delivery) extend() error {
	err := d.control.SetWriteDeadline(d.now().Add(d.patience))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
