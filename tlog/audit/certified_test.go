package audit_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/audit"
)

// certificate writes one of a day, and returns its file.
func (w *world) certificate(t *testing.T, day, root, before string) string {
	t.Helper()
	dir := filepath.Join(w.place().Dir, "certificates")
	require.NoError(t, os.MkdirAll(dir, 0o750))
	text := strings.Join([]string{"tradetrail/certificate/v1", w.key.Origin(), day, "0", "0", "30", root, before, ""}, "\n")
	path := filepath.Join(dir, day+".txt")
	require.NoError(t, os.WriteFile(path, []byte(w.signed(t, text)), 0o600))
	return path
}

func TestVerify_Certificates(t *testing.T) {
	const days = 5
	for name, tamper := range map[string]func(t *testing.T, w *world, files []string) (want string){
		"nothing": func(*testing.T, *world, []string) string { return "" },
		"one is deleted": func(t *testing.T, _ *world, files []string) string {
			require.NoError(t, os.Remove(files[2]))
			return "does not continue"
		},
		"the newest is deleted": func(t *testing.T, _ *world, files []string) string {
			require.NoError(t, os.Remove(files[days-1]))
			return "an earlier verification read it"
		},
		"one is changed": func(t *testing.T, _ *world, files []string) string {
			text, err := os.ReadFile(files[3])
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(files[3], []byte(strings.Replace(string(text), "\n0\n0\n", "\n0\n1\n", 1)), 0o600))
			return "invalid signature"
		},
		"one has another key": func(t *testing.T, w *world, _ []string) string {
			other := *w
			var err error
			other.key, err = tlog.NewKey(w.key.Origin())
			require.NoError(t, err)
			other.certificate(t, "2026-01-06", strings.Split(w.checkpoint(t), "\n")[2], "none")
			return "no verifiable signatures"
		},
		"one is of another tree": func(t *testing.T, w *world, _ []string) string {
			w.certificate(t, "2026-01-06", strings.Repeat("A", 43)+"=", "none")
			return "was changed, left out or put in"
		},
		"one is of a day that never was": func(t *testing.T, w *world, _ []string) string {
			w.certificate(t, "9999-12-31", strings.Split(w.checkpoint(t), "\n")[2], "none")
			return "a day that is not over"
		},
		"one is endless": func(t *testing.T, w *world, _ []string) string {
			path := w.certificate(t, "2026-01-06", "", "none")
			require.NoError(t, os.Truncate(path, 1<<40))
			return "too long"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.grow(t, 10, 20)
			var files []string
			root, before := strings.Split(w.checkpoint(t), "\n")[2], "none"
			for day := range days {
				files = append(files, w.certificate(t, time.Date(2026, 1, 1+day, 0, 0, 0, 0, time.UTC).Format(time.DateOnly), root, before))
				before = sumOf(t, files[day])
			}
			require.True(t, w.verify(t, audit.Scope{}).Intact)
			want := tamper(t, w, files)
			report := w.verify(t, audit.Scope{Full: true})
			if want == "" {
				require.True(t, report.Intact, "%v", report.Findings)
				return
			}
			require.False(t, report.Intact)
			require.True(t, slices.ContainsFunc(report.Findings, func(f audit.Finding) bool {
				return strings.Contains(f.Where, "certificates/") && strings.Contains(f.Text, want)
			}), "%s: %v", want, report.Findings)
		})
	}
}

func TestVerify_EmptiedHistoryAndForgedWitnesses(t *testing.T) {
	for name, tamper := range map[string]func(t *testing.T, w *world) (kind audit.Kind, want string){
		"the history begins later": func(t *testing.T, w *world) (audit.Kind, string) {
			name, text := w.today(t)
			_, rest, _ := strings.Cut(text, "\n")
			require.NoError(t, os.WriteFile(name, []byte(rest), 0o600))
			return audit.History, "the beginning was cut off"
		},
		"witnesses without the log's signature": func(t *testing.T, w *world) (audit.Kind, string) {
			text, _, _ := strings.Cut(w.checkpoint(t), "\n\n")
			w.witnessed(t, text+"\n\n— witness.example/1 AAAAAAAA\n")
			return audit.Signature, "is not signed"
		},
		"witnesses of another tree": func(t *testing.T, w *world) (audit.Kind, string) {
			w.witnessed(t, w.signed(t, w.key.Origin()+"\n10\n"+strings.Repeat("A", 43)+"=\n"))
			return audit.Rewritten, "checkpoint.witnessed"
		},
		"witnesses of more": func(t *testing.T, w *world) (audit.Kind, string) {
			w.witnessed(t, w.signed(t, w.key.Origin()+"\n1000\n"+strings.Repeat("A", 43)+"=\n"))
			return audit.Truncated, "checkpoint.witnessed"
		},
		"an endless file": func(t *testing.T, w *world) (audit.Kind, string) {
			w.witnessed(t, "x")
			require.NoError(t, os.Truncate(filepath.Join(w.place().Dir, "checkpoint.witnessed"), 1<<40))
			return audit.Signature, "too long"
		},
		"an endless checkpoint": func(t *testing.T, w *world) (audit.Kind, string) {
			require.NoError(t, os.Truncate(filepath.Join(w.place().Dir, "checkpoint"), 1<<40))
			return audit.Published, "too long"
		},
		"endless keys": func(t *testing.T, w *world) (audit.Kind, string) {
			require.NoError(t, os.Truncate(filepath.Join(w.place().Dir, "keys"), 1<<40))
			return audit.Signature, "more than"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.grow(t, 10, 20)
			w.witnessed(t, w.checkpoint(t))
			r := w.verify(t, audit.Scope{Full: true})
			require.True(t, r.Intact, "%v", r.Findings)
			require.NoError(t, os.Remove(w.stateFile()))
			kind, want := tamper(t, w)
			assertFinds(t, w.verify(t, audit.Scope{Full: true}), kind, want)
		})
	}
}

func (w *world) witnessed(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(w.place().Dir, "checkpoint.witnessed"), []byte(text), 0o600))
}

func sumOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
