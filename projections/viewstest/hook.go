package viewstest

import (
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// Hook adds a hook to a client that has sent nothing yet, so that it sees every
// exchange with every server. A cluster client's own AddHook does not see what is
// sent within Watch, nor to which node a pipeline goes.
func Hook(client redis.UniversalClient, hook redis.Hook) {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		cluster.OnNewNode(func(node *redis.Client) { node.AddHook(hook) })
		return
	}
	client.AddHook(hook)
}

// Dialing is a goroutine of a client that could not reach its server: every second it
// looks whether that has changed, or the client was closed. For goleak to pass over.
func Dialing() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
}
