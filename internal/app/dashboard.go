package app

import (
	"net/http"

	"github.com/tradetrail/tradetrail/internal/rest"
)

// serveDashboard puts every page and file of the dashboard at its path; what is
// nobody's stays unknown.
func (a *App) serveDashboard(mux *http.ServeMux) {
	for path, file := range a.dashboard.Files() {
		mux.Handle("GET "+path, file)
	}
}

// starting answers while the stores are being opened. The dashboard is there already,
// and says so.
func (a *App) starting() *http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", rest.Starting(a.log))
	a.serveDashboard(mux)
	handler := a.ourHost(mux)
	return &handler
}
