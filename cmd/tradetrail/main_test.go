package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRun_ExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"help":                {[]string{"--help"}, exitOK, ""},
		"version":             {[]string{"version"}, exitOK, ""},
		"unknown command":     {[]string{"serv"}, exitUsage, `unknown command "serv"`},
		"unknown flag":        {[]string{"serve", "--prot", "1"}, exitUsage, "unknown flag: --prot"},
		"missing argument":    {[]string{"chain"}, exitUsage, "expected 1 argument(s) [ORDER]"},
		"unknown format":      {[]string{"import", "--format", "xml", "--data-dir", "unused", "testdata/none"}, exitError, "opening the file"},
		"bad log level":       {[]string{"serve", "--log-level", "loud"}, exitUsage, "none of debug, info, warn, error"},
		"listening for all":   {[]string{"serve", "--listen", "0.0.0.0:8080"}, exitUsage, "not a loopback address"},
		"bad address":         {[]string{"serve", "--listen", "8080"}, exitUsage, "is not HOST:PORT"},
		"store for all":       {[]string{"serve", "--eventstore-listen", "0.0.0.0:2113"}, exitUsage, "eventstore-listen: \"0.0.0.0:2113\" is not a loopback address, and the embedded event store has no authentication"},
		"another's clients":   {[]string{"serve", "--eventstore", "esdb://h", "--eventstore-listen", "127.0.0.1:2113"}, exitUsage, "eventstore-listen: is for the embedded event store"},
		"bad keep":            {[]string{"serve", "--keep", "90 days"}, exitUsage, `"90 days" is not a length of time such as 90d, 2w, 12h or 36h30m, or 0 for ever`},
		"keep too short":      {[]string{"serve", "--keep", "10m"}, exitUsage, "is shorter than 1h"},
		"bad rate":            {[]string{"rebuild", "--rate", "0"}, exitUsage, "--rate must be at least 1"},
		"below nothing":       {[]string{"rebuild", "--rate=-1"}, exitUsage, "--rate must be at least 1"},
		"cancel at a rate":    {[]string{"rebuild", "--cancel", "--rate", "5"}, exitError, "none of the others can be"},
		"a view's format":     {[]string{"projections", "--format", "xml"}, exitUsage, `unknown format "xml": table or json`},
		"a parked format":     {[]string{"projections", "parked", "--format", "csv"}, exitUsage, `unknown format "csv": table or json`},
		"a view by itself":    {[]string{"projections", "users"}, exitUsage, "expected 0 argument(s)"},
		"rebuild of nobody":   {[]string{"rebuild", "--server", "http://127.0.0.1:1"}, exitError, "asking http://127.0.0.1:1"},
		"bad server":          {[]string{"chain", "x", "--server", "ftp://x"}, exitUsage, "is not a URL"},
		"no server":           {[]string{"chain", "x", "--server", "http://127.0.0.1:1"}, exitError, "asking http://127.0.0.1:1"},
		"bad Redis URL":       {[]string{"serve", "--listen", "127.0.0.1:0", "--redis", "http://x", "--data-dir", filepath.Join(t.TempDir(), "d")}, exitError, "reading the Redis URL"},
		"bad event store URL": {[]string{"serve", "--listen", "127.0.0.1:0", "--eventstore", "http://x"}, exitError, "reading the connection string"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := tradetrail("", c.args...)
			assert.Equal(t, c.code, code, stderr)
			assert.Contains(t, stderr, c.stderr)
		})
	}
}
