package web_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/web"
)

var served = sync.OnceValues(func() (*http.ServeMux, error) {
	dashboard, err := web.New("v1.2.3")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for path, file := range dashboard.Files() {
		mux.Handle("GET "+path, file)
	}
	return mux, nil
})

func get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	mux, err := served()
	require.NoError(t, err)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	recorded := httptest.NewRecorder()
	mux.ServeHTTP(recorded, request)
	return recorded
}

func links(page string) []string {
	var out []string
	for _, found := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		out = append(out, found[1])
	}
	return out
}

// The page asks for nothing that the binary has not, and may not.
func TestDashboard_IsComplete(t *testing.T) {
	t.Parallel()
	page := get(t, "/").Body.String()
	found := links(page)
	assert.Greater(t, len(found), 2)
	for _, link := range found {
		assert.Regexp(t, `^/assets/[0-9a-f]{16}/[^/]+$`, link)
		assert.Equal(t, http.StatusOK, get(t, link).Code, link)
	}
	assert.NotContains(t, page, "<style")
	assert.NotContains(t, page, " style=")
	assert.NotRegexp(t, `<script[^>]*>[^<]`, page, "scripts in the page are forbidden by its policy")
	styles, err := os.ReadFile("dist/assets/index.css")
	require.NoError(t, err)
	assert.NotRegexp(t, `url\(|@import`, string(styles))
	assert.Equal(t, http.StatusOK, get(t, "/assets/THIRD_PARTY").Code)
}

func TestDashboard_AnswersDeepLinksAndNothingElse(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("src/app.tsx")
	require.NoError(t, err)
	pages := []string{"/account", "/strategy", "/user", "/instrument"} // these share a line there
	for _, found := range regexp.MustCompile(`<Route path="(/[a-z]*)"`).FindAllStringSubmatch(string(source), -1) {
		pages = append(pages, found[1])
	}
	assert.Greater(t, len(pages), 10)
	home := get(t, "/").Body.String()
	for _, path := range pages {
		w := get(t, path+"?id=a%2Fb")
		assert.Equal(t, http.StatusOK, w.Code, path)
		assert.Equal(t, home, w.Body.String(), path)
	}
	build := regexp.MustCompile(`/assets/[0-9a-f]{16}/`).FindString(home)
	for _, path := range []string{"/nothing", "/order/x", "/assets/", "/assets/index.js", "/assets/0123456789abcdef/index.js", build, build + "nothing.js", "/index.html", "/dist/index.html"} {
		assert.Equal(t, http.StatusNotFound, get(t, path).Code, path)
	}
}

func TestDashboard_Headers(t *testing.T) {
	t.Parallel()
	paths := append(links(get(t, "/").Body.String()), "/", "/order", "/assets/version.json")
	for _, path := range paths {
		header := get(t, path).Header()
		assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "Accept-Encoding", header.Get("Vary"), path)
		policy := header.Get("Content-Security-Policy")
		for _, directive := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self';", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
			assert.Contains(t, policy, directive)
		}
		assert.NotContains(t, policy, "unsafe")
		assert.NotContains(t, policy, "http")
		for _, encoding := range []string{"", "gzip"} {
			tag := get(t, path, "Accept-Encoding", encoding).Header().Get("ETag")
			require.NotEmpty(t, tag)
			assert.Equal(t, http.StatusNotModified, get(t, path, "Accept-Encoding", encoding, "If-None-Match", tag).Code)
		}
	}
	assert.Equal(t, "no-cache", get(t, "/").Header().Get("Cache-Control"))
	assert.Contains(t, get(t, paths[0]).Header().Get("Cache-Control"), "immutable", "below the build's own path")
	assert.Equal(t, "no-store", get(t, "/assets/version.json").Header().Get("Cache-Control"))
}

func TestDashboard_Compressed(t *testing.T) {
	t.Parallel()
	for _, path := range append(links(get(t, "/").Body.String()), "/") {
		plain := get(t, path)
		assert.Empty(t, plain.Header().Get("Content-Encoding"))
		for _, accept := range []string{"gzip", "br, GZIP;q=0.5", "deflate,gzip"} {
			small := get(t, path, "Accept-Encoding", accept, "Range", "bytes=0-9")
			require.Equal(t, http.StatusOK, small.Code)
			require.Equal(t, "gzip", small.Header().Get("Content-Encoding"), accept)
			assert.NotEqual(t, plain.Header().Get("ETag"), small.Header().Get("ETag"))
			z, err := gzip.NewReader(small.Body)
			require.NoError(t, err)
			content, err := io.ReadAll(z)
			require.NoError(t, err)
			assert.Equal(t, plain.Body.String(), string(content))
		}
		for _, accept := range []string{"", "br", "gzip;q=0", "gzip;q=x", "identity"} {
			assert.Empty(t, get(t, path, "Accept-Encoding", accept).Header().Get("Content-Encoding"), accept)
		}
	}
}

// What a page loads at first, and any view with it, stays below 400 kB.
func TestDashboard_IsSmall(t *testing.T) {
	t.Parallel()
	total := 0
	for _, link := range links(get(t, "/").Body.String()) {
		total += get(t, link, "Accept-Encoding", "gzip").Body.Len()
	}
	t.Logf("the first view takes %d bytes, compressed", total)
	assert.Less(t, total, 400_000)
}

func TestDashboard_SaysItsVersion(t *testing.T) {
	t.Parallel()
	var about struct{ Version, Build string }
	require.NoError(t, json.Unmarshal(get(t, "/assets/version.json").Body.Bytes(), &about))
	assert.Equal(t, "v1.2.3", about.Version)
	assert.Contains(t, get(t, "/").Body.String(), "/assets/"+about.Build+"/")
}

// What is committed was made from the sources as they are.
func TestDist_IsOfTheSources(t *testing.T) {
	t.Parallel()
	names := []string{"build/finish.mjs", "build/sources.mjs", "index.html", "package-lock.json", "package.json", "vite.config.ts"}
	require.NoError(t, filepath.WalkDir("src", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.HasSuffix(name, ".test.ts") {
			names = append(names, filepath.ToSlash(name))
		}
		return err
	}))
	slices.Sort(names)
	sum := sha256.New()
	for _, name := range names {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		fmt.Fprintf(sum, "%s\n%s\n", name, content)
	}
	stamp, err := os.ReadFile("dist/stamp")
	require.NoError(t, err)
	assert.Equal(t, hex.EncodeToString(sum.Sum(nil)), strings.TrimSpace(string(stamp)), "dist/ is stale: run `make web`")
}
