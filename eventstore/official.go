package eventstore

import (
	"context"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/tradetrail/tradetrail/domain"
)

// open implements source.
func (c *clients) open(ctx context.Context, q query) (cursor, error) {
	client, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	reading := &clientRead{clients: c, client: client}
	if q.subscribe {
		// The call's context is the subscription's: no deadline, ended by ctx.
		reading.subscription, err = caught(func() (*esdb.Subscription, error) {
			return client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{
				From: forwardsFrom(q.position), Filter: esdb.ExcludeSystemEventsFilter(), MaxSearchWindow: searchWindow, CheckpointInterval: checkpointInterval,
			})
		})
	} else {
		reading.stream, err = caught(func() (*esdb.ReadStream, error) {
			switch {
			case q.stream != "":
				return client.ReadStream(ctx, q.stream, esdb.ReadStreamOptions{From: esdb.Revision(q.revision)}, q.count)
			case q.backwards:
				return client.ReadAll(ctx, esdb.ReadAllOptions{From: backwardsFrom(q.position), Direction: esdb.Backwards}, q.count)
			default:
				return client.ReadAll(ctx, esdb.ReadAllOptions{From: forwardsFrom(q.position), Direction: esdb.Forwards}, q.count)
			}
		})
	}
	if err != nil {
		c.give(client, err)
		return nil, err
	}
	return reading, nil
}

func forwardsFrom(p domain.Position) esdb.AllPosition {
	if p.IsZero() {
		return esdb.Start{}
	}
	return esdb.Position{Commit: p.Commit, Prepare: p.Prepare}
}

func backwardsFrom(p domain.Position) esdb.AllPosition {
	if p == domain.EndPosition {
		return esdb.End{}
	}
	return esdb.Position{Commit: p.Commit, Prepare: p.Prepare}
}

// clientRead is a read, or a subscription, through the official client, which it
// has for itself.
type clientRead struct {
	clients      *clients
	client       *esdb.Client
	stream       *esdb.ReadStream   // or
	subscription *esdb.Subscription // this
}

func (r *clientRead) next() (item, error) {
	for {
		if r.subscription != nil {
			e := r.subscription.Recv()
			switch {
			case e.SubscriptionDropped != nil:
				return item{}, e.SubscriptionDropped.Error
			case e.CaughtUp != nil:
				return item{caughtUp: true}, nil
			case e.EventAppeared != nil && e.EventAppeared.OriginalEvent() != nil:
				return item{record: newRecord(e.EventAppeared.OriginalEvent())}, nil
			}
			continue
		}
		e, err := caught(r.stream.Recv)
		if err != nil {
			return item{}, err
		}
		if e.OriginalEvent() != nil {
			return item{record: newRecord(e.OriginalEvent())}, nil
		}
	}
}

func (r *clientRead) close(err error) {
	if r.stream != nil {
		r.stream.Close() // also after EOF: an unclosed one keeps a timer for 292 years
	} else {
		_ = r.subscription.Close() // its only error is that it is closed already
	}
	r.clients.give(r.client, err)
}
