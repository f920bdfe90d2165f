package report

import (
	"context"
	"time"
)

// Make makes the document that is asked for. Its contents are read from v while it is
// written, in ctx; now is when it was made, and seen hears how many events were read. The
// request must have been checked. log proves the events that it shows; without, which
// is nil, the document says that there is none.
func Make(ctx context.Context, v Views, log Log, r Request, now time.Time, seen func(events int)) (Document, error) {
	switch r.Kind {
	case Order:
		return chain(ctx, v, log, r, now, seen)
	case Daily:
		return daily(ctx, v, log, r, now, seen)
	case Compliance:
		return compliance(ctx, v, log, r, now, seen)
	default:
		return history(ctx, v, log, r, now, seen)
	}
}
