package app_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What was recorded through one door comes out of the other; a feed ends with the
// process, and says so.
func TestREST_FromRecordingToTheEnd(t *testing.T) {
	r := start(t)
	r.record(6)
	chain := r.get("/audit/chain/o1")
	require.Equal(t, http.StatusOK, chain.status, "%s", chain.body)
	assert.Contains(t, string(chain.body), `"order_id":"o1","status":"FILLED"`)
	assert.Equal(t, http.StatusNotModified, r.do(http.MethodGet, "/audit/chain/o1", "", "", "If-None-Match", chain.header.Get("ETag")).status)
	lines := r.do(http.MethodGet, "/audit/account/A", "", "", "Accept", "application/x-ndjson")
	assert.Equal(t, 6, strings.Count(string(lines.body), "\n"))
	assert.Equal(t, http.StatusOK, r.get("/openapi.json").status)
	for _, path := range []string{"/audit", "/audit/", "/audit/nothing", "/audit/live/x"} {
		missing := r.get(path)
		assert.Equal(t, http.StatusNotFound, missing.status, path)
		assert.Equal(t, "application/problem+json", missing.header.Get("Content-Type"), path)
	}
	for _, path := range []string{"/audit/chain/o1", "/healthz", "/nowhere"} {
		assert.Equal(t, "default-src 'none'; frame-ancestors 'none'", r.get(path).header.Get("Content-Security-Policy"), path)
	}
	assert.Contains(t, r.get("/").header.Get("Content-Security-Policy"), "script-src", "the page says itself what it needs")

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/audit/live?account=A&after=C:0/P:0", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	feed := bufio.NewScanner(response.Body)
	for events := 0; events < 6; {
		require.True(t, feed.Scan(), "the feed ended")
		if feed.Text() == "event: event" {
			events++
		}
	}
	require.NoError(t, r.stop())
	var rest []string
	for feed.Scan() {
		rest = append(rest, feed.Text())
	}
	require.NoError(t, feed.Err())
	assert.Contains(t, rest, "event: bye")
}
