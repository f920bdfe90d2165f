package views

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tradetrail/tradetrail/domain"
)

// Open connects to the Redis that holds the read models:
//
//	""                                      an in-process server, empty at start
//	redis://HOST:PORT/DB, rediss://, unix:// one server
//	redis+cluster://HOST:PORT?addr=HOST:PORT a cluster
//	redis+sentinel://HOST:PORT?master_name=M a primary found by Sentinel
//
// It does not wait for the server. closing must be called last.
func Open(url string) (client redis.UniversalClient, closing func() error, err error) {
	bad := func(err error) error {
		return domain.Rejectf(domain.CodeInvalid, "redis", "reading the Redis URL: %v", err)
	}
	switch scheme, rest, _ := strings.Cut(url, "://"); scheme {
	case "":
		return openInProcess()
	case "redis+cluster", "rediss+cluster":
		options, err := redis.ParseClusterURL(strings.TrimSuffix(scheme, "+cluster") + "://" + rest)
		if err != nil {
			return nil, nil, bad(err)
		}
		client = redis.NewClusterClient(options)
	case "redis+sentinel", "rediss+sentinel":
		options, err := redis.ParseFailoverURL(strings.TrimSuffix(scheme, "+sentinel") + "://" + rest)
		if err != nil {
			return nil, nil, bad(err)
		}
		client = redis.NewFailoverClient(options)
	default:
		options, err := redis.ParseURL(url)
		if err != nil {
			return nil, nil, bad(err)
		}
		client = redis.NewClient(options)
	}
	return client, client.Close, nil
}

// openInProcess starts a Redis inside this process. Nothing in it outlives the
// process, and nothing needs to: views are rebuilt from the log. A random
// password keeps other users of the machine out.
func openInProcess() (redis.UniversalClient, func() error, error) {
	server := miniredis.NewMiniRedis()
	password := rand.Text()
	server.RequireAuth(password)
	if err := server.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting the in-process Redis: %w", err)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Password: password, Protocol: 2})
	return client, func() error {
		defer server.Close()
		return client.Close()
	}, nil
}

// unavailable classes an error of Redis: whatever it is, trying again is right.
func unavailable(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*domain.Error](err); ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return &domain.Error{Class: domain.ClassTransient, Code: "views_unavailable", Message: doing, Err: err}
}

// scanChunk is how many keys are scanned, hashed or dropped at a time.
const scanChunk = 1000

// scan calls fn with every key below prefix, one call at a time, keys in no
// order and some perhaps twice.
func scan(ctx context.Context, client redis.UniversalClient, prefix string, fn func(keys []string) error) error {
	var mu sync.Mutex
	one := func(ctx context.Context, node redis.Cmdable) error {
		var cursor uint64
		for {
			keys, next, err := node.Scan(ctx, cursor, escapeGlob(prefix)+"*", scanChunk).Result()
			if err != nil {
				return unavailable("scanning "+prefix, err)
			}
			// A server may answer with all keys at once; the in-process one does.
			for some := range slices.Chunk(keys, scanChunk) {
				mu.Lock()
				err = fn(some)
				mu.Unlock()
				if err != nil {
					return err
				}
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	}
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return one(ctx, node) })
	}
	return one(ctx, client)
}

func escapeGlob(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

// drop removes every key below prefix.
func drop(ctx context.Context, client redis.UniversalClient, prefix string) error {
	return scan(ctx, client, prefix, func(keys []string) error {
		return unavailable("dropping "+prefix, client.Unlink(ctx, keys...).Err())
	})
}

// hashKeys is a SHA-256 over all keys below prefix and what they hold, without
// the prefix itself: equal hashes mean equal views. Nothing may write meanwhile.
func hashKeys(ctx context.Context, client redis.UniversalClient, prefix string) (string, error) {
	// Keys are hashed one by one and the digests sorted, so memory is 32 bytes a key.
	var digests [][sha256.Size]byte
	err := scan(ctx, client, prefix, func(keys []string) error {
		kinds := make([]*redis.StatusCmd, len(keys))
		if _, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, key := range keys {
				kinds[i] = p.Type(ctx, key)
			}
			return nil
		}); err != nil {
			return unavailable("hashing "+prefix, err)
		}
		values := make([]func(io.Writer), len(keys))
		if _, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, key := range keys {
				values[i] = queueDump(ctx, p, key, kinds[i].Val())
			}
			return nil
		}); err != nil {
			return unavailable("hashing "+prefix, err)
		}
		for i, key := range keys {
			digest := sha256.New()
			fmt.Fprintf(digest, "%s\x00%s\x00", strings.TrimPrefix(key, prefix), kinds[i].Val())
			values[i](digest)
			digests = append(digests, [sha256.Size]byte(digest.Sum(nil)))
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	slices.SortFunc(digests, func(a, b [sha256.Size]byte) int { return slices.Compare(a[:], b[:]) })
	total := sha256.New()
	for _, d := range slices.Compact(digests) { // a scan may return a key twice
		total.Write(d[:])
	}
	return hex.EncodeToString(total.Sum(nil)), nil
}

// queueDump asks for a key's value and returns what writes it in a fixed order.
func queueDump(ctx context.Context, p redis.Pipeliner, key, kind string) func(io.Writer) {
	switch kind {
	case "string":
		value := p.Get(ctx, key)
		return func(w io.Writer) { fmt.Fprintf(w, "%q", value.Val()) }
	case "list":
		value := p.LRange(ctx, key, 0, -1)
		return func(w io.Writer) { fmt.Fprintf(w, "%q", value.Val()) }
	case "hash":
		value := p.HGetAll(ctx, key)
		return func(w io.Writer) {
			fields := make([]string, 0, len(value.Val()))
			for field, v := range value.Val() {
				fields = append(fields, fmt.Sprintf("%q=%q", field, v))
			}
			slices.Sort(fields)
			fmt.Fprint(w, fields)
		}
	case "set":
		value := p.SMembers(ctx, key)
		return func(w io.Writer) {
			members := value.Val()
			slices.Sort(members)
			fmt.Fprintf(w, "%q", members)
		}
	default: // no view writes other kinds; the kind itself is in the hash
		return func(io.Writer) {}
	}
}
