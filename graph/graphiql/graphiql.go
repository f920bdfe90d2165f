// Package graphiql is the page at /graphiql, on which people write queries and see
// what comes. Everything that it needs is in the binary, and nothing is loaded from
// elsewhere.
//
// What is in dist/ is bundled from src/ and the npm packages that package-lock.json
// pins: change src/ or package.json, run `make graphiql` (Node 20 or later), and
// commit dist/ with it. A test compares the sum of the sources with dist/stamp.
package graphiql

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed dist
var dist embed.FS

// policy lets the page run its own script and speak to its own server, and nothing
// else. Styles are the exception: the editor and the menus write them into the page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asset is one file of the page.
type asset struct {
	contentType string
	body        []byte
	tag         string
}

// New makes the handler of /graphiql and of what is below it.
func New() (http.Handler, error) {
	mux := http.NewServeMux()
	for _, file := range []struct{ path, name, contentType string }{
		{"GET /graphiql", "index.html", "text/html; charset=utf-8"},
		{"GET /graphiql/graphiql.js", "graphiql.js", "text/javascript; charset=utf-8"},
		{"GET /graphiql/graphiql.css", "graphiql.css", "text/css; charset=utf-8"},
		{"GET /graphiql/THIRD_PARTY", "THIRD_PARTY", "text/plain; charset=utf-8"},
	} {
		body, err := dist.ReadFile("dist/" + file.name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(body)
		mux.Handle(file.path, &asset{file.contentType, body, `"` + hex.EncodeToString(sum[:8]) + `"`})
	}
	return mux, nil
}

// ServeHTTP sends the file, or says that the browser has it.
func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", a.contentType)
	header.Set("ETag", a.tag)
	header.Set("Cache-Control", "no-cache") // names are stable: ask whether the tag still is
	header.Set("Content-Security-Policy", policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}
