package viewstest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Server is a redis-server that was started for tests, on a loopback port and
// with a password of its own. Its methods must be called from one goroutine.
type Server struct {
	program  string
	dir      string
	port     int
	bus      int // where it listens to other nodes of a cluster
	password string
	config   string

	running *process // nil: killed
}

// clusterState is what a node knows of its cluster.
const clusterState = "nodes.conf"

// startServer starts a server that keeps its files in a directory below root.
func startServer(program, root, password string, settings ...string) (*Server, error) {
	var err error
	for range 5 { // a port that was free may be taken by the time that Redis binds it
		s := &Server{program: program, password: password}
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		if s.bus, err = freePort(); err != nil {
			return nil, err
		}
		if s.dir, err = os.MkdirTemp(root, "redis"); err != nil {
			return nil, err
		}
		s.config = strings.Join(append([]string{
			"bind 127.0.0.1", "port " + strconv.Itoa(s.port), "cluster-port " + strconv.Itoa(s.bus),
			"requirepass " + password, `save ""`, "dir " + strconv.Quote(s.dir), "",
		}, settings...), "\n") + "\n"
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func (s *Server) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }
func (s *Server) url() string     { return "redis://:" + s.password + "@" + s.address() + "/0" }

func (s *Server) start() (err error) {
	s.running, err = launch(s.program, s.config)
	return err
}

// stop kills the server if it runs; it has nothing in it that is worth a
// farewell. An error says that it has ended of itself.
func (s *Server) stop() error {
	if s.running == nil {
		return nil
	}
	err := s.running.kill()
	s.running = nil
	return err
}

// Kill ends the server at once, as SIGKILL or a loss of power would. What it was
// told and has on its disk is there after Restart.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, s.stop())
}

// Restart starts the server again on the same port, after killing it if it runs,
// with what its disk holds: all for Persistent, nothing for others. A node of a
// cluster finds its place in it again.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill(t)
	require.NoError(t, s.start())
}

// RestartEmpty is Restart with an empty disk. A node of a cluster keeps its place.
func (s *Server) RestartEmpty(t testing.TB) {
	t.Helper()
	s.Kill(t)
	files, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	for _, file := range files {
		if file.Name() != clusterState {
			require.NoError(t, os.RemoveAll(filepath.Join(s.dir, file.Name())))
		}
	}
	require.NoError(t, s.start())
}

// freePort finds a port below the range from which the kernel gives ports to
// clients, so that a server which is killed and started again finds its port free.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := 20000 + rand.IntN(12000) //nolint:gosec // no secret
		var listener net.Listener
		listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("looking for a free port: %w", err)
}

// process is a redis-server that has been started once.
type process struct {
	cmd   *exec.Cmd
	said  strings.Builder // to be read when it has ended
	ended chan struct{}
}

// launch runs the program and returns when it takes connections.
func launch(program, config string) (*process, error) {
	p := &process{cmd: exec.CommandContext(context.Background(), program, "-"), ended: make(chan struct{})}
	p.cmd.Stdin = strings.NewReader(config) // not as arguments: those are for everybody to see
	dieWithParent(p.cmd)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	ready := make(chan error, 1)
	go p.run(stdout, ready)
	if err := <-ready; err != nil {
		<-p.ended
		return nil, err
	}
	return p, nil
}

func (p *process) run(stdout io.Reader, ready chan<- error) {
	defer close(p.ended)
	// Linux takes the thread that started a process for its parent: it must live as
	// long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		ready <- fmt.Errorf("starting redis-server: %w", err)
		return
	}
	up := false
	lines := bufio.NewScanner(stdout)
	for lines.Scan() { // to the end: a full pipe would stop the server
		p.said.WriteString(lines.Text() + "\n")
		if !up && strings.Contains(lines.Text(), "Ready to accept connections") {
			up = true
			ready <- nil
		}
	}
	err := p.cmd.Wait()
	if !up {
		ready <- fmt.Errorf("redis-server does not start: %w\n%s", errors.Join(err, lines.Err()), p.said.String())
	}
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("redis-server had ended of itself:\n%s", p.said.String())
	}
	return err
}
