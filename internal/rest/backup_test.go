package rest_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/rest"
)

func TestBackup(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		backup   rest.MakeBackup
		status   int
		body     string
		cutShort bool
	}{
		"whole": {backup: func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "all of it")
			return err
		}, status: http.StatusOK, body: "all of it"},
		"cut off": {backup: func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "half")
			return errors.Join(err, errors.New("no more"))
		}, status: http.StatusOK, cutShort: true},
		"running": {backup: func(context.Context, io.Writer) error {
			return &domain.Error{Class: domain.ClassConflict, Code: "backup_running", Message: "one at a time"}
		}, status: http.StatusConflict, body: "urn:tradetrail:error:backup_running"},
		"no room": {
			backup: func(context.Context, io.Writer) error { return errors.New("secret reason") },
			status: http.StatusInternalServerError, body: "the server's log says why",
		},
		"elsewhere": {status: http.StatusNotImplemented, body: "use the backup of the cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(rest.Backup(tc.backup, slog.New(slog.DiscardHandler)))
			defer server.Close()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
			require.NoError(t, err)
			response, err := server.Client().Do(request)
			if tc.cutShort && err != nil {
				return // before anything of it was sent
			}
			require.NoError(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			assert.Equal(t, tc.status, response.StatusCode)
			if tc.cutShort {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				return
			}
			require.NoError(t, err)
			assert.Contains(t, string(body), tc.body)
			assert.NotContains(t, string(body), "secret")
			if tc.status != http.StatusOK {
				assert.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
			}
		})
	}
}
