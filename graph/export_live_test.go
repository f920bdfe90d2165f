package graph

import (
	"log/slog"
	"net/http"
)

// NewServerWithin is NewServer with other limits.
func NewServerWithin(views Views, limits LiveLimits) http.Handler {
	return newServer(nil, views, slog.New(slog.DiscardHandler), newTurns(maxRunning, maxWaiting, queryTimeout, mutationTimeout), limits)
}
