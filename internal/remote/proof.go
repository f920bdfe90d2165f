package remote

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Proof copies a proof bundle. path is what stands behind /audit/proof/, escaped.
// Without an error it is whole; whether it is right is for a verifier to say.
func (c *Client) Proof(ctx context.Context, path string, query url.Values, w io.Writer) error {
	response, err := c.send(ctx, http.MethodGet, "/audit/proof/"+path+"?"+query.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // read to its end or given up: nothing left to fail
	if _, err := io.Copy(w, response.Body); err != nil {
		return fmt.Errorf("reading the proof: %w", err)
	}
	return nil
}
