package rest_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tradetrail/tradetrail/internal/rest"
)

// Verifications wait for the auditor: there are not more of them than it can bear.
func TestVerifying_OneForEach(t *testing.T) {
	t.Parallel()
	running, end := make(chan struct{}), make(chan struct{})
	handler := rest.Verifying(func(context.Context, rest.VerifyRequest, func(done, total uint64)) (any, error) {
		running <- struct{}{}
		<-end
		return struct{}{}, nil
	}, slog.New(slog.DiscardHandler), time.Now)
	ask := func() *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/admin/verify", strings.NewReader("{}")))
		return answer
	}
	first := make(chan int)
	go func() { first <- ask().Code }()
	<-running
	crowded := ask()
	assert.Contains(t, crowded.Body.String(), "too_many_verifications")
	close(end)
	assert.Equal(t, http.StatusOK, <-first)
}

// Whoever has read the last line may ask again at once.
func TestVerifying_AgainBehindTheLastLine(t *testing.T) {
	t.Parallel()
	handler := rest.Verifying(func(context.Context, rest.VerifyRequest, func(done, total uint64)) (any, error) {
		return struct{}{}, nil
	}, slog.New(slog.DiscardHandler), time.Now)
	request := func() *http.Request {
		return httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/admin/verify", strings.NewReader("{}"))
	}
	again := httptest.NewRecorder()
	first := &whileWriting{ResponseWriter: httptest.NewRecorder(), do: func() { handler.ServeHTTP(again, request()) }}
	handler.ServeHTTP(first, request())
	assert.Contains(t, first.said, `"report"`)
	assert.Equal(t, http.StatusOK, again.Code, "%s", again.Body)
}

// whileWriting does something in the middle of the first write.
type whileWriting struct {
	http.ResponseWriter

	do   func()
	said string
}

func (w *whileWriting) Write(p []byte) (int, error) {
	if w.said == "" {
		w.do()
	}
	w.said += string(p)
	return w.ResponseWriter.Write(p)
}
