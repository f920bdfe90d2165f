package views

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
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
		if options.ReadOnly || options.RouteByLatency || options.RouteRandomly {
			return nil, nil, bad(errReplicas)
		}
		client = redis.NewClusterClient(options)
	case "redis+sentinel", "rediss+sentinel":
		options, err := redis.ParseFailoverURL(strings.TrimSuffix(scheme, "+sentinel") + "://" + rest)
		if err != nil {
			return nil, nil, bad(err)
		}
		if options.ReplicaOnly || options.RouteByLatency || options.RouteRandomly || options.UseDisconnectedReplicas {
			return nil, nil, bad(errReplicas)
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

// errReplicas: a fold reads what the writes before it left, and a replica may not
// have these yet.
var errReplicas = errors.New("reading from replicas is not possible: they may be behind what was just written")

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
		return unavailable("dropping "+prefix, unlink(ctx, client, keys))
	})
}

// unlink removes keys one by one: on a cluster those of a scan may be of several
// slots.
func unlink(ctx context.Context, client redis.UniversalClient, keys []string) error {
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.Unlink(ctx, key)
		}
		return nil
	})
	return err
}

// hashKeys is a SHA-256 over all keys below prefix and what they hold, without
// the prefix itself: equal hashes mean equal views. Nothing may write meanwhile.
func hashKeys(ctx context.Context, client redis.UniversalClient, prefix string) (string, error) {
	// Keys are hashed one by one and the digests sorted, so memory is a few dozen
	// bytes a key.
	var all []string
	err := scan(ctx, client, prefix, func(names []string) error {
		rests := make([]string, len(names))
		for i, name := range names {
			rests[i] = strings.TrimPrefix(name, prefix)
		}
		found, err := digests(ctx, client, prefix, rests)
		for _, digest := range found {
			all = append(all, digest)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	slices.Sort(all)
	total := sha256.New()
	for _, digest := range slices.Compact(all) { // a scan may return a key twice
		total.Write([]byte(digest))
	}
	return hex.EncodeToString(total.Sum(nil)), nil
}

// digests are SHA-256 over keys, what is below the prefix of their names, and what
// they hold. A key that does not exist has none.
func digests(ctx context.Context, client redis.UniversalClient, prefix string, rests []string) (map[string]string, error) {
	values, err := valuesOf(ctx, client, rests, prefix)
	if err != nil {
		return nil, err
	}
	found := make(map[string]string, len(rests))
	for i, rest := range rests {
		digest := sha256.New()
		switch value := values[0][i].(type) {
		case nil:
			continue
		case string:
			writeTexts(digest, rest, "string", value)
		case []string:
			writeTexts(digest, rest, "list")
			writeTexts(digest, value...)
		case map[string]string:
			writeTexts(digest, rest, "hash")
			for _, field := range slices.Sorted(maps.Keys(value)) {
				writeTexts(digest, field, value[field])
			}
		case otherKind:
			writeTexts(digest, rest, string(value))
		}
		found[rest] = string(digest.Sum(nil))
	}
	return found, nil
}

// otherKind is a key of a kind that no view writes.
type otherKind string

// valuesOf reads whole keys, below each of the prefixes: a string, []string,
// map[string]string or otherKind, nil for one that does not exist. What is of another
// kind than below the first prefix is an otherKind. Of a cursor it leaves out who
// writes it.
func valuesOf(ctx context.Context, client redis.UniversalClient, rests []string, prefixes ...string) ([][]any, error) {
	kinds, err := kindsOf(ctx, client, prefixes[0], rests)
	if err != nil {
		return nil, err
	}
	// Each answer has its own error: a missing key and one of another kind are none.
	answers, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, prefix := range prefixes {
			for i, rest := range rests {
				switch key := prefix + rest; kinds[i] {
				case "string":
					p.Get(ctx, key)
				case "list":
					p.LRange(ctx, key, 0, -1)
				case "hash":
					p.HGetAll(ctx, key)
				default:
					p.Type(ctx, key)
				}
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) && !wrongType(err) {
		return nil, unavailable("reading what is below "+prefixes[0], err)
	}
	values := make([][]any, len(prefixes))
	for i, prefix := range prefixes {
		for _, answer := range answers[i*len(rests) : (i+1)*len(rests)] {
			value, err := valueIn(answer)
			if err != nil {
				return nil, unavailable("reading what is below "+prefix, err)
			}
			values[i] = append(values[i], value)
		}
	}
	return values, nil
}

func valueIn(answer redis.Cmder) (any, error) {
	switch err := answer.Err(); {
	case errors.Is(err, redis.Nil):
		return nil, nil //nolint:nilnil // there is none
	case wrongType(err):
		return otherKind("another"), nil
	case err != nil:
		return nil, err
	}
	switch answer := answer.(type) {
	case *redis.StringCmd:
		key, _ := answer.Args()[1].(string)
		return lasting(key, answer.Val()), nil
	case *redis.StringSliceCmd:
		if len(answer.Val()) > 0 {
			return answer.Val(), nil
		}
	case *redis.MapStringStringCmd:
		if len(answer.Val()) > 0 {
			return answer.Val(), nil
		}
	case *redis.StatusCmd:
		if answer.Val() != "none" {
			return otherKind(answer.Val()), nil
		}
	}
	return nil, nil //nolint:nilnil // there is none
}

// sameValue compares what valuesOf reads.
func sameValue(a, b any) bool {
	switch a := a.(type) {
	case []string:
		b, ok := b.([]string)
		return ok && slices.Equal(a, b)
	case map[string]string:
		b, ok := b.(map[string]string)
		return ok && maps.Equal(a, b)
	default:
		return a == b
	}
}

func kindsOf(ctx context.Context, client redis.UniversalClient, prefix string, rests []string) ([]string, error) {
	answers := make([]*redis.StatusCmd, len(rests))
	if _, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, rest := range rests {
			answers[i] = p.Type(ctx, prefix+rest)
		}
		return nil
	}); err != nil {
		return nil, unavailable("reading what is below "+prefix, err)
	}
	kinds := make([]string, len(rests))
	for i, answer := range answers {
		kinds[i] = answer.Val()
	}
	return kinds, nil
}

// size is what kind of key one is and how many elements it holds.
type size struct {
	kind     string
	elements int64
}

func sizesOf(ctx context.Context, client redis.UniversalClient, prefix string, rests []string) (map[string]size, error) {
	kinds, err := kindsOf(ctx, client, prefix, rests)
	if err != nil {
		return nil, err
	}
	answers := make(map[string]*redis.IntCmd)
	if _, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, rest := range rests {
			switch kinds[i] {
			case "list":
				answers[rest] = p.LLen(ctx, prefix+rest)
			case "hash":
				answers[rest] = p.HLen(ctx, prefix+rest)
			}
		}
		return nil
	}); err != nil {
		return nil, unavailable("reading what is below "+prefix, err)
	}
	sizes := make(map[string]size, len(rests))
	for i, rest := range rests {
		sizes[rest] = size{kind: kinds[i], elements: 1}
		if answer, ok := answers[rest]; ok {
			sizes[rest] = size{kinds[i], answer.Val()}
		}
	}
	return sizes, nil
}

// lasting is what counts of a string: of a cursor not who writes it.
func lasting(key, value string) string {
	if !strings.HasSuffix(key, ":cursor") {
		return value
	}
	end := strings.LastIndexByte(value, ' ')
	return value[:max(end, 0)]
}

// joinHashes makes one hash of those of several parts.
func joinHashes(hashes []string) string {
	if len(hashes) == 1 {
		return hashes[0]
	}
	sum := sha256.Sum256([]byte(strings.Join(hashes, "\n")))
	return hex.EncodeToString(sum[:])
}

// writeTexts writes each text after its length.
func writeTexts(w io.Writer, texts ...string) {
	var length [binary.MaxVarintLen64]byte
	for _, text := range texts {
		_, _ = w.Write(binary.AppendUvarint(length[:0], uint64(len(text)))) // to a hash: never fails
		_, _ = io.WriteString(w, text)
	}
}
