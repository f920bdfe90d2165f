package tlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// refusals notes whether a witness says that it has cosigned another log than the one
// that it is asked about. Nobody signs such an answer, so it raises an alarm and stops
// nothing. It may be used concurrently.
type refusals struct {
	http.RoundTripper

	size uint64 // of the checkpoint that is to be cosigned
	seen atomic.Bool
}

func (r *refusals) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.RoundTripper.RoundTrip(request)
	if err != nil {
		return response, err
	}
	switch response.StatusCode {
	case http.StatusUnprocessableEntity: // what it has seen is not how this log begins
		r.seen.Store(true)
	case http.StatusConflict:
		if response.Header.Get("Content-Type") != "text/x.tlog.size" {
			r.seen.Store(true) // it has another root for a size
			return response, nil
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("reading the answer of a witness: %w", err), response.Body.Close())
		}
		size, err := strconv.ParseUint(strings.TrimSpace(string(body)), 10, 64)
		if err == nil && size > r.size {
			r.seen.Store(true) // it has seen more: this log was put back
		}
		response.Body = struct {
			io.Reader
			io.Closer
		}{bytes.NewReader(body), response.Body}
	default:
	}
	return response, nil
}
