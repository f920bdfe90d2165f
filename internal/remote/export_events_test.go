package remote_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/remote"
)

// Only what the server calls whole is.
func TestExport_MustBeWhole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trailer string
		cut     bool
		query   url.Values
		class   domain.Class
		whole   bool
	}{
		"whole":         {trailer: "1", whole: true},
		"no trailer":    {class: domain.ClassTransient},
		"cut off":       {cut: true, class: domain.ClassTransient},
		"a single page": {query: url.Values{"limit": {"1"}}, whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Trailer", "Tradetrail-Complete")
				fmt.Fprintln(w, "{}")
				if c.cut {
					panic(http.ErrAbortHandler)
				}
				if c.trailer != "" {
					w.Header().Set("Tradetrail-Complete", c.trailer)
				}
			}))
			defer server.Close()
			client, err := remote.New(server.URL)
			require.NoError(t, err)
			var out bytes.Buffer
			_, err = client.Export(t.Context(), c.query, "application/x-ndjson", &out)
			if c.whole {
				require.NoError(t, err)
				assert.Equal(t, "{}\n", out.String())
				return
			}
			require.Error(t, err)
			assert.Equal(t, c.class, domain.ClassOf(err))
		})
	}
}
