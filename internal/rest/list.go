package rest

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/projections/views"
)

// The headers of answers that have no place of their own for what they say.
const (
	headerNext     = "Tradetrail-Next"     // the cursor of the next page
	headerPosition = "Tradetrail-Position" // where the read models stood
	headerFailed   = "Tradetrail-Failed"   // on how many events the filter could not be computed
	headerComplete = "Tradetrail-Complete" // trailer of an export: how many events it has
)

// listBody is the body of lists.
type listBody struct {
	Items []entry `json:"items"`
	Next  *string `json:"next"` // cursor; null: there is no more so far

	Total   *int64 `json:"total,omitzero"`   // of all pages, where it is known
	Failed  int    `json:"failed,omitzero"`  // events on which the filter could not be computed; they are left out
	Failure string `json:"failure,omitzero"` // why, for the first of them
}

// list answers searches; limit says what the path limits them to.
func (a *Audit) list(limit func(*http.Request, *views.Query)) func(http.ResponseWriter, *http.Request, query) error {
	return func(w http.ResponseWriter, r *http.Request, q query) error {
		media, err := negotiate(r, mediaJSON, mediaLines, mediaCSV)
		if err != nil {
			return err
		}
		search, none, err := a.searchOf(q)
		if err != nil {
			return err
		}
		limit(r, &search)
		w.Header().Set("Vary", "Accept")
		if media != mediaJSON && search.Limit == 0 {
			return a.export(w, r, lasting(media), search, none)
		}
		if search.Limit == 0 {
			search.Limit = defaultPage
		}
		var found views.Found
		if none {
			_, err = search.Compile()
		} else {
			found, err = a.views.Search(r.Context(), search)
		}
		if err != nil {
			return inParameter(err)
		}
		return a.page(w, r, media, found)
	}
}

func (a *Audit) page(w http.ResponseWriter, r *http.Request, media string, found views.Found) error {
	entries := entriesOf(found.Events)
	out := listBody{Items: entries, Failed: found.Failed, Failure: found.Failure}
	w.Header().Set(headerPosition, found.UpTo.String())
	w.Header().Set(headerFailed, strconv.Itoa(found.Failed))
	if found.More {
		next := found.Reached.String()
		out.Next = &next
		w.Header().Set(headerNext, next)
	}
	if found.TotalKnown {
		out.Total = &found.Total
	}
	var body []byte
	var err error
	if media == mediaJSON {
		body, err = json.Marshal(out)
	} else {
		f := lasting(media)
		media = f.media
		body, err = f.lines(f.head(false), entries, false)
	}
	if err != nil {
		return fmt.Errorf("encoding a page: %w", err)
	}
	a.send(w, r, media, body)
	return nil
}

// send writes a body that is all there.
func (a *Audit) send(w http.ResponseWriter, r *http.Request, media string, body []byte) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := a.deliver(w).Write(body); err != nil {
		a.log.DebugContext(r.Context(), "answer not delivered", slog.Any("error", err))
	}
}
