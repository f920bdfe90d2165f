package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// policy lets the page run its own scripts and styles and speak to its own server,
// and nothing else. No text becomes markup: trusted types forbid it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// file is one file of the dashboard in two encodings.
type file struct {
	media, caching string
	plain          body
	small          func() body // compressed when the first one asks
}

func newFile(media, caching string, content []byte) *file {
	return &file{media: media, caching: caching, plain: tagged(content), small: sync.OnceValue(func() body { return tagged(compressed(content)) })}
}

func compressed(content []byte) []byte {
	var out bytes.Buffer // takes everything: there are no errors
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	_, _ = z.Write(content)
	_ = z.Close()
	return out.Bytes()
}

type body struct {
	bytes []byte
	tag   string
}

func tagged(content []byte) body {
	sum := sha256.Sum256(content)
	return body{content, `"` + hex.EncodeToString(sum[:8]) + `"`}
}

// ServeHTTP sends the file, or says that the browser has it.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", f.media)
	header.Set("Cache-Control", f.caching)
	header.Set("Content-Security-Policy", policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept-Encoding")
	send := f.plain
	if takesGzip(r) {
		send = f.small()
		header.Set("Content-Encoding", "gzip")
		r = withoutRange(r)
	}
	header.Set("ETag", send.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(send.bytes))
}

// takesGzip reports whether the client accepts gzip by name; none that does not name
// it is worth the rules of the asterisk.
func takesGzip(r *http.Request) bool {
	for entry := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, parameter, _ := strings.Cut(entry, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		weight, given := strings.CutPrefix(strings.TrimSpace(parameter), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return !given || err == nil && q > 0
	}
	return false
}

// withoutRange asks for all of it: ranges would be of the compressed bytes.
func withoutRange(r *http.Request) *http.Request {
	if r.Header.Get("Range") == "" {
		return r
	}
	whole := r.Clone(r.Context())
	whole.Header.Del("Range")
	return whole
}
