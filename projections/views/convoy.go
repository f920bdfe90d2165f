package views

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// convoy is a client for readers. Their pipelines travel to Redis together: on both
// sides a round trip costs more than the little that is read in it. One that comes
// when nothing is under way leaves at once; the others leave with the next.
//
// What is put into one pipeline stays together and in order. Everything but Pipelined
// goes alone; so does all on a cluster, where one node that is away would hold back
// those who read from others.
type convoy struct {
	redis.UniversalClient

	alone bool
	trips trips[[]redis.Cmder]
}

const (
	convoyTrips  = 4  // under way at a time, so that a long answer holds back few
	convoyLength = 32 // pipelines in one trip, so that nobody waits for hundreds
)

func newConvoy(client redis.UniversalClient) *convoy {
	_, cluster := client.(*redis.ClusterClient)
	c := &convoy{UniversalClient: client, alone: cluster}
	c.trips.most, c.trips.room = convoyTrips, convoyLength
	c.trips.weight = func([]redis.Cmder) int { return 1 }
	c.trips.carry = c.exchange
	return c
}

// Pipelined is like that of a client: the error is the first of the commands, also
// redis.Nil. When ctx ends its caller goes on, and must not look at the commands.
func (c *convoy) Pipelined(ctx context.Context, fill func(redis.Pipeliner) error) ([]redis.Cmder, error) {
	if c.alone {
		return c.UniversalClient.Pipelined(ctx, fill)
	}
	pipe := c.Pipeline()
	if err := fill(pipe); err != nil || pipe.Len() == 0 {
		return nil, err
	}
	cmds := pipe.Cmds()
	if err := c.trips.ride(ctx, cmds); err != nil {
		return nil, err
	}
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return cmds, err
		}
	}
	return cmds, nil
}

// exchange makes one round trip. The client's own time-outs bound how long it takes.
func (c *convoy) exchange(ctx context.Context, pipelines [][]redis.Cmder) {
	pipe := c.Pipeline()
	for _, cmds := range pipelines {
		_ = pipe.BatchProcess(ctx, cmds...) // only puts them in line
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
}
