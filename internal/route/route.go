// Package route brings the messages of one Watermill subscriber to one handler, and
// notices when that ends.
package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
)

// closeTimeout bounds how long a message under way may hold up the end.
const closeTimeout = 2 * time.Second

// Route is from where to where. All but Trouble and Quiet must be set.
type Route struct {
	What    string // what stops when the handler does, for errors
	Name    string // of the handler
	Topic   string
	From    message.Subscriber
	Handle  message.NoPublishHandlerFunc
	Trouble func() error // what the subscriber last met, for errors; nil when there is nothing to tell
	Log     *slog.Logger
	Quiet   bool // the subscriber says what goes wrong, once: the router need not
}

// Run has a Watermill router bring messages until ctx ends. Any other end is an error:
// a router goes on without its handler, or returns nil. Retrying is the subscriber's,
// which knows what may not be overtaken; a panic of the handler is an error of its
// message.
func (r Route) Run(ctx context.Context) error {
	asked := ctx                                                         // an end of it is one that somebody asked for
	levels := map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug} // how the router sees itself is no news
	if r.Quiet {
		levels[slog.LevelError] = slog.LevelDebug
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: closeTimeout}, watermill.NewSlogLoggerWithLevelMapping(r.Log, levels))
	if err != nil {
		return fmt.Errorf("making the router of %s: %w", r.What, err)
	}
	router.AddMiddleware(middleware.Recoverer)
	handler := router.AddConsumerHandler(r.Name, r.Topic, r.From, r.Handle)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- router.Run(ctx) }()
	var stopped <-chan struct{}
	select {
	case <-router.Running(): // until then the router still sets its handler up
		stopped = handler.Stopped()
	case err = <-done:
		done <- err
	}
	select {
	case err = <-done:
	case <-stopped:
		cancel()
		err = <-done
	}
	if asked.Err() != nil {
		return err
	}
	var trouble error
	if r.Trouble != nil {
		trouble = r.Trouble()
	}
	return errors.Join(errors.New(r.What+" stopped by itself"), trouble, err)
}
