package embedded_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/eventstore/embedded"
)

// envRequire makes a test fail that would otherwise be skipped for want of
// something outside of Go: CI must not pass because it tested less.
const envRequire = "TRADETRAIL_REQUIRE"

// TestNodeClients: the official clients for Node share no code with the one for
// Go; they append by BatchAppend, and one of them reads through Rust.
func TestNodeClients(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"@eventstore/db-client", "@kurrent/kurrentdb-client"} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			node := nodeProgram(t, client)
			server := open(t, t.TempDir(), embedded.Options{Listen: "127.0.0.1:0"})
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, node, "client.mjs", client, server.Address())
			cmd.Dir = "nodeclient"
			// These clients obey a proxy, for this machine too.
			cmd.Env = append(os.Environ(), "no_grpc_proxy=127.0.0.1")
			// Whoever still holds the output after the program was killed is not waited for.
			cmd.WaitDelay = 10 * time.Second
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}

// nodeProgram is the path of Node, if the client is installed too.
func nodeProgram(t *testing.T, client string) string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv(envRequire) == "1" {
		missing = t.Fatalf
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("the official Node clients are not tested: no program `node` on the PATH")
	}
	if _, err := os.Stat(filepath.Join("nodeclient", "node_modules", filepath.FromSlash(client), "package.json")); err != nil {
		missing("the official Node clients are not tested: %v; run `make node-client`", err)
	}
	return node
}
