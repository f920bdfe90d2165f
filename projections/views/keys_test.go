package views_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/projections/viewstest"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// A Redis Cluster puts keys on one node by what is in their braces: everything
// that one transaction touches must have the same there.
var tagged = regexp.MustCompile(`^tradetrail:(\{[a-z]+:[0-9]+(?::[0-9]+)?\}|\{views\}):`)

// Every command names keys of one hash tag only, transactions as a whole.
func TestKeys_OneHashTagPerTransaction(t *testing.T) {
	store, log := recorded(t, 10, 60)
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		client := r.Dial(t)
		hook := &tags{t: t}
		viewstest.Hook(client, hook)
		set := newSet(client, store)
		set.Alone()
		_, err := set.Start(t.Context())
		require.NoError(t, err)
		drive(t.Context(), t, set, log, 1, never)
		for _, name := range set.Names() {
			_, err := rebuild(t.Context(), t, set, name)
			require.NoError(t, err)
		}
		for _, key := range r.Keys(t) {
			assert.Regexp(t, tagged, key)
		}
		assert.Positive(t, hook.transactions.Load())
	})
}

// tags is a hook that checks the keys of what is sent. The commands that the
// views use have their keys first, and multi-key ones nothing else.
type tags struct {
	t            testing.TB
	transactions atomic.Int64
}

func (h *tags) check(cmds ...redis.Cmder) {
	found := make(map[string]bool)
	for _, cmd := range cmds {
		args := cmd.Args()
		switch cmd.Name() {
		case "multi", "exec", "scan", "unwatch", "hello", "auth", "client", "ping", "publish", "cluster", "command", "readonly":
			continue
		case "evalsha", "eval":
			n, err := strconv.Atoi(fmt.Sprint(args[2]))
			require.NoError(h.t, err)
			args = args[3 : 3+n]
		case "mget", "unlink", "watch":
			args = args[1:]
		default:
			args = args[1:2]
		}
		for _, key := range args {
			tag := tagged.FindStringSubmatch(fmt.Sprint(key))
			if assert.NotNil(h.t, tag, "key %v of %s", key, cmd.Name()) {
				found[tag[1]] = true
			}
		}
	}
	assert.LessOrEqual(h.t, len(found), 1, "%v in one exchange", found)
}

func (h *tags) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *tags) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.check(cmd)
		return next(ctx, cmd)
	}
}

func (h *tags) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) > 0 && cmds[0].Name() == "multi" {
			h.check(cmds...)
			h.transactions.Add(1)
		}
		return next(ctx, cmds)
	}
}

var generationNumber = regexp.MustCompile(`:[0-9]+\}`)

// What stands in Redis is a storage format: a change of it needs a new version of
// its view.
func TestKeys_Golden(t *testing.T) {
	log := viewstest.Log(withForeign(viewstest.History(1, 45)))
	for name, r := range map[string]*viewstest.Redis{"in process": viewstest.InProcess(t), "redis-server": viewstest.Real(t)} {
		set := openSet(t, r.Client, nil)
		drive(t.Context(), t, set, log, 1, never)
		var dump bytes.Buffer
		for _, key := range r.Keys(t) {
			if strings.Contains(key, "{views}") {
				continue
			}
			var values []string
			var err error
			switch kind := r.Client.Type(t.Context(), key).Val(); kind {
			case "string":
				var value string
				value, err = r.Client.Get(t.Context(), key).Result()
				values = strings.Fields(value)[:3] // without the fence
			case "list":
				values, err = r.Client.LRange(t.Context(), key, 0, -1).Result()
			case "hash":
				var fields map[string]string
				fields, err = r.Client.HGetAll(t.Context(), key).Result()
				for _, field := range slices.Sorted(maps.Keys(fields)) {
					values = append(values, field, fields[field])
				}
			default:
				t.Fatalf("%s is a %s", key, kind)
			}
			require.NoError(t, err)
			fmt.Fprintf(&dump, "%s %q\n", generationNumber.ReplaceAllString(key, "}"), values)
		}
		path := filepath.Join("testdata", "keys.golden")
		if *update {
			require.NoError(t, os.WriteFile(path, dump.Bytes(), 0o600))
			continue
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), dump.String(), "%s: a changed format needs a new version of its view; -update rewrites %s", name, path)
	}
}
