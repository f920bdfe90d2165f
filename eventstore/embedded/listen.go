package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// maxSocketPath is what a socket address holds on every system we run on.
const maxSocketPath = 100

const (
	socketDirName = "socket" // below the store's directory
	socketName    = "node.sock"
)

// listener is where the node serves.
type listener struct {
	net.Listener
	dir string // to remove, or ""
}

// listen opens the listener of the store in dir, whose lock the caller holds.
func listen(dir string, opts Options) (*listener, error) {
	onDisk := opts.FS == vfs.Default
	if onDisk {
		// What a process left there that was killed.
		if err := os.RemoveAll(filepath.Join(dir, socketDirName)); err != nil {
			return nil, fmt.Errorf("removing a socket: %w", err)
		}
	}
	if opts.Listen != "" {
		return listenTCP(opts.Listen)
	}
	if onDisk {
		if l, ok := listenBeside(dir); ok {
			return l, nil
		}
	}
	return listenElsewhere()
}

// listenBeside puts the socket below the store: a process that was killed leaves
// nothing behind that way, because the next one to hold the directory's lock
// puts its own in the place. ok is false where the path is too long, or the
// file system has no sockets.
func listenBeside(store string) (l *listener, ok bool) {
	absolute, err := filepath.Abs(store)
	if err != nil {
		return nil, false
	}
	dir := filepath.Join(absolute, socketDirName)
	path := filepath.Join(dir, socketName)
	if len(path) > maxSocketPath || os.Mkdir(dir, dirMode) != nil {
		return nil, false
	}
	inner, err := new(net.ListenConfig).Listen(context.Background(), "unix", path)
	if err != nil {
		_ = os.RemoveAll(dir) // empty, and replaced by the next open
		return nil, false
	}
	return &listener{Listener: inner, dir: dir}, true
}

// listenElsewhere makes a new directory for temporary files, which a killed
// process leaves there: nobody could tell it from one just being made.
func listenElsewhere() (*listener, error) {
	dir, err := socketDir()
	if err != nil {
		return nil, fmt.Errorf("making a directory for the socket: %w", err)
	}
	inner, err := new(net.ListenConfig).Listen(context.Background(), "unix", filepath.Join(dir, socketName))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening: %w", err), os.RemoveAll(dir))
	}
	return &listener{Listener: inner, dir: dir}, nil
}

// socketDir makes a directory that only this user can enter (MkdirTemp's mode
// is 0700), with a path short enough for a socket.
func socketDir() (string, error) {
	parent := os.TempDir()
	if len(parent) > maxSocketPath-len("/tradetrail-0123456789/node.sock") {
		parent = "/tmp"
	}
	return os.MkdirTemp(parent, "tradetrail-")
}

// listenTCP listens on the loopback interface only: without TLS there are no
// credentials, so the machine's border is the only one there is.
func listenTCP(address string) (*listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && !ip.IsLoopback() {
		return nil, fmt.Errorf("listening on %s: not a loopback address, and the node has no authentication", address)
	}
	inner, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	if tcp, ok := inner.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return nil, errors.Join(fmt.Errorf("listening on %s: %s is not a loopback address", address, inner.Addr()), inner.Close())
	}
	return &listener{Listener: inner}, nil
}

// address is in the form that grpc.NewClient takes.
func (l *listener) address() string {
	if l.Addr().Network() == "unix" {
		return "unix://" + l.Addr().String()
	}
	return l.Addr().String()
}

// cleanUp is called while the store's lock is still held: afterwards, the socket
// below the store may be that of another process.
func (l *listener) cleanUp() error {
	if l.dir == "" {
		return nil
	}
	return os.RemoveAll(l.dir)
}
