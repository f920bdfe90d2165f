package rest

import (
	_ "embed"
	"log/slog"
	"net/http"
)

//go:embed index.html
var indexPage []byte

// Index is the page at /: what there is, and a feed of what is being recorded.
func Index(log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		if _, err := w.Write(indexPage); err != nil {
			log.DebugContext(r.Context(), "page not delivered", slog.Any("error", err))
		}
	})
}
