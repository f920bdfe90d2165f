package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/ingest/fix/fixtest"
	"github.com/tradetrail/tradetrail/internal/app"
	"github.com/tradetrail/tradetrail/internal/config"
)

func fixFile(t *testing.T, first int, messages ...string) string {
	t.Helper()
	var log strings.Builder
	for i, message := range messages {
		fmt.Fprintf(&log, "14:30:00.%03d OUT %s\n", i, fixtest.Bars(fixtest.Message(first+i, message)))
	}
	path := filepath.Join(t.TempDir(), "session.log")
	require.NoError(t, os.WriteFile(path, []byte(log.String()), 0o600))
	return path
}

var firstDay = []string{
	"35=D|11=A|1=ACC-1|55=MSFT|54=1|38=100|60=20260302-14:30:00",
	"35=8|11=A|37=V|17=1|150=0|39=0|1=ACC-1|55=MSFT",
	"35=G|11=B|41=A|55=MSFT|54=1|38=120|60=20260302-14:30:01",
	"35=8|11=B|41=A|37=V|17=2|150=5|39=0|38=120",
}

var secondDay = []string{
	"35=G|11=C|41=B|55=MSFT|54=1|38=150|60=20260303-14:30:01",
	"35=8|11=C|41=B|37=V|17=3|150=5|39=0|38=150",
	"35=8|11=C|37=V|17=4|150=F|39=2|32=150|31=9",
}

func TestImport_FIXThroughAServer(t *testing.T) {
	server := startServer(t, t.TempDir(), "")
	path := fixFile(t, 1, append(firstDay, secondDay...)...)
	code, stdout, stderr := tradetrail("", "import", "--format", "fix", "--server", server.URL, path)
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, "9 recorded, 0 duplicate, 0 rejected") // with the links of B and C
	code, stdout, stderr = tradetrail("", "import", "--format", "fix", "--server", server.URL, path)
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, "0 recorded, 9 duplicate, 0 rejected")
	server.caughtUp()
	code, stdout, stderr = tradetrail("", "chain", "--server", server.URL, "A")
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, string(domain.OrderReplaced))
	assert.Contains(t, stdout, string(domain.StatusFilled))

	// Marked as sent again, under another number: known. Without the mark: kept,
	// as a conflict.
	again := fixFile(t, 90, firstDay[0]+"|97=Y", firstDay[0])
	code, stdout, _ = tradetrail("", "import", "--format", "fix", "--server", server.URL, again)
	assert.Equal(t, exitError, code)
	assert.Contains(t, stdout, "0 recorded, 1 duplicate, 1 rejected")
}

// A chain of ClOrdIDs goes through two imports, days apart.
func TestImport_FIXGoesOnWithAnOrder(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{fixFile(t, 1, firstDay...), fixFile(t, 1, secondDay...)} {
		code, _, stderr := tradetrail("", "import", "--format", "fix", "--data-dir", dir, path)
		require.Zero(t, code, stderr)
	}
	store, err := app.OpenStore(config.Config{DataDir: dir}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer store.Close()
	var o domain.Order
	for r, err := range store.Stream(context.WithoutCancel(t.Context()), "order-A", 0) {
		require.NoError(t, err)
		e, err := r.Event()
		require.NoError(t, err)
		o.Apply(e)
	}
	assert.Equal(t, 7, o.Events)
	assert.Equal(t, domain.StatusFilled, o.Status)
}
