package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/tlog/audit"
)

// How many manipulations of Redis are tried: TRADETRAIL_TAMPER says otherwise.
const (
	redisTampersShort = 12
	redisTampersSoak  = 500
)

// Whatever somebody does to the keys of the read models, verify says no, names the key,
// and ends with 3; and says yes again once the key is what it was.
func TestTamper_OfRedisIsFoundEveryTime(t *testing.T) {
	if testing.Short() {
		t.Skip("verifies a running server many times: not in short mode")
	}
	count := redisTampersShort
	if os.Getenv("TRADETRAIL_SOAK") != "" {
		count = redisTampersSoak
	}
	if text := os.Getenv("TRADETRAIL_TAMPER"); text != "" {
		_, err := fmt.Sscan(text, &count)
		require.NoError(t, err)
	}
	dir, url := filepath.Join(t.TempDir(), "data"), redisURL(t)
	server := startServer(t, dir, url, "--tlog=true")
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: strings.TrimPrefix(url, "unix://")})
	defer func() { assert.NoError(t, client.Close()) }()
	grow := func(from, orders int) {
		code, _, stderr := tradetrail(someEvents(from, orders), "import", "--server", server.URL, "--format", "ndjson", "-")
		require.Zero(t, code, stderr)
		server.sealedUpTo(dir, uint64(3*(from+orders)))
		server.caughtUp()
	}
	grow(0, 20)
	earlier := dumps(t, client)
	grow(20, 40)
	keys := viewKeys(t, client)
	for seed := range count {
		r := redisTamper{t: t, client: client, rng: rand.New(rand.NewPCG(uint64(seed), 8)), earlier: earlier}
		key, what := r.do(keys)
		name, rest, _ := strings.Cut(strings.TrimPrefix(key, "tradetrail:{"), ":")
		_, rest, _ = strings.Cut(rest, "}:")
		where := name + ": " + rest
		code, stdout, stderr := tradetrail("", "verify", "--server", server.URL, "--json")
		require.Equal(t, exitIntegrity, code, "seed %d, %s of %s: %s%s", seed, what, where, stdout, stderr)
		var report audit.Report
		require.NoError(t, json.Unmarshal([]byte(stdout), &report))
		assert.True(t, slices.ContainsFunc(report.Findings, func(f audit.Finding) bool { return f.Kind == audit.View && f.Where == where }),
			"seed %d, %s of %s: %v", seed, what, where, report.Findings)
		require.NoError(t, client.RestoreReplace(t.Context(), key, 0, r.before).Err())
		if seed%10 == 9 || seed == count-1 {
			code, stdout, stderr = tradetrail("", "verify", "--server", server.URL)
			require.Zero(t, code, "%s%s", stdout, stderr)
		}
	}
	t.Logf("%d manipulations of %d keys", count, len(keys))
	require.Zero(t, server.stop())
}

// viewKeys are those that hold what views say, sorted. A cursor that was changed is seen
// by the process that writes, which makes the view anew.
func viewKeys(t *testing.T, client *redis.Client) []string {
	t.Helper()
	active, err := client.HGetAll(t.Context(), "tradetrail:{views}:active").Result()
	require.NoError(t, err)
	var keys []string
	for view, build := range active {
		number, _, _ := strings.Cut(build, ":")
		found, err := client.Keys(t.Context(), fmt.Sprintf("tradetrail:{%s:%s}:*", view, number)).Result()
		require.NoError(t, err)
		keys = append(keys, found...)
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return strings.HasSuffix(key, ":cursor") })
	slices.Sort(keys)
	return keys
}

// dumps is an old snapshot.
func dumps(t *testing.T, client *redis.Client) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, key := range viewKeys(t, client) {
		value, err := client.Dump(t.Context(), key).Result()
		require.NoError(t, err)
		all[key] = value
	}
	return all
}

// redisTamper changes one key, and knows what it was before.
type redisTamper struct {
	t       *testing.T
	client  *redis.Client
	rng     *rand.Rand
	earlier map[string]string
	before  string
}

// do draws a key and what is done to it until that is something else than was there.
func (r *redisTamper) do(keys []string) (key, what string) {
	r.t.Helper()
	for {
		key = keys[r.rng.IntN(len(keys))]
		var err error
		r.before, err = r.client.Dump(r.t.Context(), key).Result()
		require.NoError(r.t, err)
		kind, err := r.client.Type(r.t.Context(), key).Result()
		require.NoError(r.t, err)
		content := r.content(key, kind)
		what = r.to(key, kind)
		if what != "" && content != r.content(key, kind) {
			return key, what
		}
	}
}

// content is what the key holds, to be compared.
func (r *redisTamper) content(key, kind string) string {
	ctx := r.t.Context()
	switch kind {
	case "hash":
		return fmt.Sprint(r.client.HGetAll(ctx, key).Val())
	case "list":
		return fmt.Sprint(r.client.LRange(ctx, key, 0, -1).Val())
	default:
		return r.client.Get(ctx, key).Val()
	}
}

func (r *redisTamper) to(key, kind string) (what string) {
	ctx := r.t.Context()
	var err error
	switch r.rng.IntN(4) {
	case 0:
		what, err = "deletion", r.client.Del(ctx, key).Err()
	case 1:
		old, ok := r.earlier[key]
		if !ok {
			return ""
		}
		what, err = "an old snapshot", r.client.RestoreReplace(ctx, key, 0, old).Err()
	default:
		switch kind {
		case "hash":
			what, err = r.toHash(key)
		case "list":
			what, err = r.toList(key)
		default:
			what, err = "a flipped bit", r.client.Set(ctx, key, r.flipped(r.client.Get(ctx, key).Val()), 0).Err()
		}
	}
	require.NoError(r.t, err)
	return what
}

func (r *redisTamper) flipped(value string) string {
	if value == "" {
		return "0"
	}
	b := []byte(value)
	b[r.rng.IntN(len(b))] ^= 1 << r.rng.IntN(8)
	return string(b)
}

func (r *redisTamper) toHash(key string) (what string, err error) {
	ctx := r.t.Context()
	fields := r.client.HKeys(ctx, key).Val()
	slices.Sort(fields)
	one, other := fields[r.rng.IntN(len(fields))], fields[r.rng.IntN(len(fields))]
	value := r.client.HGet(ctx, key, one).Val()
	switch r.rng.IntN(4) {
	case 0:
		return "a deleted field", r.client.HDel(ctx, key, one).Err()
	case 1:
		return "an inserted field", r.client.HSet(ctx, key, one+"0", value).Err()
	case 2:
		return "two swapped fields", r.client.HSet(ctx, key, one, r.client.HGet(ctx, key, other).Val(), other, value).Err()
	default:
		return "a flipped bit", r.client.HSet(ctx, key, one, r.flipped(value)).Err()
	}
}

func (r *redisTamper) toList(key string) (what string, err error) {
	ctx := r.t.Context()
	values := r.client.LRange(ctx, key, 0, -1).Val()
	i, j := r.rng.IntN(len(values)), r.rng.IntN(len(values))
	switch r.rng.IntN(4) {
	case 0:
		return "a tail that was cut off", r.client.RPop(ctx, key).Err()
	case 1:
		return "an inserted element", r.client.RPush(ctx, key, values[i]).Err()
	case 2:
		if err := r.client.LSet(ctx, key, int64(i), values[j]).Err(); err != nil {
			return "", err
		}
		return "two swapped elements", r.client.LSet(ctx, key, int64(j), values[i]).Err()
	default:
		return "a flipped bit", r.client.LSet(ctx, key, int64(i), r.flipped(values[i])).Err()
	}
}
