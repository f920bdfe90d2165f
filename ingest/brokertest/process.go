package brokertest

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
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// Program finds a server's program. Without it the test is skipped, or fails where
// TRADETRAIL_REQUIRE=1 says that nothing may be missing.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	path, err := lookup(names)
	if err != nil {
		missing := t.Skipf
		if Required() {
			missing = t.Fatalf
		}
		missing("no test on a real server: %v", err)
	}
	return path
}

// Required reports whether nothing may be missing.
func Required() bool { return os.Getenv("TRADETRAIL_REQUIRE") == "1" }

func lookup(names []string) (string, error) {
	var problems []error
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err == nil {
			return path, nil
		}
		problems = append(problems, err)
	}
	return "", errors.Join(problems...)
}

// FreePort finds a port of loopback below the range from which the kernel gives
// ports to clients, so that a server which is killed and started again finds its
// port free.
func FreePort() (int, error) {
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

// Process is a server that runs.
type Process struct {
	cmd   *exec.Cmd
	said  strings.Builder // to be read when it has ended
	ended chan struct{}
}

// Launch starts a program and returns when it has said that it is ready. The
// kernel ends it with this process.
func Launch(cmd *exec.Cmd, ready string) (*Process, error) {
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	dieWithParent(cmd)
	output, input, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = input, input
	up := make(chan error, 1)
	go p.run(output, input, ready, up)
	if err := <-up; err != nil {
		<-p.ended
		return nil, err
	}
	return p, nil
}

func (p *Process) run(output io.ReadCloser, input io.Closer, ready string, up chan<- error) {
	defer close(p.ended)
	defer output.Close()
	// Linux takes the thread that started a process for its parent: it must live as
	// long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	_ = input.Close() // the process has its own
	if err != nil {
		up <- fmt.Errorf("starting %s: %w", p.cmd.Path, err)
		return
	}
	told := false
	lines := bufio.NewScanner(output)
	for lines.Scan() { // to the end: a full pipe would stop the server
		if !told {
			p.said.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), ready) {
				told = true
				up <- nil
			}
		}
	}
	err = p.cmd.Wait()
	if !told {
		up <- fmt.Errorf("%s does not start: %w\n%s", p.cmd.Path, errors.Join(err, lines.Err()), p.said.String())
	}
}

// Kill ends the process as a loss of power would, and waits.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	if errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s had ended of itself", p.cmd.Path)
	}
	return err
}
