package embedded

import (
	"context"
	"net"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
)

// serverVersion is the EventStoreDB version whose protocol the node speaks.
// Clients parse it as three numbers and turn features on by it.
const serverVersion = "24.10.5"

// The services by the names that EventStoreDB gives them here: in lower case.
const (
	streamsService    = "event_store.client.streams.streams"
	persistentService = "event_store.client.persistent_subscriptions.persistentsubscriptions"
)

type featuresServer struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

// GetSupportedMethods implements the ServerFeatures service.
func (*featuresServer) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	method := func(name string, features ...string) *serverfeatures.SupportedMethod {
		return &serverfeatures.SupportedMethod{ServiceName: streamsService, MethodName: name, Features: features}
	}
	methods := []*serverfeatures.SupportedMethod{
		method("read", "position", "events"),
		method("append"),
		method("delete"),
		method("tombstone"),
		method("batchappend", "deadline_duration"),
	}
	// Clients call a method that is named here over gRPC, where they get a clear
	// refusal. Of the others they say that the server is too old, or they look
	// for them in its HTTP interface.
	for _, name := range []string{"create", "update", "delete", "read", "getinfo", "replayparked", "list", "restartsubsystem"} {
		methods = append(methods, &serverfeatures.SupportedMethod{
			ServiceName: persistentService, MethodName: name, Features: []string{"stream", "all"},
		})
	}
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: serverVersion, Methods: methods}, nil
}

type gossipServer struct {
	gossip.UnimplementedGossipServer
	node *Node
}

// Read implements the Gossip service: a cluster of one, which leads.
func (s *gossipServer) Read(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	endpoint := &gossip.EndPoint{Address: s.node.listener.Addr().String()}
	if tcp, ok := s.node.listener.Addr().(*net.TCPAddr); ok {
		endpoint.Address, endpoint.Port = tcp.IP.String(), uint32(tcp.Port) //nolint:gosec // a port
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId:   &shared.UUID{Value: &shared.UUID_String_{String_: s.node.instance.String()}},
		TimeStamp:    ticks(s.node.opts.Now()),
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: endpoint,
	}}}, nil
}
