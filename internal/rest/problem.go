// Package rest is the HTTP API beside GraphQL: recording, questions about what is
// recorded, live feeds, health.
package rest

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/authz"
)

// problem is an RFC 9457 problem document. Detail is public.
type problem struct {
	Type   string `json:"type"` // about:blank, or a code of ours as a URN
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitzero"`
	Code   string `json:"code,omitzero"`
	Field  string `json:"field,omitzero"`
}

func newProblem(status int, code, detail string) problem {
	p := problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
	if code != "" {
		p.Type = "urn:tradetrail:error:" + code
	}
	return p
}

// problemOf is the only place that turns our errors into HTTP's.
func problemOf(err error) problem {
	e, ok := errors.AsType[*domain.Error](err)
	if !ok {
		return newProblem(http.StatusInternalServerError, "internal", "")
	}
	var p problem
	switch e.Class {
	case domain.ClassRejected:
		p = newProblem(statusOfRejection(e.Code), e.Code, e.Message)
	case domain.ClassNotFound:
		p = newProblem(http.StatusNotFound, e.Code, e.Message)
	case domain.ClassDenied:
		p = newProblem(statusOfDenial(e.Code), e.Code, e.Message)
	case domain.ClassConflict:
		p = newProblem(http.StatusConflict, e.Code, e.Message)
	case domain.ClassTransient:
		p = newProblem(http.StatusServiceUnavailable, e.Code, e.Message)
	default:
		p = newProblem(http.StatusInternalServerError, e.Code, "")
	}
	p.Field = e.Field
	return p
}

func statusOfDenial(code string) int {
	if code == authz.CodeUnauthenticated {
		return http.StatusUnauthorized
	}
	return http.StatusForbidden
}

func statusOfRejection(code string) int {
	if strings.HasPrefix(code, crowdedPrefix) {
		return http.StatusTooManyRequests
	}
	switch code {
	case domain.CodeMalformed, codeRatio:
		return http.StatusBadRequest
	case codeStalled:
		return http.StatusRequestTimeout
	case codeEncoding:
		return http.StatusUnsupportedMediaType
	case codeNotAcceptable:
		return http.StatusNotAcceptable
	case codeVersion:
		return http.StatusHTTPVersionNotSupported
	case domain.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case domain.CodeConflict:
		return http.StatusConflict
	default:
		return http.StatusUnprocessableEntity
	}
}

// codeNotAcceptable: the request's Accept names nothing that is on offer.
const codeNotAcceptable = "not_acceptable"

// What a client should wait, in seconds, when we can't record or read, and when it has
// too much open.
const (
	retryAfter   = "1"
	crowdedRetry = "5"
)

// write sends a body as JSON; the status line is gone by the time that an error
// could be told, so it is only logged.
func write(w http.ResponseWriter, r *http.Request, log *slog.Logger, status int, contentType string, body any) {
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", crowdedRetry)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// Messages quote input, which may be invalid UTF-8.
	if err := json.MarshalWrite(w, body, jsontext.AllowInvalidUTF8(true)); err != nil {
		log.DebugContext(r.Context(), "answer not delivered", slog.Any("error", err))
	}
}

func writeProblem(w http.ResponseWriter, r *http.Request, log *slog.Logger, p problem) {
	write(w, r, log, p.Status, "application/problem+json", p)
}
