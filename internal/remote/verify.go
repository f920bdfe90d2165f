package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/tradetrail/tradetrail/domain"
)

// Verify asks the server to verify itself, tells how far it is, and reads the report.
// The verification ends with ctx.
func (c *Client) Verify(ctx context.Context, ask any, progress func(done, total uint64), report any) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return fmt.Errorf("asking for a verification: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/admin/verify", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking %s: %w", c.base, err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := new(http.Client).Do(request)
	if err != nil {
		return &domain.Error{Class: domain.ClassTransient, Code: "server_unreachable", Message: "asking " + c.base, Err: err}
	}
	defer func() { _ = response.Body.Close() }() // the answer says all there is
	if response.StatusCode != http.StatusOK {
		return c.refusal(response)
	}
	for lines := json.NewDecoder(response.Body); ; {
		var line struct {
			Done, Total uint64
			Report      json.RawMessage
			Error       string
		}
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return &domain.Error{Class: domain.ClassTransient, Code: "server_unreachable", Message: c.base + " went away before its report"}
		case err != nil:
			return &domain.Error{Class: domain.ClassTransient, Code: "server_unreachable", Message: "reading the answer of " + c.base, Err: err}
		case line.Error != "":
			return &domain.Error{Class: domain.ClassUnknown, Code: "not_verified", Message: "the server could not verify: " + line.Error}
		case line.Report != nil:
			if err := json.Unmarshal(line.Report, report); err != nil {
				return fmt.Errorf("reading the report of %s: %w", c.base, err)
			}
			return nil
		default:
			progress(line.Done, line.Total)
		}
	}
}
