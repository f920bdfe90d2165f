package rest

import (
	"log/slog"
	"net/http"
)

// Secure gives every answer the headers that keep a browser from doing more with it
// than to show it; pages of ours say themselves what they need beyond.
func Secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// NotFromOtherSites refuses what could change something and was sent by a browser for
// a page of another site.
func NotFromOtherSites(next http.Handler, log *slog.Logger) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(crossOrigin(log))
	return origins.Handler(next)
}

// NorReadByOtherSites is NotFromOtherSites for reading too: such a page could not see
// the answers, but it could keep us busy with questions.
func NorReadByOtherSites(next http.Handler, log *slog.Logger) http.Handler {
	origins, refuse := http.NewCrossOriginProtection(), crossOrigin(log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asPost := *r
		asPost.Method = http.MethodPost
		if origins.Check(&asPost) != nil {
			refuse.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func crossOrigin(log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, r, log, newProblem(http.StatusForbidden, "cross_origin", "requests from pages of other sites are refused"))
	})
}
