package graph_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/graph"
)

// envRequire makes a test fail that would otherwise be skipped for want of
// something outside of Go: CI must not pass because it tested less.
const envRequire = "TRADETRAIL_REQUIRE"

// unmet are the audits that fail, and why they may. None of a MUST has a place
// here, and what passes has none either.
var unmet = map[string]string{}

// TestAudit: graphql-http is the reference implementation of the specification,
// and its audits share no code with us.
func TestAudit(t *testing.T) {
	t.Parallel()
	node := nodeProgram(t)
	server := httptest.NewServer(graph.NewServer(nil, &fake{}, nil, nil, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "audit.mjs", server.URL+"/graphql")
	cmd.Dir = "audit"
	cmd.WaitDelay = 10 * time.Second
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, "%s", &problems)
	var audits []struct {
		ID, Name, Reason string
		OK               bool
	}
	require.NoError(t, json.Unmarshal(out, &audits))
	assert.GreaterOrEqual(t, len(audits), 60, "audits of the version that package.json pins")
	seen := map[string]bool{}
	for _, a := range audits {
		seen[a.ID] = true
		reason, listed := unmet[a.ID]
		switch {
		case a.OK:
			assert.False(t, listed, "%s passes, and is listed as failing: %s", a.ID, a.Name)
		case strings.HasPrefix(a.Name, "MUST"):
			assert.Fail(t, "a MUST fails", "%s %s: %s", a.ID, a.Name, a.Reason)
		default:
			assert.True(t, listed && reason != "", "%s fails without a reason given: %s: %s", a.ID, a.Name, a.Reason)
		}
	}
	for id := range unmet {
		assert.True(t, seen[id], "there is no audit %s", id)
	}
}

// nodeProgram is the path of Node, if the audits are installed too.
func nodeProgram(t *testing.T) string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv(envRequire) == "1" {
		missing = t.Fatalf
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("GraphQL over HTTP is not audited: no program `node` on the PATH")
	}
	if _, err := os.Stat(filepath.Join("audit", "node_modules", "graphql-http", "package.json")); err != nil {
		missing("GraphQL over HTTP is not audited: %v; run `make graphql-audit`", err)
	}
	return node
}
