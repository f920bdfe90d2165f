package remote

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strconv"

	"github.com/tradetrail/tradetrail/domain"
)

// What a server says about an answer, in its header or its trailer.
const (
	headerNext     = "Tradetrail-Next"
	headerFailed   = "Tradetrail-Failed"
	headerComplete = "Tradetrail-Complete"
	headerParked   = "Tradetrail-Parked"
)

const mediaCSV = "text/csv"

// maxPage is the most that a server answers at once.
const maxPage = 1000

// Exported is what is missing in events that were copied all the same.
type Exported struct {
	Failed int // events on which the query's filter made no sense
	Parked int // events that the server's read models could not take in, whatever the query
}

// Export copies the events that a query finds, as media type accept, to w: all of them
// or, with a limit, which may be any, that many of the first. Without an error all of
// these have been written.
func (c *Client) Export(ctx context.Context, query url.Values, accept string, w io.Writer) (Exported, error) {
	if !query.Has("limit") {
		part, err := c.part(ctx, query, accept, w, false)
		return part.Exported, err
	}
	left, err := strconv.Atoi(query.Get("limit"))
	if err != nil || left < 1 {
		return Exported{}, domain.Rejectf(domain.CodeInvalid, "limit", "must be a whole number from 1 on")
	}
	query = maps.Clone(query)
	var all Exported
	for more := false; ; more = true {
		query.Set("limit", strconv.Itoa(min(left, maxPage)))
		page, err := c.part(ctx, query, accept, w, more)
		if err != nil {
			return Exported{}, err
		}
		all.Failed += page.Failed
		all.Parked = page.Parked
		left -= page.events
		if left <= 0 || page.next == "" {
			return all, nil
		}
		query.Set("cursor", page.next)
	}
}

// part is one answer to a query.
type part struct {
	Exported

	events int
	next   string // where the next one begins; empty: there is none
}

// part copies one answer. With more it follows another, and has no head of its own.
func (c *Client) part(ctx context.Context, query url.Values, accept string, w io.Writer, more bool) (p part, err error) {
	response, err := c.ask(ctx, "/audit/events?"+query.Encode(), map[string]string{"Accept": accept})
	if err != nil {
		return part{}, err
	}
	defer func() { _ = response.Body.Close() }() // read to its end or given up: nothing left to fail
	body := bufio.NewReader(&stream{body: response.Body, base: c.base})
	if more && accept == mediaCSV {
		_, err = body.ReadString('\n') // no name of a column has a line end
	}
	if err == nil {
		_, err = io.Copy(w, body)
	}
	if err != nil {
		return part{}, fmt.Errorf("copying events of %s: %w", c.base, err)
	}
	said := func(name string) string {
		if text := response.Trailer.Get(name); text != "" {
			return text
		}
		return response.Header.Get(name)
	}
	if said(headerComplete) == "" {
		return part{}, incomplete(c.base)
	}
	p.next = response.Header.Get(headerNext)
	for name, n := range map[string]*int{headerComplete: &p.events, headerFailed: &p.Failed, headerParked: &p.Parked} {
		if text := said(name); text != "" {
			if *n, err = strconv.Atoi(text); err != nil || *n < 0 {
				return part{}, fmt.Errorf("%s says %s: %.40q", c.base, name, text)
			}
		}
	}
	return p, nil
}

func incomplete(base string) error {
	return &domain.Error{Class: domain.ClassTransient, Code: "incomplete", Message: base + " did not say that its answer is whole"}
}
