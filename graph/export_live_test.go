package graph

import (
	"log/slog"
	"net/http"
	"time"
)

// NewServerWithin is NewServer with other limits, running of queries included.
func NewServerWithin(views Views, running int, limits LiveLimits) http.Handler {
	return newServer(nil, views, nil, nil, slog.New(slog.DiscardHandler), newTurns(running, maxWaiting, queryTimeout, mutationTimeout), limits)
}

// MaxRunning are the queries that run at a time.
const MaxRunning = maxRunning

// WriteBy is when a client must have taken a message.
func WriteBy(limits LiveLimits, size int) time.Time {
	return (&live{LiveLimits: limits}).writeBy(size)
}
