package viewstest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Cluster is a Redis Cluster of three primaries on this machine. The test is
// skipped if redis-server is not installed.
//
// A node declines work for the first two seconds of its life, so clusters are
// kept and lent: to one test at a time, and parallel tests get one each. A test
// may change what it likes, configuration and slots included; its cluster is
// emptied, or thrown away if that does not make it as it was. This needs Main;
// without it each test starts and stops a cluster of its own.
func Cluster(t testing.TB) *Redis {
	t.Helper()
	c := lend(t)
	r := open(t, c.url())
	r.Nodes = c.servers
	r.unused = r.used(t)
	return r
}

// Main wraps the tests of a package, so that they share what is slow to start,
// and stops it after the last of them:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(viewstest.Main(m), viewstest.Dialing()) }
func Main(m *testing.M) interface{ Run() int } { return sharing{m} }

type sharing struct{ m *testing.M }

func (s sharing) Run() int {
	clusters.mu.Lock()
	clusters.share = true
	clusters.mu.Unlock()
	defer func() {
		clusters.mu.Lock()
		defer clusters.mu.Unlock()
		clusters.share = false
		for _, c := range clusters.idle {
			c.stop()
		}
		clusters.idle = nil
	}()
	return s.m.Run()
}

var clusters struct {
	mu    sync.Mutex
	share bool
	idle  []*cluster
}

// lend gives an empty cluster to a test, until its end.
func lend(t testing.TB) *cluster {
	t.Helper()
	clusters.mu.Lock()
	var c *cluster
	if n := len(clusters.idle); n > 0 {
		c, clusters.idle = clusters.idle[n-1], clusters.idle[:n-1]
	}
	clusters.mu.Unlock()
	if c == nil {
		c = startCluster(t)
	}
	t.Cleanup(func() {
		clusters.mu.Lock()
		share := clusters.share
		clusters.mu.Unlock()
		if !share {
			c.stop()
			return
		}
		if err := c.reset(cleanupContext(t)); err != nil {
			t.Logf("the cluster is of no use to other tests: %v", err)
			c.stop()
			return
		}
		clusters.mu.Lock()
		defer clusters.mu.Unlock()
		clusters.idle = append(clusters.idle, c)
	})
	return c
}

const (
	clusterNodes = 3
	clusterSlots = 16384
)

type cluster struct {
	dir     string // not the test's: it may live longer
	servers []*Server
	nodes   []*redis.Client
	config  []map[string]string // of each node, as it was at first
}

// startCluster does what redis-cli --cluster create does.
func startCluster(t testing.TB) *cluster {
	t.Helper()
	path := program(t)
	c := &cluster{}
	formed := false
	defer func() {
		if !formed {
			c.stop()
		}
	}()
	var err error
	c.dir, err = temporary()
	require.NoError(t, err)
	password := rand.Text()
	for range clusterNodes {
		server, err := startServer(path, c.dir, password, "appendonly no", "cluster-enabled yes",
			"cluster-config-file "+clusterState, "cluster-announce-ip 127.0.0.1",
			// It is how soon a node counts as lost, and no machine is so busy that it
			// stops a process for this long.
			"cluster-node-timeout 5000")
		require.NoError(t, err)
		c.servers = append(c.servers, server)
		options, err := redis.ParseURL(server.url())
		require.NoError(t, err)
		c.nodes = append(c.nodes, redis.NewClient(options))
	}
	ctx := t.Context()
	for i, node := range c.nodes {
		first, last := slotsOf(i)
		require.NoError(t, node.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", first, last).Err())
		// Else they settle in which order they claimed their slots among themselves.
		require.NoError(t, node.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		// All with all: hearsay takes longer.
		for _, other := range c.servers[:i] {
			require.NoError(t, node.Do(ctx, "CLUSTER", "MEET", "127.0.0.1", other.port, other.bus).Err())
		}
	}
	require.EventuallyWithT(t, func(t *assert.CollectT) { require.NoError(t, c.agree(ctx)) },
		time.Minute, 20*time.Millisecond)
	for _, node := range c.nodes {
		config, err := node.ConfigGet(ctx, "*").Result()
		require.NoError(t, err)
		c.config = append(c.config, config)
	}
	formed = true
	return c
}

// temporary is a directory that outlives a test.
func temporary() (string, error) { return os.MkdirTemp("", "tradetrail-cluster-") }

func slotsOf(node int) (first, last int) {
	return node * clusterSlots / clusterNodes, (node+1)*clusterSlots/clusterNodes - 1
}

func (c *cluster) url() string {
	var others []string
	for _, server := range c.servers[1:] {
		others = append(others, "addr="+server.address())
	}
	first := c.servers[0]
	return "redis+cluster://:" + first.password + "@" + first.address() + "?" + strings.Join(others, "&")
}

// agree tells whether each node has its slots, takes work, and knows the same of
// the others.
func (c *cluster) agree(ctx context.Context) error {
	for i, node := range c.nodes {
		info, err := node.ClusterInfo(ctx).Result()
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		for _, want := range []string{"cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3", "cluster_size:3"} {
			if !strings.Contains(info, want+"\r\n") {
				return fmt.Errorf("node %d: not %s:\n%s", i, want, info)
			}
		}
		ranges, err := node.ClusterSlots(ctx).Result() //nolint:staticcheck // what clients of 7.0 ask, and so what must be agreed upon
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		slices.SortFunc(ranges, func(a, b redis.ClusterSlot) int { return a.Start - b.Start })
		for j, r := range ranges {
			first, last := slotsOf(j)
			if len(ranges) != clusterNodes || r.Start != first || r.End != last ||
				len(r.Nodes) != 1 || r.Nodes[0].Addr != c.servers[j].address() {
				return fmt.Errorf("node %d: slots %v", i, ranges)
			}
		}
		// A slot on its way is told of by its own node only.
		nodes, err := node.ClusterNodes(ctx).Result()
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		if strings.ContainsAny(nodes, "[?") || strings.Contains(nodes, "disconnected") {
			return fmt.Errorf("node %d: nodes:\n%s", i, nodes)
		}
	}
	return nil
}

// reset makes the cluster as it was at first.
func (c *cluster) reset(ctx context.Context) error {
	for i, server := range c.servers {
		if server.running == nil || !server.running.alive() {
			return fmt.Errorf("node %d is not running", i)
		}
	}
	for i, node := range c.nodes {
		if err := errors.Join(
			node.ClientUnpause(ctx).Err(), // first: it would hold up the rest
			node.FlushAll(ctx).Err(), node.ScriptFlush(ctx).Err(), node.FunctionFlush(ctx).Err(),
		); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		config, err := node.ConfigGet(ctx, "*").Result()
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		if !maps.Equal(config, c.config[i]) {
			return fmt.Errorf("node %d is configured otherwise", i)
		}
	}
	return c.agree(ctx)
}

func (c *cluster) stop() {
	for _, node := range c.nodes {
		_ = node.Close()
	}
	for _, server := range c.servers {
		_ = server.stop() // a test that a dead node matters to has failed already
	}
	_ = os.RemoveAll(c.dir)
}
