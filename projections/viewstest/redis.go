// Package viewstest helps to test what stands on the read models: a Redis of
// each kind, an event store, and histories of events to put there.
package viewstest

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/projections/views"
)

// EnvRedis names a real server to test on: redis://HOST:PORT. Its databases from
// 1 on are used, those that are empty, one per test.
const EnvRedis = "TRADETRAIL_TEST_REDIS"

// Redis is an empty database that belongs to one test.
type Redis struct {
	URL    string // for views.Open; empty for the in-process server, which only Client and Dial reach
	Client redis.UniversalClient

	options *redis.Options
}

// EachRedis runs a test as a subtest on every kind of Redis that is to be had:
// always the in-process one; a real one if EnvRedis is set or redis-server is
// installed.
func EachRedis(t *testing.T, test func(t *testing.T, r *Redis)) {
	t.Run("in process", func(t *testing.T) { test(t, InProcess(t)) })
	t.Run("redis-server", func(t *testing.T) { test(t, Real(t)) })
}

// InProcess is the Redis of a Tradetrail without configuration.
func InProcess(t testing.TB) *Redis {
	t.Helper()
	client, closing, err := views.Open("")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closing()) })
	single, ok := client.(*redis.Client)
	require.True(t, ok)
	return &Redis{Client: client, options: single.Options()}
}

// Real is a database of a real server: of the one that EnvRedis names, else of
// one that is started for this test and stopped after it. Without either the
// test is skipped.
func Real(t testing.TB) *Redis {
	t.Helper()
	address := os.Getenv(EnvRedis)
	if address == "" {
		return open(t, start(t))
	}
	return open(t, borrow(t, address))
}

func open(t testing.TB, address string) *Redis {
	t.Helper()
	client, closing, err := views.Open(address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closing()) })
	options, err := redis.ParseURL(address)
	require.NoError(t, err)
	return &Redis{URL: address, Client: client, options: options}
}

// Dial makes another client of the same database, as another process would.
func (r *Redis) Dial(t testing.TB) *redis.Client {
	t.Helper()
	options := *r.options
	client := redis.NewClient(&options)
	t.Cleanup(func() { _ = client.Close() }) // a test may have closed it already
	return client
}

// DialThrough makes a client of the same database by way of another address.
func (r *Redis) DialThrough(t testing.TB, address string) *redis.Client {
	t.Helper()
	options := *r.options
	options.Addr, options.Network = address, "tcp"
	client := redis.NewClient(&options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Address is where the server listens.
func (r *Redis) Address() string { return r.options.Addr }

// Flush empties the database in one step. FLUSHDB would do on a real server; the
// in-process one does not tell it to transactions that watch a key.
func (r *Redis) Flush(t testing.TB) {
	t.Helper()
	if r.URL != "" {
		require.NoError(t, r.Client.FlushDB(t.Context()).Err())
		return
	}
	for {
		keys := r.Client.Keys(t.Context(), "*").Val()
		if len(keys) == 0 {
			return
		}
		require.NoError(t, r.Client.Del(t.Context(), keys...).Err())
	}
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

// start runs a redis-server without a disk, on a loopback port and with a
// password of its own.
func start(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skipf("no real Redis: %s is not set and redis-server is not installed", EnvRedis)
	}
	var output string
	for range 5 { // a port that was free may be taken by the time that Redis binds it
		port := freePort(t)
		password := rand.Text()
		var ready bool
		if ready, output = launch(t, program, port, password); ready {
			return fmt.Sprintf("redis://:%s@127.0.0.1:%d/0", password, port)
		}
	}
	t.Fatalf("redis-server does not start:\n%s", output)
	return ""
}

func launch(t testing.TB, program string, port int, password string) (ready bool, output string) {
	t.Helper()
	server := exec.CommandContext(cleanupContext(t), program, "-")
	server.Dir = t.TempDir()
	server.Stdin = strings.NewReader(fmt.Sprintf( // not as arguments: those are for everybody to see
		"port %d\nbind 127.0.0.1\nrequirepass %s\nsave \"\"\nappendonly no\ndir %q\n", port, password, server.Dir))
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	var text bytes.Buffer
	lines := bufio.NewScanner(stdout)
	for !ready && lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		ready = strings.Contains(lines.Text(), "Ready to accept connections")
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() { // a full pipe would stop the server
		}
	}()
	stop := func() {
		_ = server.Process.Kill() // nothing in it is worth a farewell
		<-drained
		var killed *exec.ExitError
		if err := server.Wait(); err != nil && !errors.As(err, &killed) {
			t.Errorf("waiting for redis-server: %v", err)
		}
	}
	if !ready {
		stop()
		return false, text.String()
	}
	t.Cleanup(stop)
	return true, ""
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	address, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	return address.Port
}
