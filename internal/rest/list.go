package rest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
)

// The headers of answers that have no place of their own for what they say.
const (
	headerNext     = "Tradetrail-Next"     // the cursor of the next page
	headerPosition = "Tradetrail-Position" // where the read models stood
	headerFailed   = "Tradetrail-Failed"   // on how many events the filter could not be computed
	headerComplete = "Tradetrail-Complete" // how many events the answer has; trailer of an export
	headerParked   = "Tradetrail-Parked"   // how many events the read models could not take in
)

// listBody is the body of lists, behind the items.
type listBody struct {
	Next *string `json:"next"` // cursor; null: there is no more so far

	Total   *int64 `json:"total,omitzero"`   // of all pages, where it is known
	Failed  int    `json:"failed,omitzero"`  // events on which the filter could not be computed; they are left out
	Failure string `json:"failure,omitzero"` // why, for the first of them
}

func (l listBody) with(items []entry) ([]byte, error) {
	rest, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	b, err := appendArray([]byte(`{"items":`), items)
	return append(append(b, ','), rest[1:]...), err
}

// page is what a search found; states are of anomalies only, in the same order.
type page struct {
	views.Found

	states []domain.Anomaly
}

// entriesOf are the entries of a page.
func (a *Audit) entriesOf(p page) []entry {
	entries := a.entries(p.Events)
	for i := range p.states {
		entries[i].State = &p.states[i]
	}
	return entries
}

// finder finds a page.
type finder func(ctx context.Context, search views.Query) (page, error)

// list answers searches; limit says what the path limits them to.
func (a *Audit) list(limit func(*http.Request, *views.Query)) func(http.ResponseWriter, *http.Request, query) error {
	return func(w http.ResponseWriter, r *http.Request, q query) error {
		return a.answerList(w, r, q, func(ctx context.Context, search views.Query) (page, error) {
			limit(r, &search)
			found, err := a.views.Search(ctx, search)
			return page{Found: found}, err
		})
	}
}

// listOf answers lists that are found in a way of their own.
func (a *Audit) listOf(find func(query) (finder, error)) func(http.ResponseWriter, *http.Request, query) error {
	return func(w http.ResponseWriter, r *http.Request, q query) error {
		found, err := find(q)
		if err != nil {
			return err
		}
		return a.answerList(w, r, q, found)
	}
}

func (a *Audit) answerList(w http.ResponseWriter, r *http.Request, q query, find finder) error {
	media, err := negotiate(r, mediaJSON, mediaLines, mediaCSV)
	if err != nil {
		return err
	}
	search, none, err := a.searchOf(q)
	if err != nil {
		return err
	}
	w.Header().Set("Vary", "Accept")
	if media != mediaJSON && search.Limit == 0 {
		return a.export(w, r, lasting(media), search, find, none)
	}
	if search.Limit == 0 {
		search.Limit = defaultPage
	}
	var found page
	err = a.inTurn(r.Context(), func(ctx context.Context) error {
		found, err = searched(ctx, search, find, none)
		return err
	})
	if err != nil {
		return err
	}
	if err := a.tellParked(w, r); err != nil {
		return err
	}
	return a.page(w, r, media, found)
}

// searched finds a page. With none there is nothing to find, but the filter must be one.
func searched(ctx context.Context, search views.Query, find finder, none bool) (found page, err error) {
	if none {
		_, err = search.Compile()
	} else {
		found, err = find(ctx, search)
	}
	return found, inParameter(err)
}

// tellParked says how many events are in the log and in no answer: as many as the read
// model with the most has parked. What is parked later lies behind what was found
// before. Who may not know it is not told.
func (a *Audit) tellParked(w http.ResponseWriter, r *http.Request) error {
	counts, err := a.views.ParkedCounts(r.Context())
	if domain.ClassOf(err) == domain.ClassDenied {
		return nil
	}
	if err != nil {
		return err
	}
	most := int64(0)
	for _, n := range counts {
		most = max(most, n)
	}
	w.Header().Set(headerParked, strconv.FormatInt(most, 10))
	return nil
}

func (a *Audit) page(w http.ResponseWriter, r *http.Request, media string, found page) error {
	entries := a.entriesOf(found)
	out := listBody{Failed: found.Failed, Failure: found.Failure}
	w.Header().Set(headerPosition, found.UpTo.String())
	w.Header().Set(headerFailed, strconv.Itoa(found.Failed))
	w.Header().Set(headerComplete, strconv.Itoa(len(entries)))
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
		body, err = out.with(entries)
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
	if _, err := w.Write(body); err != nil {
		a.log.DebugContext(r.Context(), "answer not delivered", slog.Any("error", err))
	}
}
