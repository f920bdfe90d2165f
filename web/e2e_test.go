package web_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// needs skips a test that lacks something, or fails it where all must be there.
func needs(t *testing.T, there bool, what string) {
	t.Helper()
	if there {
		return
	}
	if os.Getenv("TRADETRAIL_REQUIRE") != "" {
		require.FailNow(t, what)
	}
	t.Skip(what)
}

// realFlow is the file of a real order flow; empty if it is not there, and then the tests
// with it say so and are skipped.
func realFlow(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TRADETRAIL_LOBSTER"); path != "" {
		return path
	}
	found, err := filepath.Glob("../../shared/data/lobster/*_message_*.csv")
	require.NoError(t, err)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// The dashboard in Chromium against the real program: e2e/dashboard.test.mjs. With
// TRADETRAIL_SCREENSHOTS it leaves pictures of the views in that folder.
func TestDashboard_InABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a browser and a minute; not with -short")
	}
	node, err := exec.LookPath("node")
	needs(t, err == nil, "there is no node: install Node.js 20")
	chromium, err := exec.LookPath("chromium")
	needs(t, err == nil, "there is no chromium: install Debian's package of this name")
	_, err = os.Stat("node_modules/playwright-core")
	needs(t, err == nil, "run `make web-packages` first")

	binary := filepath.Join(t.TempDir(), "tradetrail")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../cmd/tradetrail")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	run := exec.CommandContext(t.Context(), node, "--test", "--test-concurrency=1", "--test-reporter=spec", "e2e/dashboard.test.mjs")
	run.Env = append(os.Environ(), "TRADETRAIL_BINARY="+binary, "TRADETRAIL_CHROMIUM="+chromium)
	if flow := realFlow(t); flow != "" {
		run.Env = append(run.Env, "TRADETRAIL_LOBSTER="+flow)
	}
	out, err = run.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
}
