package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/tradetrail/tradetrail/domain"
)

// maxProblemBytes is more than a problem document takes.
const maxProblemBytes = 64 << 10

// Backup asks the server for a copy of its event store and returns it as it
// comes; the caller closes it. That the end was reached does not say that the
// copy is whole, only the copy itself does.
func (c *Client) Backup(ctx context.Context) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/admin/backup", nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.base, err)
	}
	response, err := new(http.Client).Do(request)
	if err != nil {
		return nil, &domain.Error{Class: domain.ClassTransient, Code: "server_unreachable", Message: "asking " + c.base, Err: err}
	}
	if response.StatusCode == http.StatusOK {
		return &stream{body: response.Body, base: c.base}, nil
	}
	defer func() { _ = response.Body.Close() }() // the answer is an error already
	var problem struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxProblemBytes))
	if err != nil || json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		problem.Code, problem.Detail = "server_refused", response.Status
	}
	return nil, &domain.Error{Class: domain.ClassRejected, Code: problem.Code, Message: c.base + " answers: " + problem.Detail}
}

// stream says whose answer it is that has ended early.
type stream struct {
	body io.ReadCloser
	base string
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &domain.Error{
			Class: domain.ClassTransient, Code: "server_unreachable", Message: s.base + " went away in the middle of its answer", Err: err,
		}
	}
	return n, err
}

func (s *stream) Close() error { return s.body.Close() }
