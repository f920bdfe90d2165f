package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/tlog/verify"
)

// How many manipulations, and how many clean runs, are tried: TRADETRAIL_TAMPER says
// otherwise.
const (
	tampersShort = 200
	tampersSoak  = 2000
)

func tries(t *testing.T) int {
	t.Helper()
	count := tampersShort
	if os.Getenv("TRADETRAIL_SOAK") != "" {
		count = tampersSoak
	}
	if text := os.Getenv("TRADETRAIL_TAMPER"); text != "" {
		_, err := fmt.Sscan(text, &count)
		require.NoError(t, err)
	}
	return count
}

// exported is a file that was handed out. What is exported in another form gets a
// table of its own, like inBundles, and its files in documents.
type exported struct {
	t     *testing.T
	file  string
	text  []byte
	rng   *rand.Rand
	args  []string // of the command, besides the file and the key
	index int      // of the leaf that must be named; -1 for none in particular
	what  []string // one of which must be said; empty for whichever
}

// documents are what is exported, and what can be done to it.
func documents() map[string]map[string]func(*exported) {
	return map[string]map[string]func(*exported){
		"event.json":  inBundles("delete the tail"), // it has one entry, and that is "delete an event"
		"chain.json":  inBundles("delete the tail"), // that nothing came after the last one it doesn't claim
		"window.json": inBundles(),
		"report.pdf":  inReports(),
	}
}

// inReports are of a PDF that carries its bundle: not a byte of it may be another.
func inReports() map[string]func(*exported) {
	return map[string]func(*exported){
		"flip a bit":       flipBit,
		"change an amount": changeDigit,
		"cut the file":     func(e *exported) { e.text = e.text[:e.rng.IntN(len(e.text)-1)] },
		"delete some bytes": func(e *exported) {
			at := e.rng.IntN(len(e.text) - 9)
			e.text = slices.Delete(e.text, at, at+1+e.rng.IntN(8))
		},
		"insert some bytes": func(e *exported) {
			e.text = slices.Insert(e.text, e.rng.IntN(len(e.text)+1), e.text[:1+e.rng.IntN(99)]...)
		},
		"replay an old report": replayOld,
	}
}

// changeDigit changes a digit, wherever it stands.
func changeDigit(e *exported) {
	at := e.rng.IntN(len(e.text))
	for e.text[at] < '0' || e.text[at] > '9' {
		at = (at + 1) % len(e.text)
	}
	e.text[at] = '0' + (e.text[at]-'0'+1+byte(e.rng.IntN(9)))%10
}

func inBundles(without ...string) map[string]func(*exported) {
	all := map[string]func(*exported){
		"flip a bit":           flipBit,
		"change an amount":     changeAmount,
		"another salt":         anotherSalt,
		"delete an event":      deleteEvent,
		"delete the tail":      deleteTail,
		"insert an event":      insertEvent,
		"swap two events":      swapEvents,
		"cut the file":         func(e *exported) { e.text = e.text[:e.rng.IntN(len(e.text)-1)]; e.what = []string{verify.Malformed} },
		"another checkpoint":   anotherCheckpoint,
		"another key":          anotherKey,
		"another subject":      anotherSubject,
		"replay an old bundle": replayOld,
	}
	for _, name := range without {
		delete(all, name)
	}
	return all
}

func TestTamper_IsFoundEveryTime(t *testing.T) {
	type task struct {
		file, name string
		do         func(*exported)
	}
	var tasks []task
	all := documents()
	for _, file := range slices.Sorted(maps.Keys(all)) {
		for _, name := range slices.Sorted(maps.Keys(all[file])) {
			tasks = append(tasks, task{file, name, all[file][name]})
		}
	}
	count, drawn := tries(t), 0
	for i := range count {
		task := tasks[i%len(tasks)]
		for again := 0; ; again++ {
			seed := uint64(i + again*count)
			text, err := os.ReadFile(filepath.Join(golden, task.file))
			require.NoError(t, err)
			e := &exported{t: t, file: task.file, text: bytes.Clone(text), rng: rand.New(rand.NewPCG(seed, 8)), index: -1}
			task.do(e)
			if len(e.args) == 0 && (bytes.Equal(text, e.text) || sameJSON(text, e.text)) {
				drawn++ // it says the same in other bytes: another one is tried
				require.Less(t, again, 100, "%s of %s changes nothing", task.name, task.file)
				continue
			}
			e.mustBeFound(fmt.Sprintf("%s of %s, seed %d", task.name, task.file, seed))
			break
		}
	}
	t.Logf("%d manipulations of what was exported; %d besides changed nothing that JSON means, and others were drawn", count, drawn)
}

// What nobody touched is verified, whatever is asked besides.
func TestTamper_NobodyWasThere(t *testing.T) {
	files := slices.Sorted(maps.Keys(documents()))
	kept := filepath.Join(t.TempDir(), "kept")
	require.NoError(t, os.WriteFile(kept, []byte(openBundle(t, "chain.json").Checkpoint), 0o600))
	for i := range tries(t) {
		file := filepath.Join(golden, files[i%len(files)])
		if i%5 == 0 && filepath.Ext(file) == ".json" { // written by whom the manipulations are written by
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			e := exported{t: t, text: text}
			e.change(func(*bundle) {})
			file = filepath.Join(filepath.Dir(kept), "rewritten")
			require.NoError(t, os.WriteFile(file, e.text, 0o600))
		}
		args := []string{file, "--key", key}
		if i%2 == 1 {
			args = append(args, "--checkpoint", kept)
		}
		code, stdout, stderr := verifies(t, args...)
		require.Zero(t, code, "%v: %s%s", args, stdout, stderr)
	}
}

func (e *exported) mustBeFound(what string) {
	e.t.Helper()
	file := filepath.Join(e.t.TempDir(), e.file)
	require.NoError(e.t, os.WriteFile(file, e.text, 0o600))
	defer func() { require.NoError(e.t, os.Remove(file)) }()
	code, stdout, stderr := verifies(e.t, append([]string{file, "--key", key, "--json"}, e.args...)...)
	require.Equal(e.t, 3, code, "%s: %s%s", what, stdout, stderr)
	var verdict verify.Verdict
	require.NoError(e.t, json.Unmarshal([]byte(stdout), &verdict), what)
	assert.False(e.t, verdict.Verified, what)
	assert.True(e.t, slices.ContainsFunc(verdict.Failures, func(f *verify.Failure) bool {
		return (e.index < 0 || f.Index != nil && *f.Index == uint64(e.index)) && (len(e.what) == 0 || slices.Contains(e.what, f.What))
	}), "%s: leaf %d, %v: %s", what, e.index, e.what, stdout)
}

// sameJSON says that two texts mean the same to whoever reads JSON.
func sameJSON(a, b []byte) bool {
	var one, other any
	return json.Unmarshal(a, &one) == nil && json.Unmarshal(b, &other) == nil && assert.ObjectsAreEqual(one, other)
}

// bundle is all of one.
type bundle struct {
	verify.Header

	Runs []verify.Run `json:"runs"`
}

func openBundle(t *testing.T, name string) bundle {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(golden, name))
	require.NoError(t, err)
	var b bundle
	require.NoError(t, json.Unmarshal(text, &b))
	return b
}

// change rewrites the bundle.
func (e *exported) change(do func(b *bundle)) {
	e.t.Helper()
	var b bundle
	require.NoError(e.t, json.Unmarshal(e.text, &b))
	do(&b)
	var err error
	e.text, err = json.Marshal(b)
	require.NoError(e.t, err)
}

// pick draws an entry that says something.
func (e *exported) pick(b *bundle) (run, entry int) {
	for {
		run = e.rng.IntN(len(b.Runs))
		entry = e.rng.IntN(len(b.Runs[run].Entries))
		if b.Runs[run].Entries[entry].Said != nil {
			return run, entry
		}
	}
}

func (e *exported) expect(b *bundle, run, entry int, what ...string) {
	e.index, e.what = int(b.Runs[run].Begin)+entry, what
}

func flipBit(e *exported) { e.text[e.rng.IntN(len(e.text))] ^= 1 << e.rng.IntN(8) }

func changeAmount(e *exported) {
	e.change(func(b *bundle) {
		run, entry := e.pick(b)
		data := b.Runs[run].Entries[entry].Said.Data
		at := bytes.IndexAny(data, "0123456789")
		data[at] = '0' + (data[at]-'0'+1+byte(e.rng.IntN(9)))%10
		e.expect(b, run, entry, verify.Changed)
	})
}

func anotherSalt(e *exported) {
	e.change(func(b *bundle) {
		run, entry := e.pick(b)
		b.Runs[run].Entries[entry].Said.Salt[e.rng.IntN(32)] ^= 1 << e.rng.IntN(8)
		e.expect(b, run, entry, verify.Changed)
	})
}

// deleteEvent leaves out an event that the bundle claims: of a chain not the last one of
// the order, nor what the order only refers to.
func deleteEvent(e *exported) {
	e.change(func(b *bundle) {
		var own []int
		for i, r := range b.Runs {
			if strings.Contains(r.Entries[0].Leaf, "\norder-"+b.Subject.Order+"\n") {
				own = append(own, i)
			}
		}
		switch b.Kind {
		case verify.KindChain:
			run := own[e.rng.IntN(len(own)-1)]
			b.Runs = slices.Delete(b.Runs, run, run+1)
			e.what = []string{verify.Missing}
		default:
			run := e.rng.IntN(len(b.Runs))
			entry := e.rng.IntN(len(b.Runs[run].Entries))
			b.Runs[run].Entries = slices.Delete(b.Runs[run].Entries, entry, entry+1)
			if len(b.Runs[run].Entries) == 0 {
				b.Runs = slices.Delete(b.Runs, run, run+1)
			}
		}
	})
}

// deleteTail cuts off the last run, or its last entries.
func deleteTail(e *exported) {
	e.change(func(b *bundle) {
		last := &b.Runs[len(b.Runs)-1]
		if left := e.rng.IntN(len(last.Entries)); left > 0 {
			last.Entries = last.Entries[:left]
		} else {
			b.Runs = b.Runs[:len(b.Runs)-1]
		}
	})
}

func insertEvent(e *exported) {
	e.change(func(b *bundle) {
		run, entry := e.pick(b)
		into := &b.Runs[e.rng.IntN(len(b.Runs))]
		into.Entries = slices.Insert(into.Entries, e.rng.IntN(len(into.Entries)+1), b.Runs[run].Entries[entry])
	})
}

// swapEvents puts two events into each other's places, or says of one what the other
// says where there is only one.
func swapEvents(e *exported) {
	e.change(func(b *bundle) {
		run, entry := e.pick(b)
		one := &b.Runs[run].Entries[entry]
		for range 100 {
			run, entry := e.pick(b)
			if other := &b.Runs[run].Entries[entry]; other != one {
				*one, *other = *other, *one
				return
			}
		}
		one.Said.Data, one.Said.Metadata = one.Said.Metadata, one.Said.Data
	})
}

func anotherCheckpoint(e *exported) {
	e.change(func(b *bundle) {
		b.Checkpoint = openBundle(e.t, "chain.json").Older.Checkpoint
		b.Older = nil
	})
}

// signer has a fixed key: that of the golden log is made of ones.
func signer(t *testing.T, seed byte) note.Signer {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	public, ok := private.Public().(ed25519.PublicKey)
	require.True(t, ok)
	verifier, err := note.NewEd25519VerifierKey("log.example/trading", public)
	require.NoError(t, err)
	s, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+log.example/trading+%s+%s",
		strings.Split(verifier, "+")[1], base64.StdEncoding.EncodeToString(append([]byte{1}, private.Seed()...))))
	require.NoError(t, err)
	return s
}

func anotherKey(e *exported) {
	e.change(func(b *bundle) {
		text, _, _ := strings.Cut(b.Checkpoint, "\n\n")
		signed, err := note.Sign(&note.Note{Text: text + "\n"}, signer(e.t, 2+byte(e.rng.IntN(200))))
		require.NoError(e.t, err)
		b.Checkpoint = string(signed)
		e.what = []string{verify.WrongKey}
	})
}

func anotherSubject(e *exported) {
	e.change(func(b *bundle) {
		switch b.Kind {
		case verify.KindEvent:
			b.Subject.Event = "0197b0a4-8a2e-7c3e-9d43-5f6f3f0e2a11"
		case verify.KindChain:
			b.Subject.Order = "B"
		default:
			b.Subject.End--
		}
	})
}

// replayOld hands out what was true once: somebody has kept a checkpoint since, and asks
// for a bundle that shows that the log only grew.
func replayOld(e *exported) {
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("log.example/trading\n%d\n%s\n", 24+e.rng.IntN(1000), verify.Digest{byte(e.rng.IntN(256))})}, signer(e.t, 1))
	require.NoError(e.t, err)
	kept := filepath.Join(e.t.TempDir(), "kept")
	require.NoError(e.t, os.WriteFile(kept, signed, 0o600))
	e.args = []string{"--checkpoint", kept}
	e.what = []string{verify.Missing}
}
