package rest

import (
	"log/slog"
	"net/http"
	"strconv"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
)

// exportPage is how many events an export holds at a time.
const exportPage = 256

// export writes all events of a search, page by page, up to where the read models
// stood when it began. A page is read when the client has taken the one before, so a
// slow client holds a page of memory and nothing else.
//
// Only the trailer says that it is whole: when anything fails, the connection is cut.
func (a *Audit) export(w http.ResponseWriter, r *http.Request, f format, search views.Query, none bool) error {
	leave, reason := a.exports.take(r.Context())
	if leave == nil {
		a.crowded(w, r, "too_many_exports", reason)
		return nil
	}
	defer leave()
	search.Limit = exportPage
	var page views.Found
	var err error
	if none {
		_, err = search.Compile()
	} else {
		page, err = a.views.Search(r.Context(), search)
	}
	if err != nil {
		return inParameter(err) // nothing is sent yet
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
	out := a.deliver(w)
	body := f.head(false)
	for written, failed := 0, 0; ; {
		entries := entriesOf(page.Events)
		if body, err = f.lines(body, entries, false); err != nil {
			break
		}
		written += len(entries)
		failed += page.Failed
		if _, err = out.Write(body); err != nil {
			break
		}
		if err = out.flush(); err != nil {
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
		if page, err = a.views.Search(r.Context(), search); err != nil {
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

// crowdedRetry is when a client may try again, in seconds.
const crowdedRetry = "5"

func (a *Audit) crowded(w http.ResponseWriter, r *http.Request, code, reason string) {
	w.Header().Set("Retry-After", crowdedRetry)
	writeProblem(w, r, a.log, newProblem(http.StatusTooManyRequests, code, reason))
}
