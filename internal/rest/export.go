package rest

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
)

// exportEvents is how many events an export holds at a time.
const exportEvents = 256

// export writes all events of a search, page by page, up to where the read models
// stood when it began. A page is read when the client has taken the one before, so a
// slow client holds a page of memory and nothing else.
//
// Only the trailer says that it is whole: when anything fails, the connection is cut.
func (a *Audit) export(w http.ResponseWriter, r *http.Request, f format, search views.Query, find finder, none bool) error {
	if err := needsHTTP11(r); err != nil {
		return err
	}
	leave, err := a.exports.take(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	search.Limit = exportEvents
	page, err := a.exportPage(r.Context(), search, find, none)
	if err != nil {
		return err // nothing is sent yet
	}
	if err := a.tellParked(w, r); err != nil {
		return err
	}
	end := page.UpTo
	if !search.Backwards {
		search.Before = behind(end)
	}
	h := w.Header()
	h.Set("Content-Type", f.media)
	h.Set(headerPosition, end.String())
	h.Set("Trailer", headerComplete+", "+headerFailed)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	control := http.NewResponseController(w)
	body := f.head(false)
	for written, failed := 0, 0; ; {
		entries := a.entriesOf(page)
		if body, err = f.lines(body, entries, false); err != nil {
			break
		}
		written += len(entries)
		failed += page.Failed
		if _, err = w.Write(body); err != nil {
			break
		}
		if err = control.Flush(); err != nil {
			break
		}
		if !page.More {
			h.Set(headerComplete, strconv.Itoa(written))
			h.Set(headerFailed, strconv.Itoa(failed))
			return nil
		}
		if search.Backwards {
			search.Before = page.Reached
		} else {
			search.After = page.Reached
		}
		body = body[:0]
		if page, err = a.exportPage(r.Context(), search, find, false); err != nil {
			break
		}
		if page.UpTo.Compare(end) < 0 { // they have lost what this export would go on with
			err = &domain.Error{Class: domain.ClassTransient, Code: "views_went_back", Message: "the read models lost events during an export"}
			break
		}
	}
	a.log.InfoContext(r.Context(), "an export was cut off", slog.Any("error", err))
	panic(http.ErrAbortHandler) // the only way to tell a client that what it has is not all
}

// behind is the place just behind a position.
func behind(p domain.Position) domain.Position {
	return domain.Position{Commit: p.Commit, Prepare: p.Prepare + 1}
}

// exportPage finds the next page. Exports have seats of their own and wait for no turn.
func (a *Audit) exportPage(ctx context.Context, search views.Query, find finder, none bool) (found page, err error) {
	err = a.inTime(ctx, func(ctx context.Context) error {
		found, err = searched(ctx, search, find, none)
		return err
	})
	return found, err
}

// codeVersion: the request is of a version of HTTP in which the answer can't be told
// from a part of it.
const codeVersion = "http_version"

// needsHTTP11 refuses answers without a length over HTTP/1.0: they would end with the
// connection, and look whole however it ended.
func needsHTTP11(r *http.Request) error {
	if r.ProtoAtLeast(1, 1) {
		return nil
	}
	return domain.Rejectf(codeVersion, "", "exports and live feeds need HTTP/1.1; a proxy must speak it to this server too")
}
