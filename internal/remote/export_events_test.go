package remote_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
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
		class   domain.Class
		whole   bool
	}{
		"whole":      {trailer: "1", whole: true},
		"no trailer": {class: domain.ClassTransient},
		"cut off":    {cut: true, class: domain.ClassTransient},
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
			_, err = client.Export(t.Context(), nil, "application/x-ndjson", &out)
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

// A page may be short or empty and not be the last: a limit is reached all the same,
// and no event that there is gets lost.
func TestExport_GoesOnUntilTheLimit(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 3, 0, 1000, 1000} // of the pages that the server has
	for _, c := range []struct {
		limit, events int
		asked         []string
	}{
		{2, 2, []string{"2", "2"}},
		{3, 3, []string{"3", "3"}},
		{1500, 1500, []string{"1000", "1000", "1000", "1000", "497"}},
		{9000, 2003, []string{"1000", "1000", "1000", "1000", "1000"}},
	} {
		for _, accept := range []string{"application/x-ndjson", "text/csv"} {
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				page := len(asked)
				limit, _ := strconv.Atoi(r.FormValue("limit"))
				asked = append(asked, r.FormValue("limit"))
				assert.Equal(t, "A", r.FormValue("account"))
				if page > 0 {
					assert.Equal(t, strconv.Itoa(page), r.FormValue("cursor"))
				}
				if page+1 < len(sizes) {
					w.Header().Set("Tradetrail-Next", strconv.Itoa(page+1))
				}
				n := min(limit, sizes[page])
				w.Header().Set("Tradetrail-Complete", strconv.Itoa(n))
				w.Header().Set("Tradetrail-Failed", "2")
				w.Header().Set("Tradetrail-Parked", "7")
				if accept == "text/csv" {
					fmt.Fprint(w, "event_id\r\n")
				}
				fmt.Fprint(w, strings.Repeat("\"x\n\"\r\n", n))
			}))
			client, err := remote.New(server.URL)
			require.NoError(t, err)
			var out bytes.Buffer
			missing, err := client.Export(t.Context(), url.Values{"account": {"A"}, "limit": {strconv.Itoa(c.limit)}}, accept, &out)
			server.Close()
			require.NoError(t, err)
			assert.Equal(t, c.asked, asked)
			assert.Equal(t, remote.Exported{Failed: 2 * len(asked), Parked: 7}, missing)
			assert.Equal(t, c.events, strings.Count(out.String(), "x"))
			if accept == "text/csv" {
				assert.Equal(t, 1, strings.Count(out.String(), "event_id"), "a table has one head")
			}
		}
	}
	client, err := remote.New("http://127.0.0.1:1")
	require.NoError(t, err)
	_, err = client.Export(t.Context(), url.Values{"limit": {"0"}}, "text/csv", &bytes.Buffer{})
	assert.ErrorContains(t, err, "limit: must be a whole number")
}
