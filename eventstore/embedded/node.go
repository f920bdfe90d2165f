package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

const (
	// maxMessageBytes is what EventStoreDB's clients accept, and more than the
	// largest append.
	maxMessageBytes = 17 << 20
	// minPing: clients ping every 10 s even when idle. grpc's own default
	// would answer that by cutting their subscriptions off.
	minPing = 5 * time.Second
	// maxDiscoverAttempts keeps a client alive through restarts of the node:
	// once its attempts are used up it stays dead for ever.
	maxDiscoverAttempts = 1_000_000

	// streamWorkers handle requests on stacks that have grown already; more
	// requests than that get goroutines of their own.
	streamWorkers = 64
	// The windows hold the largest append. Being fixed, they spare both sides
	// the pings and updates by which grpc would find their size.
	streamWindow = 1 << 20
	connWindow   = 16 << 20

	defaultCacheBytes = 64 << 20
	// defaultMemTableBytes also bounds the write-ahead log that an open replays.
	defaultMemTableBytes = 32 << 20
	defaultReserveBytes  = 256 << 20
	defaultCloseTimeout  = 5 * time.Second
	defaultMaxAppendSize = 1 << 20
	largestMaxAppendSize = 16 << 20
)

// Options of a node. The zero value is a working configuration.
type Options struct {
	// Listen is a TCP address on the loopback interface, such as
	// "127.0.0.1:2113", for clients outside this process. Anybody on the
	// machine may then connect: the protocol has no credentials without TLS.
	// Empty is a unix socket which only this user can reach: in a directory below
	// the store, or where its path would be too long, in one for temporary files.
	Listen string
	// Logger takes the node's log. Nil discards it.
	Logger *slog.Logger
	// FS is the file system to store on. Nil is the operating system's.
	FS vfs.FS
	// CacheBytes is the size of the block cache. 0 is 64 MiB.
	CacheBytes int64
	// MaxAppendSize bounds the events of one append, in bytes. 0 is 1 MiB,
	// EventStoreDB's default; more than 16 MiB is 16 MiB.
	MaxAppendSize int
	// ReserveBytes is how much room the disk must have for appends: with less they
	// get RESOURCE_EXHAUSTED, until there is room again, while reads go on. 0 is
	// 256 MiB, which is more than the node needs to write what it has acknowledged.
	ReserveBytes uint64
	// CloseTimeout is how long Close waits for running requests. 0 is 5 seconds.
	CloseTimeout time.Duration
	// Now is the clock behind the events' `created`. Nil is time.Now.
	Now func() time.Time

	// memTableBytes is smaller in tests, so that Pebble moves its data about
	// more often.
	memTableBytes int
	// still keeps Pebble from rewriting tables: what is open for a moment only
	// need not become tidier.
	still bool
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.memTableBytes <= 0 {
		o.memTableBytes = defaultMemTableBytes
	}
	if o.MaxAppendSize <= 0 {
		o.MaxAppendSize = defaultMaxAppendSize
	}
	o.MaxAppendSize = min(o.MaxAppendSize, largestMaxAppendSize)
	if o.ReserveBytes == 0 {
		o.ReserveBytes = defaultReserveBytes
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = defaultCloseTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Node is a running event store. Its methods may be called concurrently.
type Node struct {
	opts     Options
	instance uuid.UUID // of this run, for gossip
	disk     *freezer
	log      *eventLog
	writer   *writer
	listener *listener
	server   *grpc.Server
	channel  *channel
	// backing is full while a backup runs, and for ever once none may begin.
	backing chan struct{}
	// readers are the goroutines that outlive their request handler by a
	// moment, because only its return makes their blocked Recv come back.
	readers sync.WaitGroup

	stopOnce sync.Once
	stopping chan struct{} // closed when the node begins to stop
	done     chan struct{} // closed when everything is released
	mu       sync.Mutex
	cause    error // why it stops
}

// Open opens or creates the node's store in dir and serves it. The caller
// must Close the node.
//
// dir belongs to one node at a time: if another one has it, Open fails with
// ErrInUse. If its files are damaged, Open fails with an IntegrityError. How
// much is stored does not matter to how long Open takes.
func Open(dir string, opts Options) (*Node, error) {
	n, err := open(dir, opts.withDefaults())
	if err != nil {
		if pebble.IsCorruptionError(err) {
			err = &IntegrityError{Err: err}
		}
		return nil, fmt.Errorf("opening event store in %s: %w", dir, err)
	}
	return n, nil
}

func open(dir string, opts Options) (*Node, error) {
	n := &Node{
		opts: opts, instance: uuid.New(), backing: make(chan struct{}, 1),
		stopping: make(chan struct{}), done: make(chan struct{}),
	}
	n.disk = newFreezer(opts.FS, n.stop)
	n.disk.spareDir = opts.FS.PathJoin(dir, backupDirName)
	log, err := openLog(dir, n.disk, opts)
	if err := errors.Join(n.disk.err(), err); err != nil {
		if log != nil {
			err = errors.Join(err, log.close())
		}
		return nil, err
	}
	n.log = log
	// What a process left there that was killed in the middle of a backup.
	if err := opts.FS.RemoveAll(n.disk.spareDir); err != nil {
		return nil, errors.Join(err, log.close())
	}
	if n.writer, err = newWriter(log, n.disk, space{fs: opts.FS, dir: dir, reserve: opts.ReserveBytes}, opts.Now); err != nil {
		return nil, errors.Join(err, log.close())
	}
	if n.listener, err = listen(dir, opts); err != nil {
		return nil, errors.Join(err, log.close())
	}
	n.server, n.channel = newServer(), newChannel()
	for _, registrar := range []grpc.ServiceRegistrar{n.server, n.channel} {
		streams.RegisterStreamsServer(registrar, &streamsServer{node: n})
		persistent.RegisterPersistentSubscriptionsServer(registrar, &persistentServer{node: n})
		serverfeatures.RegisterServerFeaturesServer(registrar, &featuresServer{})
		gossip.RegisterGossipServer(registrar, &gossipServer{node: n})
	}
	go n.run()
	return n, nil
}

func newServer() *grpc.Server {
	return grpc.NewServer(
		grpc.ForceServerCodecV2(wire.NewCodec()),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
		grpc.SharedWriteBuffer(true),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connWindow),
	)
}

// Address is what grpc.NewClient and esdb.Configuration.Address take.
func (n *Node) Address() string { return n.listener.address() }

// Conn is a connection for the protocol's stubs from within this process. It
// costs a fraction of a socket and behaves like one: calls honour their contexts,
// and fail with UNAVAILABLE once the node stops.
func (n *Node) Conn() grpc.ClientConnInterface { return n.channel }

// Configuration is for esdb.NewClient.
func (n *Node) Configuration() (*esdb.Configuration, error) {
	cfg, err := esdb.ParseConnectionString(fmt.Sprintf(
		"esdb://embedded:1?tls=false&maxDiscoverAttempts=%d&keepAliveInterval=10000&keepAliveTimeout=5000", maxDiscoverAttempts))
	if err != nil {
		return nil, fmt.Errorf("configuring a client of the event store: %w", err)
	}
	cfg.Address = n.Address()
	logger := n.opts.Logger
	// The client logs what it also returns; its callers decide what of it matters.
	cfg.Logger = func(level esdb.LogLevel, format string, args ...any) {
		ctx := context.Background()
		if logger.Enabled(ctx, slog.LevelDebug) {
			logger.DebugContext(ctx, "event store client",
				slog.String("client_level", level), slog.String("detail", fmt.Sprintf(format, args...)))
		}
	}
	return cfg, nil
}

// Done is closed when the node has stopped, because of Close or because its
// storage failed, and has released everything.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err is why the node stopped: nil while it runs and after a clean Close.
func (n *Node) Err() error {
	select {
	case <-n.done:
	default:
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cause
}

// Check reads everything that is stored: every checksum, positions and revisions
// without gaps, and that the index of the streams says the same as the log. It
// returns the number of events, or an IntegrityError. Nobody may append meanwhile.
func (n *Node) Check(ctx context.Context) (events uint64, err error) {
	events, err = n.log.selfCheck(ctx)
	if pebble.IsCorruptionError(err) {
		err = &IntegrityError{Err: err}
	}
	return events, err
}

// Close stops the node: subscriptions end, running requests get CloseTimeout
// to finish, then the store is closed. It returns what Err returns and may be
// called more than once.
func (n *Node) Close() error {
	n.stop(nil)
	<-n.done
	return n.Err()
}

// stop begins the end of the node. Only the first cause counts. It doesn't
// wait, so that the goroutine which meets a failure can call it.
func (n *Node) stop(cause error) {
	n.stopOnce.Do(func() {
		n.mu.Lock()
		n.cause = cause
		n.mu.Unlock()
		close(n.stopping)
	})
}

func (n *Node) isStopping() bool {
	select {
	case <-n.stopping:
		return true
	default:
		return false
	}
}

// run owns all goroutines of the node, and stops them in the order in which
// they depend on each other.
func (n *Node) run() {
	var writing, serving sync.WaitGroup
	writing.Go(n.writer.write)
	writing.Go(n.writer.commit)
	serving.Go(func() {
		// Serve returns nil after Stop; anything else means nobody can connect any more.
		if err := n.server.Serve(n.listener); err != nil {
			n.stop(fmt.Errorf("serving: %w", err))
		}
	})

	<-n.stopping
	n.mu.Lock()
	cause := n.cause
	n.mu.Unlock()
	if cause != nil {
		n.opts.Logger.ErrorContext(context.Background(), "event store stops", slog.Any("error", cause))
	}
	n.stopServer()
	serving.Wait()
	n.readers.Wait()
	// No handler is left, so nobody submits any more.
	close(n.writer.requests)
	writing.Wait()
	n.backing <- struct{}{} // a running backup ends too: it reads the store's files
	err := errors.Join(n.listener.cleanUp(), n.log.close())
	if cause == nil && err != nil {
		n.mu.Lock()
		n.cause = fmt.Errorf("closing event store: %w", err)
		n.mu.Unlock()
	}
	close(n.done)
}

func (n *Node) stopServer() {
	var graceful sync.WaitGroup
	timer := time.AfterFunc(n.opts.CloseTimeout, func() {
		n.channel.cancel()
		n.server.Stop()
	})
	graceful.Go(n.channel.close)
	graceful.Go(n.server.GracefulStop)
	graceful.Wait()
	timer.Stop()
	n.channel.cancel()
}
