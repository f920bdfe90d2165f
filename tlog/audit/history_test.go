package audit_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/tlog/audit"
)

// today is the file of the history that is written, and its text.
func (w *world) today(t *testing.T) (name, text string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(w.place().Dir, "history", "*.jsonl"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	name = names[len(names)-1]
	read, err := os.ReadFile(name)
	require.NoError(t, err)
	return name, string(read)
}

// signed is a note by the log's key.
func (w *world) signed(t *testing.T, text string) string {
	t.Helper()
	private, _, _ := strings.Cut(string(w.key.Marshal()), "\n")
	signer, err := note.NewSigner(private)
	require.NoError(t, err)
	out, err := note.Sign(&note.Note{Text: text}, signer)
	require.NoError(t, err)
	return string(out)
}

// assertFinds holds that a report names a kind of damage, in these words.
func assertFinds(t *testing.T, r audit.Report, kind audit.Kind, text string) {
	t.Helper()
	assert.False(t, r.Intact)
	assert.True(t, slices.ContainsFunc(r.Findings, func(f audit.Finding) bool {
		return f.Kind == kind && strings.Contains(f.String(), text)
	}), "%s: %s is not among %v", kind, text, r.Findings)
}

func TestVerify_HistoryPaddedWhereALineWas(t *testing.T) {
	w := newWorld(t)
	w.grow(t, 10, 20, 30, 40)
	require.True(t, w.verify(t, audit.Scope{}).Intact)
	name, text := w.today(t)
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	padding := strings.Repeat(" ", len(lines[2])+50)
	require.NoError(t, os.WriteFile(name, []byte(strings.Join(append(lines[:2:2], lines[3:]...), "")+padding+"\n"), 0o600))
	assertFinds(t, w.verify(t, audit.Scope{Full: true}), audit.History, "not those that an earlier verification read")
	assertFinds(t, w.verify(t, audit.Scope{}), audit.History, "not those that an earlier verification read")
}

func TestVerify_HistoryWithALineWithoutEnd(t *testing.T) {
	w := newWorld(t)
	w.grow(t, 10)
	name, text := w.today(t)
	require.NoError(t, os.WriteFile(name, []byte(text+strings.Repeat(" ", 70<<10)+"\n"), 0o600))
	assertFinds(t, w.verify(t, audit.Scope{}), audit.History, "a line of more than")
}

// A clock that was ahead once leaves as many checkpoints behind larger ones as it was
// seconds ahead.
func TestVerify_ComparesAllThatComeLate(t *testing.T) {
	w := newWorld(t)
	w.grow(t, 10, 20, 30)
	name, text := w.today(t)
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	late := strings.Repeat(lines[1], 10_001)
	later := filepath.Join(filepath.Dir(name), "9998-12-31.jsonl")
	require.NoError(t, os.WriteFile(later, []byte(late), 0o600))
	r := w.verify(t, audit.Scope{Full: true})
	require.True(t, r.Intact, "%v", r.Findings)
	assert.EqualValues(t, len(lines)+10_001, r.Compared)

	root := base64.StdEncoding.EncodeToString(make([]byte, 32))
	line, err := json.Marshal(map[string]any{"time": time.Now(), "note": w.signed(t, w.key.Origin()+"\n10\n"+root+"\n")})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(later, []byte(late+string(line)+"\n"), 0o600))
	assertFinds(t, w.verify(t, audit.Scope{Full: true}), audit.Rewritten, "9998-12-31.jsonl")
}
