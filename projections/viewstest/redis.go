// Package viewstest helps to test what stands on the read models: a Redis of
// each kind, a network to it that fails on demand, an event store, and histories
// of events to put there.
package viewstest

import (
	"context"
	"crypto/rand"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/projections/views"
)

// EnvRedis names a real server to test on: redis://HOST:PORT. Its databases from
// 1 on are used, those that are empty, one per test.
const EnvRedis = "TRADETRAIL_TEST_REDIS"

// envRequire makes a test fail that would otherwise be skipped for want of
// redis-server: CI must not pass because it tested less.
const envRequire = "TRADETRAIL_REQUIRE"

// Redis is an empty database that belongs to one test.
type Redis struct {
	URL    string // for views.Open; empty for the in-process server, which only Client and Dial reach
	Client redis.UniversalClient

	// Server is the one that was started for this test; nil in process, for one
	// that EnvRedis names, and for a cluster, which has several.
	Server *Server
	// Nodes are the servers of a cluster, in the order of their slots. A cluster is
	// shared: one that a test has changed is not given to another.
	Nodes []*Server

	options redis.UniversalOptions
	nodes   []*redis.Client // one for every server
	unused  int64           // what the servers occupy without data; 0: can't be told
}

// EachRedis runs a test as a subtest on every kind of Redis that is to be had:
// always the in-process one; a real one if EnvRedis is set or redis-server is
// installed; a cluster if redis-server is installed.
func EachRedis(t *testing.T, test func(t *testing.T, r *Redis)) {
	t.Run("in process", func(t *testing.T) { test(t, InProcess(t)) })
	t.Run("redis-server", func(t *testing.T) { test(t, Real(t)) })
	t.Run("redis cluster", func(t *testing.T) { test(t, Cluster(t)) })
}

// InProcess is the Redis of a Tradetrail without configuration.
func InProcess(t testing.TB) *Redis {
	t.Helper()
	return open(t, "")
}

// Real is a database of a real server: of the one that EnvRedis names, else of
// one that is started for this test and stopped after it. Without either the
// test is skipped.
func Real(t testing.TB) *Redis {
	t.Helper()
	if address := os.Getenv(EnvRedis); address != "" {
		return open(t, borrow(t, address))
	}
	return Own(t)
}

// Own is a server without a disk that is started for this test, whatever EnvRedis
// says, so that the test may measure it, configure it and kill it.
func Own(t testing.TB) *Redis {
	t.Helper()
	return single(t, "appendonly no")
}

// Persistent is like Own and has each write on its disk before it answers:
// nothing that was answered is lost with the process.
func Persistent(t testing.TB) *Redis {
	t.Helper()
	return single(t, "appendonly yes", "appendfsync always")
}

func single(t testing.TB, settings ...string) *Redis {
	t.Helper()
	server, err := startServer(program(t), t.TempDir(), rand.Text(), settings...)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := server.stop(); err != nil {
			t.Error(err)
		}
	})
	r := open(t, server.url())
	r.Server = server
	r.unused = r.used(t)
	return r
}

// program is the path of redis-server.
func program(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		missing := t.Skipf
		if os.Getenv(envRequire) == "1" {
			missing = t.Fatalf
		}
		missing("no test on a real Redis: %v", err)
	}
	return path
}

func open(t testing.TB, address string) *Redis {
	t.Helper()
	client, closing, err := views.Open(address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closing()) })
	r := &Redis{URL: address, Client: client}
	// Only what says where the server is and how to get in: all else are the
	// defaults that views.Open leaves, too.
	switch client := client.(type) {
	case *redis.ClusterClient:
		o := client.Options()
		r.options = redis.UniversalOptions{
			Addrs: o.Addrs, IsClusterMode: true,
			Username: o.Username, Password: o.Password, Protocol: o.Protocol, TLSConfig: o.TLSConfig,
		}
		for _, node := range o.Addrs {
			alone := r.options
			alone.Addrs, alone.IsClusterMode = []string{node}, false
			r.nodes = append(r.nodes, redis.NewClient(alone.Simple()))
		}
		t.Cleanup(func() {
			for _, node := range r.nodes {
				_ = node.Close()
			}
		})
	case *redis.Client:
		o := client.Options()
		r.options = redis.UniversalOptions{
			Addrs: []string{o.Addr}, DB: o.DB,
			Username: o.Username, Password: o.Password, Protocol: o.Protocol, TLSConfig: o.TLSConfig,
		}
		r.nodes = []*redis.Client{client}
	default:
		t.Fatalf("views.Open gives a %T", client)
	}
	return r
}

// Dial makes another client of the same database, as another process would.
func (r *Redis) Dial(t testing.TB) redis.UniversalClient {
	t.Helper()
	return r.DialWith(t, func(*redis.UniversalOptions) {})
}

// DialVia is like Dial with connections that dial makes, in a cluster those to
// every node: Network's, for example.
func (r *Redis) DialVia(
	t testing.TB, dial func(ctx context.Context, network, address string) (net.Conn, error),
) redis.UniversalClient {
	t.Helper()
	return r.DialWith(t, func(o *redis.UniversalOptions) { o.Dialer = dial })
}

// DialThrough is like Dial by way of another address, where something stands
// that hands on to Address. The other nodes of a cluster are reached directly.
func (r *Redis) DialThrough(t testing.TB, address string) redis.UniversalClient {
	t.Helper()
	return r.DialVia(t, func(ctx context.Context, network, target string) (net.Conn, error) {
		if target == r.Address() {
			target = address
		}
		return new(net.Dialer).DialContext(ctx, network, target)
	})
}

// DialWith is like Dial with other options, such as timeouts: by default a client
// waits for seconds, several times over, before it gives up.
func (r *Redis) DialWith(t testing.TB, change func(*redis.UniversalOptions)) redis.UniversalClient {
	t.Helper()
	options := r.options
	options.Addrs = slices.Clone(options.Addrs)
	change(&options)
	client := redis.NewUniversalClient(&options)
	t.Cleanup(func() { _ = client.Close() }) // a test may have closed it already
	return client
}

// Address is where the server listens; in a cluster, the first node.
func (r *Redis) Address() string { return r.options.Addrs[0] }

// Each calls do with a client of each server, one after another; commands go to
// this server and are not redirected.
func (r *Redis) Each(t testing.TB, do func(node *redis.Client)) {
	t.Helper()
	for _, node := range r.nodes {
		do(node)
	}
}

// Keys lists all keys of all servers, sorted.
func (r *Redis) Keys(t testing.TB) []string {
	t.Helper()
	keys := []string{}
	r.Each(t, func(node *redis.Client) {
		some, err := node.Keys(t.Context(), "*").Result()
		require.NoError(t, err)
		keys = append(keys, some...)
	})
	slices.Sort(keys)
	return keys
}

// Flush empties the database, each server in one step. FLUSHDB would do on a real
// server; the in-process one does not tell it to transactions that watch a key.
func (r *Redis) Flush(t testing.TB) {
	t.Helper()
	if r.URL != "" {
		r.Each(t, func(node *redis.Client) { require.NoError(t, node.FlushDB(t.Context()).Err()) })
		return
	}
	for {
		keys := r.Keys(t)
		if len(keys) == 0 {
			return
		}
		require.NoError(t, r.Client.Del(t.Context(), keys...).Err())
	}
}

// Memory is how many bytes the data occupies, as the servers count it: with what
// it costs to find and to keep it, without what connections and an empty server
// need. Only a server that this package started can tell; see Own.
func (r *Redis) Memory(t testing.TB) int64 {
	t.Helper()
	require.Positive(t, r.unused, "only a server of the test's own can tell what the data occupies")
	return r.used(t) - r.unused
}

// Seconds are how long the servers have computed; 0 for the in-process one, whose
// time is this process's.
func (r *Redis) Seconds(t testing.TB) (seconds float64) {
	t.Helper()
	r.Each(t, func(node *redis.Client) {
		info, err := node.InfoMap(t.Context(), "cpu").Result()
		if err != nil {
			return
		}
		for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
			n, err := strconv.ParseFloat(info["CPU"][name], 64)
			require.NoError(t, err)
			seconds += n
		}
	})
	return seconds
}

func (r *Redis) used(t testing.TB) (bytes int64) {
	t.Helper()
	r.Each(t, func(node *redis.Client) {
		memory, err := node.InfoMap(t.Context(), "memory").Result()
		require.NoError(t, err)
		number := func(name string) int64 {
			n, err := strconv.ParseInt(memory["Memory"][name], 10, 64)
			require.NoError(t, err, "%s in %v", name, memory)
			return n
		}
		bytes += number("used_memory") - number("mem_clients_normal") - number("mem_cluster_links")
	})
	return bytes
}

// borrow takes an empty database of a shared server. Tests of other packages run
// at the same time, so a key in database 0 says which are taken; it expires in
// case its test is killed.
func borrow(t testing.TB, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	at := func(n int) *redis.Client {
		parsed.Path = "/" + strconv.Itoa(n)
		options, err := redis.ParseURL(parsed.String())
		require.NoError(t, err)
		return redis.NewClient(options)
	}
	locks := at(0)
	t.Cleanup(func() { _ = locks.Close() })
	const databases, patience = 16, 2 * time.Minute
	var taken int
	require.Eventually(t, func() bool {
		for n := 1; n < databases; n++ {
			lock := "tradetrail:test:database:" + strconv.Itoa(n)
			// The context of a test is over when its cleanups run.
			ctx := t.Context()
			if mine, err := locks.SetNX(ctx, lock, os.Getpid(), 15*time.Minute).Result(); err != nil || !mine {
				continue
			}
			client := at(n)
			if size, err := client.DBSize(ctx).Result(); err != nil || size > 0 {
				_ = client.Close()
				locks.Del(ctx, lock)
				continue
			}
			taken = n
			t.Cleanup(func() {
				ctx := cleanupContext(t)
				_ = client.FlushDB(ctx).Err()
				_ = client.Close()
				locks.Del(ctx, lock)
			})
			return true
		}
		return false
	}, patience, 50*time.Millisecond, "%s=%s has no empty database that is free", EnvRedis, address)
	parsed.Path = "/" + strconv.Itoa(taken)
	return parsed.String()
}
