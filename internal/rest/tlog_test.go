package rest_test

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tradetrail/tradetrail/internal/rest"
)

// logFiles has every file that it is asked for, but for those of one day.
type logFiles struct{}

func (logFiles) File(_ context.Context, path string) ([]byte, error) {
	if path == "certificates/2026-03-03.txt" {
		return nil, fs.ErrNotExist
	}
	return []byte(path), nil
}

func TestLog_ServesTheNamesThatThereAreAndNoOthers(t *testing.T) {
	t.Parallel()
	handler := rest.Log(logFiles{}, func(context.Context) error { return nil }, slog.New(slog.DiscardHandler))
	get := func(path string) *httptest.ResponseRecorder {
		r := httptest.NewRecorder()
		handler.ServeHTTP(r, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/log/"+path, nil))
		return r
	}
	for _, path := range []string{"checkpoint", "keys", "tile/0/000", "certificates/2026-03-02.txt", "timestamps/2026-03-02.jsonl"} {
		r := get(path)
		assert.Equal(t, http.StatusOK, r.Code, path)
		assert.Equal(t, path, r.Body.String())
	}
	for _, path := range []string{
		"", "history/2026-03-02.jsonl", "audit.json", ".lock", "certificates/", "certificates/2026-03-02.txt.new", "certificates/2026-03-03.txt", "certificates/x.txt",
		"timestamps/2026-03-02.txt", "timestamps/2026-03-02.jsonl/", "certificates/2026-03-02.txt%0a", "certificatesX2026-03-02.txt",
	} {
		assert.Equal(t, http.StatusNotFound, get(path).Code, path)
	}
}
