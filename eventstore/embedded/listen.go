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

// listener is the node's socket. A unix socket in a directory of its own needs
// no free port, and the directory's mode decides who may connect.
type listener struct {
	net.Listener
	dir string // to remove, or ""
}

func listen() (*listener, error) {
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
