package remote

import (
	"context"
	"fmt"
	"io"
	"net/url"

	"github.com/tradetrail/tradetrail/domain"
)

// Export copies the events that a query finds, as media type accept, to w. Without an
// error all of them have been written. failed is on how many events the query's
// filter made no sense.
func (c *Client) Export(ctx context.Context, query url.Values, accept string, w io.Writer) (failed string, err error) {
	response, err := c.ask(ctx, "/audit/events?"+query.Encode(), map[string]string{"Accept": accept})
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }() // read to its end or given up: nothing left to fail
	if _, err := io.Copy(w, &stream{body: response.Body, base: c.base}); err != nil {
		return "", fmt.Errorf("copying events of %s: %w", c.base, err)
	}
	if query.Has("limit") {
		return response.Header.Get("Tradetrail-Failed"), nil
	}
	if response.Trailer.Get("Tradetrail-Complete") == "" {
		return "", incomplete(c.base)
	}
	return response.Trailer.Get("Tradetrail-Failed"), nil
}

func incomplete(base string) error {
	return &domain.Error{Class: domain.ClassTransient, Code: "incomplete", Message: base + " did not say that its answer is whole"}
}
