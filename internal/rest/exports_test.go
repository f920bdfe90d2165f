package rest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/rest"
	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

func TestExport_WholeHistory(t *testing.T) {
	t.Parallel()
	d := openDesk(t, viewstest.Log(viewstest.History(7, 1500)), deskOptions{})
	d.apply(len(d.log))
	all := idsOf(d.log, every)
	r := d.get("/audit/events", "Accept", ndjsonType)
	require.NoError(t, r.err)
	assert.Equal(t, all, r.ids(t))
	assert.Equal(t, strconv.Itoa(len(all)), r.trailer.Get("Tradetrail-Complete"))
	assert.Equal(t, "0", r.trailer.Get("Tradetrail-Failed"))
	assert.Equal(t, d.log[len(d.log)-1].Position.String(), r.header.Get("Tradetrail-Position"))

	back := d.get("/audit/events?sort=desc", "Accept", ndjsonType).ids(t)
	reverse(back)
	assert.Equal(t, all, back)

	page := d.get("/audit/events?limit=10", "Accept", ndjsonType)
	assert.Len(t, page.ids(t), 10)
	assert.Empty(t, page.trailer)
	rest := d.get("/audit/events?cursor="+page.header.Get("Tradetrail-Next"), "Accept", ndjsonType)
	assert.Equal(t, all[10:], rest.ids(t), "an export goes on from a cursor")

	nobody := d.get("/audit/user/nobody", "Accept", ndjsonType)
	assert.Empty(t, nobody.body)
	assert.Equal(t, "0", nobody.trailer.Get("Tradetrail-Complete"))
	nothing := d.get("/audit/events?sort=desc&cursor=C:0/P:0", "Accept", ndjsonType)
	assert.Equal(t, "0", nothing.trailer.Get("Tradetrail-Complete"))
	head := d.ask(http.MethodHead, "/audit/events", "Accept", ndjsonType)
	assert.Equal(t, http.StatusOK, head.status)
	assert.Empty(t, head.trailer)
	assert.Equal(t, http.StatusUnprocessableEntity, d.get("/audit/events?filter=x%20%3E", "Accept", ndjsonType).status)
}

// hooked calls a function before every search.
type hooked struct {
	rest.Views

	before func(q views.Query) (found views.Found, done bool, err error)
}

// later reports whether a search goes on behind another.
func later(q views.Query) bool { return !q.After.IsZero() || q.Backwards && !q.Before.IsZero() }

func (h *hooked) Search(ctx context.Context, q views.Query) (views.Found, error) {
	if found, done, err := h.before(q); done {
		return found, err
	}
	return h.Views.Search(ctx, q)
}

// What is recorded while an export runs is not in it: it ends where it said.
func TestExport_EndsWhereItBegan(t *testing.T) {
	t.Parallel()
	for _, sort := range []string{"asc", "desc"} {
		var d *desk
		d = openDesk(t, viewstest.Log(viewstest.History(7, 1000)), deskOptions{wrap: func(v rest.Views) rest.Views {
			return &hooked{Views: v, before: func(q views.Query) (views.Found, bool, error) {
				assert.LessOrEqual(t, q.Limit, 256, "a page of memory")
				if later(q) {
					d.apply(100)
				}
				return views.Found{}, false, nil
			}}
		}})
		d.apply(600)
		end := d.log[599].Position
		r := d.get("/audit/events?sort="+sort, "Accept", ndjsonType)
		got := r.ids(t)
		if sort == "desc" {
			reverse(got)
		}
		assert.Equal(t, idsOf(d.log[:600], every), got)
		assert.Equal(t, end.String(), r.header.Get("Tradetrail-Position"))
		assert.Greater(t, d.applied, 600, "nothing was recorded meanwhile")
	}
}

// A client must not take half of a history for all of it.
func TestExport_IsCutWhenItFails(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]struct {
		found views.Found
		err   error
	}{
		"the views go away":    {err: &domain.Error{Class: domain.ClassTransient, Code: "views_unavailable", Message: "away"}},
		"the views go back":    {found: views.Found{UpTo: domain.Position{Commit: 1, Prepare: 1}}},
		"something unheard of": {err: errors.New("no")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDesk(t, viewstest.Log(viewstest.History(7, 1000)), deskOptions{wrap: func(v rest.Views) rest.Views {
				return &hooked{Views: v, before: func(q views.Query) (views.Found, bool, error) {
					return failure.found, later(q), failure.err
				}}
			}})
			d.apply(1000)
			for _, media := range []string{ndjsonType, csvType} {
				r := d.get("/audit/events", "Accept", media)
				require.Error(t, r.err, "the connection was not cut")
				assert.Empty(t, r.trailer.Get("Tradetrail-Complete"))
			}
		})
	}
}

// endless are views that have as much to read as anybody wants.
func endless(v rest.Views) rest.Views {
	big, _ := json.Marshal(map[string]string{"x": strings.Repeat("x", 256<<10)}) // a map of strings encodes
	return &hooked{Views: v, before: func(q views.Query) (views.Found, bool, error) {
		p := domain.Position{Commit: q.After.Commit + 1, Prepare: q.After.Commit + 1}
		e := domain.Located{Event: &domain.Event{ID: "e", Type: domain.UserAction, OccurredAt: time.Unix(0, 0), SchemaVersion: 1, Data: big}, Stream: "s", Position: p}
		return views.Found{Events: []domain.Located{e}, More: true, Reached: p, UpTo: p}, true, nil
	}}
}

// A client that does not read is cut off, and its place is free again. One that
// has its places taken is told so.
func TestExport_NeverReadingClients(t *testing.T) {
	t.Parallel()
	d := openDesk(t, nil, deskOptions{wrap: endless, patience: 500 * time.Millisecond, limits: func(l *rest.AuditLimits) { l.ExportsEach = 2 }})
	for range 2 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/audit/events", nil)
		require.NoError(t, err)
		request.Header.Set("Accept", ndjsonType)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
	}
	crowded := d.get("/audit/events", "Accept", ndjsonType)
	assert.Equal(t, http.StatusTooManyRequests, crowded.status)
	assert.Equal(t, "too_many_exports", field(crowded.json(t), "code"))
	assert.NotEmpty(t, crowded.header.Get("Retry-After"))
	<-d.ended
	<-d.ended
	<-d.ended // the two that did not read, and the one that was refused
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/audit/events", nil)
	require.NoError(t, err)
	request.Header.Set("Accept", ndjsonType)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, http.StatusOK, response.StatusCode)
	line, err := bufio.NewReader(io.LimitReader(response.Body, 1<<20)).ReadString('\n')
	require.NoError(t, err)
	assert.Greater(t, len(line), 256<<10)
}
