package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// maxSocketPath is what a socket address holds on every system we run on.
const maxSocketPath = 100

// listener is where the node serves.
type listener struct {
	net.Listener
	dir string // to remove, or ""
}

func listen(address string) (*listener, error) {
	if address != "" {
		return listenTCP(address)
	}
	return listenUnix()
}

// listenUnix needs no free port, and the mode of the socket's directory
// decides who may connect.
func listenUnix() (*listener, error) {
	dir, err := socketDir()
	if err != nil {
		return nil, fmt.Errorf("making a directory for the socket: %w", err)
	}
	path := filepath.Join(dir, "node.sock")
	inner, err := new(net.ListenConfig).Listen(context.Background(), "unix", path)
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

func (l *listener) cleanUp() error {
	if l.dir == "" {
		return nil
	}
	return os.RemoveAll(l.dir)
}
