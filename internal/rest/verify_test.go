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
