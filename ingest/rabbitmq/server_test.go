package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/ingest/brokertest"
)

// server is a RabbitMQ of the tests' own. It takes seconds to start, so all tests
// of a run share one.
type server struct {
	mu      sync.Mutex
	program string
	dir     string
	port    int
	env     []string
	epmd    *brokertest.Process // where Erlang nodes find each other, also that of our own
	process *brokertest.Process
}

var shared server

// start returns the server, which runs.
func start(t testing.TB) *server {
	t.Helper()
	s := &shared
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		// Not Debian's wrapper in the path: it runs as another user, on files of the
		// whole machine.
		s.program = brokertest.Program(t, "/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
		epmd := brokertest.Program(t, "epmd")
		require.NoError(t, s.prepare(epmd))
		require.NoError(t, s.up())
	}
	return s
}

// prepare makes everything that the server needs in a folder of its own, and ports
// of its own: another RabbitMQ may run on the machine.
func (s *server) prepare(epmd string) (err error) {
	if s.dir, err = os.MkdirTemp("", "rabbitmq"); err != nil { // it outlives the test
		return err
	}
	var ports [3]int
	for i := range ports {
		if ports[i], err = brokertest.FreePort(); err != nil {
			return err
		}
	}
	s.port = ports[0]
	config := fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%d\nlog.console = true\nlog.file = false\nlog.console.level = info\n"+
		"vm_memory_high_watermark.absolute = 2GB\ndisk_free_limit.absolute = 50MB\n", s.port)
	if err := errors.Join(
		os.WriteFile(filepath.Join(s.dir, "rabbitmq.conf"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(s.dir, "enabled_plugins"), []byte("[].\n"), 0o600),
	); err != nil {
		return err
	}
	s.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LANG=C.UTF-8", // the cookie is in HOME
		"ERL_EPMD_ADDRESS=127.0.0.1", "ERL_EPMD_PORT=" + strconv.Itoa(ports[1]),
		"RABBITMQ_NODENAME=tradetrail@localhost", "RABBITMQ_DIST_PORT=" + strconv.Itoa(ports[2]),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		"RABBITMQ_CONFIG_FILE=" + filepath.Join(s.dir, "rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(s.dir, "enabled_plugins"),
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(s.dir, "mnesia"), "RABBITMQ_LOG_BASE=" + filepath.Join(s.dir, "log"),
		"RABBITMQ_PID_FILE=" + filepath.Join(s.dir, "pid"), "RABBITMQ_LOGS=-",
		"RUNNING_UNDER_SYSTEMD=true", // makes the script become the server, so that who kills it kills the server
	}
	// Started here, it ends with us; the server would leave one behind.
	cmd := exec.CommandContext(context.Background(), epmd, "-d", "-address", "127.0.0.1", "-port", strconv.Itoa(ports[1]))
	s.epmd, err = brokertest.Launch(cmd, "epmd running")
	return err
}

func (s *server) up() (err error) {
	cmd := exec.CommandContext(context.Background(), s.program)
	cmd.Env, cmd.Dir = s.env, s.dir
	s.process, err = brokertest.Launch(cmd, "Server startup complete")
	return err
}

func (s *server) restart(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.NoError(t, s.process.Kill())
	require.NoError(t, s.up())
}

func (s *server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var problems []error
	for _, p := range []*brokertest.Process{s.process, s.epmd} {
		if p != nil {
			problems = append(problems, p.Kill())
		}
	}
	if s.dir != "" {
		problems = append(problems, os.RemoveAll(s.dir))
	}
	return errors.Join(problems...)
}

func (s *server) url() string {
	return "amqp://guest:guest@" + net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) + "/"
}
