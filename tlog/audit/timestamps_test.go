package audit_test

import (
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/audit"
	"github.com/tradetrail/tradetrail/tlog/stamp"
	"github.com/tradetrail/tradetrail/tlog/stamp/stamptest"
)

func rootsOf(t *testing.T, a *stamptest.Authority) *x509.CertPool {
	t.Helper()
	roots, err := stamp.ParseRoots(a.Roots)
	require.NoError(t, err)
	return roots
}

// stampedWorld has a log of 600 leaves whose last checkpoint is timestamped.
func stampedWorld(t *testing.T, a *stamptest.Authority) *world {
	t.Helper()
	w := newWorld(t)
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	authority, err := stamp.NewAuthority(a.URL, rootsOf(t, a), transport, time.Now)
	require.NoError(t, err)
	w.grow(t, 300, 297)
	w.stamps = &tlog.Timestamps{Authority: authority, Every: time.Millisecond}
	w.grow(t, 3)
	for len(w.stampFiles(t)) == 0 { // sealed, and the log was stopped too early
		w.grow(t, 1)
	}
	w.stamps = nil
	return w
}

func (w *world) stampFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.place().Dir, "timestamps", "*.jsonl"))
	require.NoError(t, err)
	return files
}

func (w *world) verifyStamped(t *testing.T, roots *x509.CertPool, scope audit.Scope) (report audit.Report) {
	t.Helper()
	w.open(t, func(store *eventstore.Store) {
		subject := w.subject(t, store)
		subject.Authorities = roots
		var err error
		report, err = audit.Verify(t.Context(), subject, scope)
		require.NoError(t, err)
	})
	return report
}

func TestVerify_Timestamps(t *testing.T) {
	a := stamptest.Start(t, nil)
	w := stampedWorld(t, a)
	full := audit.Scope{Full: true}

	report := w.verifyStamped(t, nil, full)
	require.True(t, report.Intact, "%v", report.Findings)
	require.NotNil(t, report.Timestamps)
	assert.False(t, report.Timestamps.Checked)
	report = w.verifyStamped(t, rootsOf(t, a), full)
	require.True(t, report.Intact, "%v", report.Findings)
	assert.True(t, report.Timestamps.Checked)
	assert.NotZero(t, report.Timestamps.Read)
	assert.Empty(t, report.Outside)
	report = w.verifyStamped(t, rootsOf(t, a), audit.Scope{})
	require.True(t, report.Intact, "%v", report.Findings)
	assert.Nil(t, report.Timestamps, "they were verified before")

	report = w.verifyStamped(t, rootsOf(t, stamptest.Start(t, nil)), full)
	assert.False(t, report.Intact)
	assert.NotZero(t, report.Counts[audit.Timestamp])

	for name, change := range map[string]func(text string) string{
		"another time":  func(text string) string { return strings.Replace(text, `{"time":"20`, `{"time":"19`, 1) },
		"another token": func(text string) string { return strings.Replace(text, `"token":"MII`, `"token":"MIJ`, 1) },
		"another note":  func(text string) string { return strings.Replace(text, `audit\n`, `audit\n9`, 1) },
		"no JSON":       func(text string) string { return "x" + text },
	} {
		t.Run(name, func(t *testing.T) {
			other := w.copied(t)
			path := other.stampFiles(t)[0]
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			changed := change(string(text))
			require.NotEqual(t, string(text), changed)
			require.NoError(t, os.WriteFile(path, []byte(changed), 0o600))
			report := other.verifyStamped(t, rootsOf(t, a), full)
			assert.False(t, report.Intact)
			assert.NotZero(t, report.Counts[audit.Timestamp], "%v", report.Findings)
		})
	}
}

// Whoever has the key of the log can write another history, and not its timestamps.
func TestVerify_ARewrittenLogContradictsItsTimestamps(t *testing.T) {
	a := stamptest.Start(t, nil)
	w := stampedWorld(t, a)
	forged := newWorld(t)
	forged.key, forged.tries = w.key, "other-"
	require.NoError(t, os.RemoveAll(forged.place().Dir))
	require.NoError(t, os.RemoveAll(filepath.Dir(forged.place().SaltKey)))
	require.NoError(t, tlog.Create(t.Context(), forged.place(), forged.key, time.Now))
	forged.grow(t, 300, 400)
	require.True(t, forged.verifyStamped(t, rootsOf(t, a), audit.Scope{Full: true}).Intact)

	require.NoError(t, os.CopyFS(filepath.Join(forged.place().Dir, "timestamps"), os.DirFS(filepath.Dir(w.stampFiles(t)[0]))))
	report := forged.verifyStamped(t, rootsOf(t, a), audit.Scope{Full: true})
	assert.False(t, report.Intact)
	require.NotZero(t, report.Counts[audit.Rewritten], "%v", report.Findings)
	assert.Contains(t, report.Findings[0].String(), "timestamps")
}
