package views

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// ferry takes the writes of views to Redis, those that wait in one transaction: every
// transaction takes three round trips, and the views of a slice are done at nearly
// the same time. Each is written if its own cursor is where it was, whatever the
// others' are.
//
// On a cluster views are on several nodes, and each goes alone.
type ferry struct {
	client   redis.UniversalClient
	together bool
	trips    trips[*crossing]
}

// crossing is what changes in one part of a view.
type crossing struct {
	cursor        string // its key
	before, after string // what it is, and will be
	commands      []*command

	stands string // what it was found to be, if not before; after, if it was written
	err    error
	half   bool // the cursor was written, and not all of the commands
}

// arguments is how much it has to write.
func (c *crossing) arguments() (n int) {
	for _, command := range c.commands {
		n += len(command.args)
	}
	return n
}

const (
	ferryTrips = 2           // transactions under way: while one runs, the next is written
	ferryLoad  = 4 * maxArgs // arguments in one, of more than one crossing
)

func newFerry(client redis.UniversalClient) *ferry {
	_, cluster := client.(*redis.ClusterClient)
	f := &ferry{client: client, together: !cluster}
	f.trips.most, f.trips.room = ferryTrips, ferryLoad
	f.trips.weight, f.trips.carry = (*crossing).arguments, f.transact
	return f
}

// cross writes, and returns the cursor as it stands then. With an error the outcome is
// unknown; so it is when ctx ends.
func (f *ferry) cross(ctx context.Context, c *crossing) (stands string, err error) {
	if !f.together {
		f.transact(ctx, []*crossing{c})
		return c.stands, c.err
	}
	if err := f.trips.ride(ctx, c); err != nil {
		return "", err
	}
	return c.stands, c.err
}

// transact writes in one MULTI under WATCH on the cursors, and sets what came of each.
// The client's own time-outs bound how long it takes.
func (f *ferry) transact(ctx context.Context, some []*crossing) {
	cursors := make([]string, len(some))
	for i, c := range some {
		cursors[i] = c.cursor
	}
	err := f.client.Watch(ctx, func(tx *redis.Tx) error {
		found, err := tx.MGet(ctx, cursors...).Result()
		if err != nil {
			return err
		}
		var ready []*crossing
		for i, c := range some {
			c.stands, _ = found[i].(string) // else there is none: noCursor
			switch {
			case slices.ContainsFunc(ready, func(other *crossing) bool { return other.cursor == c.cursor }):
				// Two write there, as when a switch that was given up arrives after all:
				// Start takes the build over while a rebuild still works on it. WATCH tells
				// only those apart that go one after the other.
				c.err = errMoved
			case c.stands == c.before:
				ready = append(ready, c)
			case c.stands == c.after:
				// An earlier write of the same slice arrived after all. What was folded
				// may have been read behind it: nobody may go on from that.
				c.err = errMoved
			}
		}
		if len(ready) == 0 {
			return nil
		}
		return write(ctx, tx, ready)
	}, cursors...)
	for _, c := range some {
		if c.err == nil {
			c.err = err
		}
		if c.half {
			// Here, since whoever waits for the crossing may have gone, and would not learn
			// of it.
			c.err = abandon(context.WithoutCancel(ctx), f.client, c.cursor, c.err)
		}
	}
}

// write writes crossings in one MULTI. A command that fails, since it finds what no view
// writes, fails its own, of which the rest is written; any other error is all theirs.
func write(ctx context.Context, tx *redis.Tx, ready []*crossing) error {
	commands := make([][]redis.Cmder, len(ready))
	_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range ready {
			for _, command := range c.commands {
				commands[i] = append(commands[i], p.Do(ctx, command.args...))
			}
			commands[i] = append(commands[i], p.Set(ctx, c.cursor, c.after, 0))
		}
		return nil
	})
	own := false
	for i, c := range ready {
		c.stands = c.after
		for _, command := range commands[i] {
			if c.err == nil && command.Err() != nil {
				c.err, own = command.Err(), true
			}
		}
		cursor := commands[i][len(commands[i])-1] // a MULTI that was not done fails it, too
		c.half = c.err != nil && (cursor.Err() == nil || wrongType(c.err))
	}
	if own {
		return nil
	}
	return err
}
