package prove_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/tlog/prove"
	"github.com/tradetrail/tradetrail/tlog/tiles/tilestest"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// checkpoint is the text of the one that the log has had at a size.
func (w *world) checkpoint(t *testing.T, at uint64) string {
	t.Helper()
	var leaves [][]byte
	for leaf, err := range w.log.At(size).Leaves(t.Context(), 0, at) {
		require.NoError(t, err)
		leaves = append(leaves, leaf)
	}
	root, err := verify.RootOf(0, at, leaves, nil)
	require.NoError(t, err)
	return fmt.Sprintf("prove.example\n%d\n%s\n", at, root)
}

func (w *world) publish(t *testing.T, name, text string, signers ...note.Signer) {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, signers...)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(w.folder, name), signed, 0o600))
}

// witness has a key that cosigns, and its public half.
func witness(t *testing.T) (note.Signer, note.Verifier) {
	t.Helper()
	secret, _, err := note.GenerateKey(nil, "w.example")
	require.NoError(t, err)
	signer, err := fnote.NewSignerForCosignatureV1(secret)
	require.NoError(t, err)
	return signer, signer.Verifier()
}

// Another process has taken over with another key since this one has opened the log.
func TestProver_AfterAnotherKeyHasTakenOver(t *testing.T) {
	w := newWorld(t)
	p := w.prover()
	signer, text := tilestest.Key(t, "prove.example")
	key, err := verify.ParseKey(text)
	require.NoError(t, err)
	key.From = 300
	w.keys = append(w.keys, key)
	w.publish(t, "checkpoint", w.checkpoint(t, size), signer)
	var out bytes.Buffer
	require.NoError(t, p.EventAt(t.Context(), &out, w.events[17].ID, w.events[17].Position, prove.Options{}))
	verdict := w.judge(t, out.Bytes())
	require.True(t, verdict.Verified, "%v", verdict.Failures)
	assert.Contains(t, out.String(), text)
}

// A bundle has the cosignatures if there are some over all of what it proves.
func TestProver_ShowsWitnesses(t *testing.T) {
	w := newWorld(t, 300)
	cosigner, verifier := witness(t)
	w.publish(t, "checkpoint.witnessed", w.checkpoint(t, 300), w.signer, cosigner)
	judge := func(text []byte) verify.Verdict {
		trust := verify.Trust{Keys: w.keys, Witnesses: []note.Verifier{verifier}, Quorum: 1, At: time.Now(), MaxAge: time.Hour}
		verdict, err := verify.Bundle(bytes.NewReader(text), trust, nil)
		require.NoError(t, err)
		return verdict
	}
	event := func(index int) verify.Verdict {
		var out bytes.Buffer
		e := w.events[index]
		require.NoError(t, w.prover().EventAt(t.Context(), &out, e.ID, e.Position, prove.Options{}))
		plain := w.judge(t, out.Bytes())
		assert.True(t, plain.Verified, "%v", plain.Failures)
		return judge(out.Bytes())
	}
	verdict := event(17)
	require.True(t, verdict.Verified, "%v", verdict.Failures)
	assert.Len(t, verdict.Witnesses, 1)
	assert.EqualValues(t, 300, verdict.Checkpoint.Size)
	assert.False(t, event(500).Verified, "the witness has not seen it yet")

	window := func(seconds int) verify.Verdict {
		var out bytes.Buffer
		require.NoError(t, w.prover().Window(t.Context(), &out, began, began.Add(time.Duration(seconds)*time.Second), prove.Options{}))
		return judge(out.Bytes())
	}
	verdict = window(299)
	require.True(t, verdict.Verified, "%v", verdict.Failures)
	assert.False(t, window(300).Verified, "its neighbour was not cosigned")
	assert.EqualValues(t, size, window(1<<20).Checkpoint.Size, "a window to the end has all that is sealed")

	older, err := note.Sign(&note.Note{Text: w.checkpoint(t, 450)}, w.signer)
	require.NoError(t, err)
	var out bytes.Buffer
	e := w.events[17]
	require.NoError(t, w.prover().EventAt(t.Context(), &out, e.ID, e.Position, prove.Options{Older: string(older)}))
	shown := w.judge(t, out.Bytes())
	require.True(t, shown.Verified, "%v", shown.Failures)
	assert.EqualValues(t, size, shown.Checkpoint.Size, "one that continues what was kept")

	report, err := prove.NewReporter(w.prover(), w.signer, nil).Report(t.Context(), e.Position)
	require.NoError(t, err)
	assert.EqualValues(t, 300, report.Checkpoint().Size)
	report, err = prove.NewReporter(w.prover(), w.signer, nil).Report(t.Context(), w.events[len(w.events)-1].Position)
	require.NoError(t, err)
	assert.EqualValues(t, size, report.Checkpoint().Size)

	rewritten := strings.Replace(w.checkpoint(t, 300), "\n300\n", "\n299\n", 1)
	w.publish(t, "checkpoint.witnessed", rewritten, w.signer, cosigner)
	require.Error(t, w.prover().EventAt(t.Context(), &out, e.ID, e.Position, prove.Options{}), "the witnesses have signed another log")
}
