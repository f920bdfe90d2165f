package rest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tradetrail/tradetrail/internal/rest"
)

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	return w
}

func TestAlive(t *testing.T) {
	t.Parallel()
	w := get(t, rest.Alive(quiet), "/healthz")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.JSONEq(t, `{"status":"ok"}`, w.Body.String())
}

func TestReady(t *testing.T) {
	t.Parallel()
	fine := rest.Check{Name: "redis", Ready: func(context.Context) error { return nil }}
	broken := rest.Check{Name: "eventstore", Ready: func(ctx context.Context) error {
		_, bounded := ctx.Deadline()
		assert.True(t, bounded, "a check can't hold the answer back for ever")
		return errors.New("away")
	}}
	w := get(t, rest.Ready([]rest.Check{fine}, quiet), "/readyz")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.JSONEq(t, `{"status":"ready","checks":[{"name":"redis","status":"ok"}]}`, w.Body.String())

	advisory := rest.Check{Name: "source", Ready: func(context.Context) error { return errors.New("away") }, Advisory: true}
	w = get(t, rest.Ready([]rest.Check{fine, advisory}, quiet), "/readyz")
	assert.Equal(t, http.StatusOK, w.Code, "it is told, and that is all")
	assert.JSONEq(t, `{"status":"ready","checks":[{"name":"redis","status":"ok"},{"name":"source","status":"failing","reason":"away"}]}`, w.Body.String())

	w = get(t, rest.Ready([]rest.Check{broken, fine}, quiet), "/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "1", w.Header().Get("Retry-After"))
	assert.JSONEq(t, `{"status":"not ready","checks":[{"name":"eventstore","status":"failing","reason":"away"},{"name":"redis","status":"ok"}]}`,
		w.Body.String(), "every check is told")
}

func TestStarting(t *testing.T) {
	t.Parallel()
	h := rest.Starting(quiet)
	assert.Equal(t, http.StatusOK, get(t, h, "/healthz").Code)
	for _, path := range []string{"/readyz", "/v1/events", "/"} {
		w := get(t, h, path)
		assert.Equal(t, http.StatusServiceUnavailable, w.Code, path)
		assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), path)
		assert.Equal(t, "1", w.Header().Get("Retry-After"), path)
	}
}
