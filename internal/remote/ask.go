package remote

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
)

// ask sends a GET whose answer may last; the caller closes the body. What is not 200
// is an error.
func (c *Client) ask(ctx context.Context, path string, header map[string]string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.base, err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := new(http.Client).Do(request)
	if err != nil {
		return nil, &domain.Error{Class: domain.ClassTransient, Code: "server_unreachable", Message: "asking " + c.base, Err: err}
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }() // the answer is an error already
	return nil, c.refusal(response)
}

// refusal reads a problem document.
func (c *Client) refusal(response *http.Response) error {
	var problem struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
		Field  string `json:"field"`
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxProblemBytes))
	if err != nil || json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		problem.Code, problem.Detail = "server_refused", c.base+" answers "+response.Status
	}
	class := domain.ClassRejected
	if transientStatus(response.StatusCode) {
		class = domain.ClassTransient
	}
	return &domain.Error{Class: class, Code: problem.Code, Field: problem.Field, Message: problem.Detail}
}
