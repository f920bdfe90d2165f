package graphiql_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/graph/graphiql"
)

func get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	handler, err := graphiql.New()
	require.NoError(t, err)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorded := httptest.NewRecorder()
	handler.ServeHTTP(recorded, request)
	return recorded
}

// The page asks for nothing that the binary has not, and may not.
func TestPage_IsComplete(t *testing.T) {
	t.Parallel()
	response := get(t, "/graphiql")
	require.Equal(t, http.StatusOK, response.Code)
	page := response.Body.String()
	links := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1)
	assert.Len(t, links, 3)
	for _, link := range links {
		if link[1] == "data:," {
			continue
		}
		assert.True(t, strings.HasPrefix(link[1], "/graphiql/"), link[1])
		assert.Equal(t, http.StatusOK, get(t, link[1]).Code, link[1])
	}
	assert.NotContains(t, page, "<style")
	assert.NotRegexp(t, `<script[^>]*>[^<]`, page, "scripts in the page are forbidden by its policy")
	style, err := os.ReadFile("dist/graphiql.css")
	require.NoError(t, err)
	for _, url := range regexp.MustCompile(`url\(["']?([^)"']{0,30})|@import`).FindAllStringSubmatch(string(style), -1) {
		assert.True(t, strings.HasPrefix(url[1], "data:"), url[0])
	}
	assert.Equal(t, http.StatusNotFound, get(t, "/graphiql/other").Code)
	assert.Equal(t, http.StatusOK, get(t, "/graphiql/THIRD_PARTY").Code)
}

func TestPage_Headers(t *testing.T) {
	t.Parallel()
	for path, contentType := range map[string]string{
		"/graphiql": "text/html; charset=utf-8", "/graphiql/graphiql.js": "text/javascript; charset=utf-8", "/graphiql/graphiql.css": "text/css; charset=utf-8",
	} {
		header := get(t, path).Header()
		assert.Equal(t, contentType, header.Get("Content-Type"))
		assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
		assert.Equal(t, "no-referrer", header.Get("Referrer-Policy"))
		csp := header.Get("Content-Security-Policy")
		for _, directive := range []string{"default-src 'none'", "script-src 'self';", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			assert.Contains(t, csp, directive)
		}
		assert.NotContains(t, csp, "unsafe-eval")
		assert.NotContains(t, csp, "http")
		tag := header.Get("ETag")
		require.NotEmpty(t, tag)
		assert.Equal(t, http.StatusNotModified, get(t, path, "If-None-Match", tag).Code)
	}
}

// What is committed was made from the sources as they are: `make graphiql`.
func TestDist_IsOfTheSources(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob("src/*")
	require.NoError(t, err)
	slices.Sort(sources)
	sum := sha256.New()
	for _, name := range append([]string{"build.mjs", "package.json", "package-lock.json"}, sources...) {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		fmt.Fprintf(sum, "%s\n%s\n", filepath.ToSlash(name), content)
	}
	stamp, err := os.ReadFile("dist/stamp")
	require.NoError(t, err)
	assert.Equal(t, hex.EncodeToString(sum.Sum(nil)), strings.TrimSpace(string(stamp)), "dist/ is stale: run `make graphiql`")
}
