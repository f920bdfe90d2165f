package feed

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tradetrail/tradetrail/internal/route"
)

// Route has a Watermill router bring the feed's slices to a handler, one at a time and
// in the order of the log, until ctx ends. Any other end is an error.
//
// Retrying is the feed's: a refused slice makes it ask where the handler stands and
// begin there, with back-off. The router's own Retry would hold on to a slice that may
// be the wrong one by then.
func (f *Feed) Route(ctx context.Context, name string, handle func(context.Context, Slice) error) error {
	return route.Route{
		What: "the handler of the " + name, Name: name, Topic: "$all", From: f, Trouble: f.Trouble, Log: f.log,
		//nolint:contextcheck // the context of a message is its slice's, which ends with ctx
		Handle: func(msg *message.Message) error { return handle(msg.Context(), Of(msg)) },
	}.Run(ctx)
}
