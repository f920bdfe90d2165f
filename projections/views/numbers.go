package views

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// What all views have in common stands below one hash tag.
const (
	activeKey      = "tradetrail:{views}:active"      // hash: view -> the build that is read
	generationsKey = "tradetrail:{views}:generations" // set: view:number of all that may have keys
	numbersKey     = "tradetrail:{views}:numbers"     // the last number drawn
	fenceKey       = "tradetrail:{views}:fence"       // number of the process that writes
	logKey         = "tradetrail:{views}:log"         // the log that the views were made from
	rebuildsKey    = "tradetrail:{views}:rebuilds"    // hash: view -> Progress of its last rebuild
)

// channelOf names the channel on which news is published. A server's databases share
// its channels, and those of another are of another log.
func channelOf(client redis.UniversalClient) string {
	database := 0
	if one, ok := client.(*redis.Client); ok {
		database = one.Options().DB
	}
	return "tradetrail:{views}:changes:" + strconv.Itoa(database)
}

// drawScript draws a number that was never drawn before, even if Redis has lost
// the last one: then it begins at the seconds since epoch, or behind what this
// process has met.
var drawScript = redis.NewScript(`
local n = redis.call('INCR', KEYS[1])
if n < tonumber(ARGV[1]) then
  n = tonumber(ARGV[1])
  redis.call('SET', KEYS[1], n)
end
if #KEYS > 1 then redis.call('SET', KEYS[2], n) end
return n`)

// epoch is where the seconds of drawScript begin, which keeps numbers small: they
// are in every key.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (s *Set) draw(ctx context.Context, also ...string) (int64, error) {
	floor := max(int64(s.now().Sub(epoch)/time.Second), s.highest.Load()+1)
	n, err := drawScript.Run(ctx, s.client, append([]string{numbersKey}, also...), floor).Int64()
	s.met(n)
	return n, unavailable("drawing a number", err)
}

// met notes a number that is in use.
func (s *Set) met(n int64) {
	for {
		before := s.highest.Load()
		if n <= before || s.highest.CompareAndSwap(before, n) {
			return
		}
	}
}

// active reads which builds are read, by view.
func (s *Set) active(ctx context.Context) (map[string]string, error) {
	builds, err := s.client.HGetAll(ctx, activeKey).Result()
	return builds, unavailable("reading which views are active", err)
}

// activeBuild is the build of one view that is read; zero if there is none.
func (s *Set) activeBuild(ctx context.Context, v view) (build, error) {
	text, err := s.client.HGet(ctx, activeKey, v.name()).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return build{}, unavailable("reading which views are active", err)
	}
	return parseBuild(text), nil
}

// activateScript makes a build the one that is read, if nobody has drawn a later
// fence. Redis may have lost the fence with everything else.
var activateScript = redis.NewScript(`
local fence = redis.call('GET', KEYS[1])
if fence and fence ~= ARGV[1] then return 0 end
if not fence then redis.call('SET', KEYS[1], ARGV[1]) end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 1`)

// activate makes a build the one that is read. With an error other than ErrFenced
// the outcome is unknown.
func (s *Set) activate(ctx context.Context, v view, number int) error {
	done, err := activateScript.Run(ctx, s.client, []string{fenceKey, activeKey}, s.fence, v.name(), buildOf(v, number).String()).Int()
	if err != nil {
		return unavailable("activating a generation of "+v.name(), err)
	}
	if done == 0 {
		return ErrFenced
	}
	return nil
}
