package viewstest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/projections/views"
	"github.com/tradetrail/tradetrail/projections/viewstest"
)

// patience is how long something may take that will happen.
const patience = time.Minute

func fill(t *testing.T, r *viewstest.Redis, n int) (keys []string) {
	t.Helper()
	for i := range n {
		keys = append(keys, fmt.Sprintf("key-%03d", i))
		require.NoError(t, r.Client.Set(t.Context(), keys[i], strings.Repeat("x", i), 0).Err())
	}
	return keys
}

func TestEachRedis(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		assert.Empty(t, r.Keys(t))
		keys := fill(t, r, 50)
		assert.Equal(t, keys, r.Keys(t))
		assert.Equal(t, "xxx", r.Dial(t).Get(t.Context(), "key-003").Val())
		if r.URL != "" {
			client, closing, err := views.Open(r.URL)
			require.NoError(t, err)
			assert.Equal(t, "xxx", client.Get(t.Context(), "key-003").Val())
			require.NoError(t, closing())
		}
		var servers, found int
		r.Each(t, func(node *redis.Client) {
			servers++
			found += len(node.Keys(t.Context(), "*").Val())
		})
		assert.Equal(t, len(keys), found)
		assert.Equal(t, max(1, len(r.Nodes)), servers)
		r.Flush(t)
		assert.Empty(t, r.Keys(t))
		r.Flush(t)
	})
}

// A command that was already sent to a server which is then emptied.
func TestFlush_Watched(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		fill(t, r, 3)
		require.ErrorIs(t, r.Client.Watch(t.Context(), func(tx *redis.Tx) error {
			r.Flush(t)
			_, err := tx.TxPipelined(t.Context(), func(p redis.Pipeliner) error { return p.Set(t.Context(), "key-001", "y", 0).Err() })
			return err
		}, "key-001"), redis.TxFailedErr)
	})
}

func TestDialVia(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		network := viewstest.NewNetwork()
		client := r.DialWith(t, func(o *redis.UniversalOptions) {
			o.Dialer = network.Dial
			o.ReadTimeout = 20 * time.Millisecond
			o.MaxRetries, o.MaxRedirects, o.DialerRetries = -1, -1, 1
		})
		set := func() error {
			for i := range 20 { // on all nodes
				if err := client.Set(t.Context(), fmt.Sprint(i), i, 0).Err(); err != nil {
					return err
				}
			}
			return nil
		}
		works := func() {
			t.Helper()
			require.Eventually(t, func() bool { return set() == nil }, patience, time.Millisecond)
		}
		works()
		for _, fail := range []func(){network.Down, network.Blackhole} {
			fail()
			require.Error(t, set())
			network.Up()
			works()
		}

		// Any node can't be reached.
		client = r.DialVia(t, network.Dial)
		require.NoError(t, set())
		assert.GreaterOrEqual(t, network.Open(), max(1, len(r.Nodes)))
		network.CutEvery(1000, 1)
		for network.Cuts() < 10 {
			_ = set()
		}
		network.CutEvery(0, 0)
		works()
		require.NoError(t, client.Close())
	})
}

func TestDialThrough(t *testing.T) {
	viewstest.EachRedis(t, func(t *testing.T, r *viewstest.Redis) {
		keys := fill(t, r, 20)
		client := r.DialThrough(t, r.Address())
		for _, key := range keys {
			require.NoError(t, client.Get(t.Context(), key).Err())
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		came := make(chan struct{})
		var wg sync.WaitGroup
		defer wg.Wait()
		defer listener.Close()
		wg.Go(func() {
			var once sync.Once
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				conn.Close()
				once.Do(func() { close(came) })
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		client = r.DialThrough(t, listener.Addr().String())
		wg.Go(func() {
			for _, key := range keys { // of all nodes
				_ = client.Get(ctx, key).Err()
			}
		})
		<-came
		cancel()
	})
}

func TestOwn(t *testing.T) {
	t.Setenv(viewstest.EnvRedis, "redis://127.0.0.1:1") // nobody listens there
	r := viewstest.Own(t)
	fill(t, r, 10)
	for _, start := range []func(testing.TB){r.Server.Restart, r.Server.RestartEmpty} {
		fill(t, r, 10)
		start(t)
		assert.Empty(t, r.Keys(t))
	}
}

func TestPersistent(t *testing.T) {
	r := viewstest.Persistent(t)
	keys := fill(t, r, 30)
	address := r.Address()
	r.Server.Kill(t)
	r.Server.Kill(t) // no less dead
	_, err := net.Dial("tcp", address)
	require.ErrorContains(t, err, "refused")
	r.Server.Restart(t)
	assert.Equal(t, keys, r.Keys(t))
	assert.Equal(t, "xxx", r.Client.Get(t.Context(), "key-003").Val())
	r.Server.Restart(t) // while it runs
	assert.Equal(t, keys, r.Keys(t))
	r.Server.RestartEmpty(t)
	assert.Empty(t, r.Keys(t))
	fill(t, r, 3)
	r.Server.Restart(t)
	assert.Len(t, r.Keys(t), 3)
	assert.Equal(t, address, r.Address())
	r.Server.Kill(t) // and so it stays
}

func TestMemory(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *viewstest.Redis{
		"own": viewstest.Own, "persistent": viewstest.Persistent, "cluster": viewstest.Cluster,
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			const data, slack = 6 << 20, 1 << 20
			assert.InDelta(t, 0, r.Memory(t), slack)
			for i := range 60 {
				require.NoError(t, r.Client.Set(t.Context(), fmt.Sprint(i), strings.Repeat("x", data/60), 0).Err())
			}
			assert.Greater(t, r.Memory(t), int64(data))
			assert.Less(t, r.Memory(t), int64(2*data))
			r.Flush(t)
			assert.InDelta(t, 0, r.Memory(t), slack)
		})
	}
}

func TestCluster_Spreads(t *testing.T) {
	r := viewstest.Cluster(t)
	require.IsType(t, &redis.ClusterClient{}, r.Client)
	keys := fill(t, r, 300)
	var spread []int
	r.Each(t, func(node *redis.Client) {
		n := node.DBSize(t.Context()).Val()
		spread = append(spread, int(n))
		assert.Positive(t, n)
	})
	assert.Len(t, spread, 3)
	assert.Equal(t, keys, r.Keys(t))
	// Keys of different slots can't be in one command, those with one tag can.
	require.ErrorContains(t, r.Client.Eval(t.Context(), "return 1", []string{"a", "b"}).Err(), "slot")
	require.NoError(t, r.Client.Eval(t.Context(), "return 1", []string{"{a}1", "{a}2"}).Err())
}

// move gives the slot of a key, which must be empty, from its node to another.
func move(t *testing.T, r *viewstest.Redis, key string) (from, to *redis.Client) {
	t.Helper()
	slot := r.Client.ClusterKeySlot(t.Context(), key).Val()
	r.Each(t, func(node *redis.Client) {
		if err := node.Get(t.Context(), key).Err(); err == nil || errors.Is(err, redis.Nil) {
			from = node
		} else if to == nil {
			to = node
		}
	})
	require.NotNil(t, from)
	require.NotNil(t, to)
	fromID, toID := from.ClusterMyID(t.Context()).Val(), to.ClusterMyID(t.Context()).Val()
	require.NoError(t, to.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "IMPORTING", fromID).Err())
	require.NoError(t, from.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "MIGRATING", toID).Err())
	for _, node := range []*redis.Client{to, from} {
		require.NoError(t, node.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "NODE", toID).Err())
	}
	return from, to
}

// A client that does not know of a move yet is told and follows; the next test
// gets another cluster.
func TestCluster_Moved(t *testing.T) {
	var moved []*viewstest.Server
	t.Run("moved", func(t *testing.T) {
		r := viewstest.Cluster(t)
		fill(t, r, 50) // makes the client learn who has what
		from, to := move(t, r, "moving")
		require.ErrorContains(t, from.Set(t.Context(), "moving", 1, 0).Err(), "MOVED")
		require.NoError(t, r.Client.Set(t.Context(), "moving", 1, 0).Err())
		assert.Equal(t, "1", r.Client.Get(t.Context(), "moving").Val())
		assert.Equal(t, "1", to.Get(t.Context(), "moving").Val())
		assert.Contains(t, r.Keys(t), "moving")
		moved = r.Nodes
	})
	r := viewstest.Cluster(t)
	assert.Empty(t, r.Keys(t))
	for _, node := range moved {
		assert.NotContains(t, r.Nodes, node)
	}
}

// A cluster is lent to one test at a time and comes back empty.
func TestCluster_Lent(t *testing.T) {
	var before []*viewstest.Server
	t.Run("first", func(t *testing.T) {
		r := viewstest.Cluster(t)
		before = slices.Clone(r.Nodes)
		fill(t, r, 10)
		require.NoError(t, r.Client.ScriptLoad(t.Context(), "return 1").Err())
		r.Each(t, func(node *redis.Client) {
			require.NoError(t, node.Do(t.Context(), "CLIENT", "PAUSE", time.Hour.Milliseconds(), "WRITE").Err())
		})
	})
	r := viewstest.Cluster(t)
	assert.Equal(t, before, r.Nodes)
	assert.Empty(t, r.Keys(t))
	r.Each(t, func(node *redis.Client) {
		assert.ErrorContains(t, node.EvalSha(t.Context(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", nil).Err(), "NOSCRIPT")
	})
	assert.NotEqual(t, r.Nodes, viewstest.Cluster(t).Nodes, "two at a time are two")
}

// Of a node that was killed the others are not told; when it is back without its
// data it has its slots.
func TestCluster_NodeRestarts(t *testing.T) {
	r := viewstest.Cluster(t)
	keys := fill(t, r, 100)
	r.Nodes[0].Kill(t)
	r.Nodes[0].RestartEmpty(t)
	require.Eventually(t, func() bool {
		for _, key := range keys {
			if r.Client.Set(t.Context(), key, "again", 0).Err() != nil {
				return false
			}
		}
		return true
	}, patience, 10*time.Millisecond)
	assert.Equal(t, keys, r.Keys(t))
}

// A test that does not restore the configuration costs a cluster, not another
// test.
func TestCluster_Configured(t *testing.T) {
	r := viewstest.Cluster(t)
	t.Run("changed", func(t *testing.T) {
		other := viewstest.Cluster(t)
		other.Each(t, func(node *redis.Client) { require.NoError(t, node.ConfigSet(t.Context(), "maxmemory", "1mb").Err()) })
	})
	for _, cluster := range []*viewstest.Redis{r, viewstest.Cluster(t)} {
		cluster.Each(t, func(node *redis.Client) {
			assert.Equal(t, "0", node.ConfigGet(t.Context(), "maxmemory").Val()["maxmemory"])
		})
	}
}
