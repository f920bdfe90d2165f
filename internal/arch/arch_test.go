// Package arch_test holds the import rule: data flows downhill. It is a test
// over `go list`, so it can't be forgotten.
package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/tradetrail/tradetrail/"

// allowed says which of our folders each folder may import, besides itself and
// what is below it. What is not listed may import nothing of ours.
var allowed = map[string][]string{
	"domain":              {},
	"domain/filter":       {"domain"},
	"domain/rules":        {"domain", "domain/filter"},
	"eventstore":          {"domain", "internal/backoff"},
	"eventstore/embedded": {"eventstore/internal/wire"}, // speaks the protocol; knows nothing of audit events
	"eventstore/internal": {},
	"ingest":              {"domain", "eventstore", "internal/backoff", "internal/route"},
	"tlog":                {"domain", "eventstore", "internal/backoff", "internal/durable"},
	"tlog/stamp":          {"domain"},
	"tlog/verify":         {"domain", "tlog/stamp"}, // runs at the examiner's: no server, no Redis, no gRPC
	"tlog/tiles":          {"domain", "tlog/verify"},
	"projections":         {"domain", "eventstore", "internal/backoff", "internal/durable", "internal/route"},
	"internal/authz":      {"domain", "ingest", "projections/views", "tlog"},
	"graph":               {"domain", "ingest", "projections/views", "internal/authz", "internal/backoff", "internal/casework", "internal/report", "tlog"},
	"internal/rest":       {"domain", "ingest", "projections/views", "internal/authz", "internal/casework", "internal/csvcell", "internal/report", "tlog"},
	"internal/casework":   {"domain", "ingest", "projections/views", "internal/authz"},
	"internal/report":     {"domain", "ingest", "projections/views", "internal/authz", "internal/backoff", "internal/csvcell", "internal/durable", "tlog/prove", "tlog/verify"},
	"internal/csvcell":    {"domain"},
	"internal/config":     {"domain"},
	"internal/bucket":     {"domain"},
	"internal/backoff":    {},
	"internal/durable":    {},
	"internal/route":      {},
	"internal/obs":        {"domain"},
	"internal/remote":     {"domain", "ingest", "internal/backoff"},
	"client":              {"domain", "internal/backoff", "internal/durable"}, // runs within trading systems
	"internal/agent":      {"domain", "client", "ingest"},
	"web":                 {}, // files
	"internal/app":        {"domain", "eventstore", "ingest", "projections", "graph", "internal", "tlog", "web"},
	"cmd/tradetrail":      {"domain", "client", "ingest", "internal", "tlog"},

	"cmd/tradetrail-verify":      {"domain", "tlog/stamp", "tlog/verify", "tlog/tiles"},
	"docs/examples/verifybundle": {}, // for strangers: the standard library alone
	"deploy":                     {},
	"internal/arch":              {},
	"internal/faulttest":         {}, // for tests only
}

func TestImports_FlowDownhill(t *testing.T) {
	type pkg struct {
		ImportPath string
		Imports    []string
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	found := 0
	for decoder := json.NewDecoder(out); ; found++ {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		from := strings.TrimPrefix(p.ImportPath, module)
		folder, rule := ruleOf(from)
		if !assert.NotNil(t, rule, "%s stands in no folder of the import rule", from) {
			continue
		}
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if ours && !below(to, folder) {
				assert.True(t, permitted(to, rule), "%s imports %s: data flows downhill", from, to)
			}
		}
	}
	require.NoError(t, cmd.Wait())
	assert.Greater(t, found, 10)
}

// What an examiner runs must be small enough to be read by one: nothing of the
// server comes along, however far away it is imported.
func TestVerifier_BringsNoServerAlong(t *testing.T) {
	for of, denied := range map[string][]string{
		"cmd/tradetrail-verify": {
			"google.golang.org/grpc", "github.com/redis/", "github.com/EventStore/", "github.com/cockroachdb/", "go.opentelemetry.io/", "k8s.io/",
			"github.com/transparency-dev/tessera/storage", "github.com/prometheus/", module + "eventstore", module + "projections", module + "internal",
		},
		"docs/examples/verifybundle": {"github.com/", "golang.org/x/"},
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+of).Output()
		require.NoError(t, err)
		packages := strings.Fields(string(out))
		require.Contains(t, packages, module+of)
		for _, p := range packages[:len(packages)-1] {
			for _, prefix := range denied {
				assert.False(t, strings.HasPrefix(p, prefix), "%s brings %s along", of, p)
			}
		}
	}
}

// ruleOf finds the longest listed folder that a package stands in.
func ruleOf(path string) (folder string, rule []string) {
	for candidate, r := range allowed {
		if below(path, candidate) && len(candidate) > len(folder) {
			folder, rule = candidate, r
		}
	}
	return folder, rule
}

func below(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func permitted(to string, rule []string) bool {
	for _, folder := range rule {
		if below(to, folder) {
			return true
		}
	}
	return false
}
