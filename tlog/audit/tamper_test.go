package audit_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/audit"
)

// How many manipulations are tried: TRADETRAIL_TAMPER says otherwise. Those of exported
// files are in cmd/tradetrail-verify, those of Redis in cmd/tradetrail.
const (
	tampersShort = 40
	tampersSoak  = 500
)

// tampered is a world that somebody has been at.
type tampered struct {
	*world

	t     testing.TB
	s     scene
	rng   *rand.Rand
	scope audit.Scope
	// index and where are what must be named; -1 and "" for nothing in particular.
	index int
	where string
	kinds []audit.Kind
	// unchanged says that what was done changes nothing that anybody reads, and why
	// that is known.
	unchanged func() bool
}

func (w *tampered) expect(index int, kinds ...audit.Kind) { w.index, w.kinds = index, kinds }

func (w *tampered) expectIn(where string, kinds ...audit.Kind) {
	w.where, w.kinds = where, kinds
}

// manipulations are what an attacker does who can write to every file.
func manipulations() map[string]func(*tampered) {
	return map[string]func(*tampered){
		"change an event":          changeEvent,
		"delete an event":          deleteEvent,
		"delete the store's tail":  deleteTail,
		"insert an event":          insertEvent,
		"swap two events":          swapEvents,
		"flip a bit of the store":  flipStore,
		"flip a bit of leaves":     func(w *tampered) { w.flip(w.pick("tile/entries"), audit.Entry) },
		"flip a bit of a tile":     func(w *tampered) { w.flip(w.pick("tile/0", "tile/1"), audit.Tile) },
		"delete a file of the log": deleteTile,
		"cut a file of the log":    cutTile,
		"swap two files of leaves": swapBundles,
		"cut the log's tail":       cutLog,
		"flip a bit of checkpoint": func(w *tampered) { w.flip("checkpoint", ""); w.where = "checkpoint" },
		"delete the checkpoint":    func(w *tampered) { w.remove("checkpoint"); w.expectIn("checkpoint", audit.Published) },
		"an older checkpoint":      olderCheckpoint,
		"another key":              anotherKey,
		"another log":              anotherLog,
		"flip a bit of history":    func(w *tampered) { w.flip(w.pick("history"), "") },
		"cut the history":          cutHistory,
		"leave out a checkpoint":   leaveOut,
		"leave one out, and pad":   leaveOutAndPad,
		"delete the history":       func(w *tampered) { w.remove("history"); w.expectIn("history/", audit.History) },
		"flip a bit of the state":  func(w *tampered) { w.flip("audit.json", audit.State); w.where = "audit.json" },
		"flip a bit of the keys":   flipKeys,
		"another salt key":         anotherSalt,
		"replay an old snapshot":   replaySnapshot,
		"rewrite with stolen keys": rewriteAll,
	}
}

// scene is what manipulations begin from.
type scene struct {
	*world

	old    *world // as everything was earlier
	forged *world // another history, signed with the same keys
	kept   string // a checkpoint that somebody outside keeps
}

func newScene(t testing.TB) scene {
	w := newWorld(t)
	w.grow(t, 300, 1, 230, 1, 1, 40)
	old := w.copied(t)
	forged := w.copied(t)
	w.grow(t, 400, 7, 3)
	kept := w.checkpoint(t)
	w.grow(t, 90, 20, 1)
	require.True(t, w.verify(t, audit.Scope{}).Intact)
	forged.tries = "forged-"
	require.NoError(t, os.RemoveAll(forged.place().Dir))
	require.NoError(t, os.RemoveAll(forged.storeDir()))
	salt, err := os.ReadFile(forged.place().SaltKey)
	require.NoError(t, err)
	require.NoError(t, os.Remove(forged.place().SaltKey))
	require.NoError(t, tlog.Create(t.Context(), forged.place(), forged.key, time.Now))
	require.NoError(t, os.WriteFile(forged.place().SaltKey, salt, 0o600))
	forged.next = 0
	forged.grow(t, 573, 410, 111)
	return scene{world: w, old: old, forged: forged, kept: kept}
}

// tries is how many manipulations, and how many clean runs, are tried.
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

// TestTamper_NobodyWasThere is the other half: what nobody touched is never doubted,
// in whichever way it is looked at, while it grows.
func TestTamper_NobodyWasThere(t *testing.T) {
	count := tries(t)
	w := newWorld(t)
	kept := map[string]string{"empty": w.checkpoint(t)}
	rng := rand.New(rand.NewPCG(8, 8))
	for done := 0; done < count; {
		w.grow(t, 1+rng.IntN(90), 1+rng.IntN(300))
		kept[fmt.Sprint(w.next)] = w.checkpoint(t)
		w.open(t, func(store *eventstore.Store) {
			if rng.IntN(2) == 0 {
				w.record(t, store, rng.IntN(20)) // not sealed yet
			}
			for range min(max(count/5, 1), count-done) {
				done++
				scope := audit.Scope{Full: rng.IntN(2) == 0, Outside: kept}
				if rng.IntN(3) == 0 {
					scope = audit.Scope{Round: uint64(1 + rng.IntN(400))}
				}
				report, err := audit.Verify(t.Context(), w.subject(t, store), scope)
				require.NoError(t, err)
				require.True(t, report.Intact, "run %d, %+v: %v", done, scope, report.Findings)
			}
		})
	}
}

func TestTamper_IsFoundEveryTime(t *testing.T) {
	count := tries(t)
	s := newScene(t)
	all := manipulations()
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range all {
			if !yield(name) {
				return
			}
		}
	})
	drawn := make(map[string]int)
	for i := range count {
		name := names[i%len(names)]
		for again := 0; !s.tamper(t, name, all[name], uint64(i+again*count)); again++ {
			drawn[name]++
			require.Less(t, again, 100, "%s changes nothing", name)
		}
	}
	t.Logf("%d manipulations; besides, these changed nothing that is read, and others were drawn: %v", count, drawn)
}

// tamper does one thing to a copy of the scene, and looks whether it is found and
// named. real is false if what was done changes nothing that anybody reads.
func (s scene) tamper(t *testing.T, name string, do func(*tampered), seed uint64) (real bool) {
	t.Helper()
	w := &tampered{world: s.copied(t), t: t, s: s, rng: rand.New(rand.NewPCG(seed, 8)), index: -1, scope: audit.Scope{Full: true}}
	dir := w.dir
	defer func() { require.NoError(t, os.RemoveAll(dir)) }()
	do(w)
	report, damaged := w.look()
	if !damaged && w.unchanged != nil && w.unchanged() {
		return false
	}
	what := fmt.Sprintf("%s, seed %d: %v", name, seed, report.Findings)
	if assert.True(t, damaged, what) {
		w.assertNamed(report, what)
	}
	return true
}

// look verifies as the command does: what can't be opened because it is damaged is
// damaged.
func (w *tampered) look() (report audit.Report, damaged bool) {
	node, err := embedded.Open(w.storeDir(), embedded.Options{CacheBytes: 4 << 20})
	if err != nil {
		w.where = "" // it is named in the error
		w.index, w.kinds = -1, nil
		return report, true
	}
	store := eventstore.Over(node.Conn(), slog.New(slog.DiscardHandler))
	defer func() {
		_ = store.Close()
		_ = node.Close() // it may be damaged
	}()
	salt, err := tlog.ReadSaltKey(w.place().SaltKey)
	require.NoError(w.t, err)
	report, err = audit.Verify(w.t.Context(), audit.Subject{Events: store, Dir: w.place().Dir, SaltKey: salt, Now: time.Now, FirstKey: w.s.key.Verifier()}, w.scope)
	require.NoError(w.t, err)
	if report.Intact { // the command asks the store as well, when no server runs
		_, err = node.Check(w.t.Context())
	}
	return report, !report.Intact || err != nil
}

// assertNamed looks whether the place is named, and what is wrong there.
func (w *tampered) assertNamed(report audit.Report, what string) {
	if report.Intact {
		return // the store names the place in its error
	}
	named := w.index < 0 && w.where == ""
	ofKind := len(w.kinds) == 0
	for _, f := range report.Findings {
		here := w.index >= 0 && f.Index != nil && *f.Index == uint64(w.index) || w.where != "" && strings.HasPrefix(f.Where, w.where)
		named = named || here
		ofKind = ofKind || (here || w.index < 0 && w.where == "") && slices.Contains(w.kinds, f.Kind)
	}
	assert.True(w.t, named, "index %d, file %q: %s", w.index, w.where, what)
	assert.True(w.t, ofKind, "%v: %s", w.kinds, what)
}

// The store, through the database that it is.

// row is an event in the database.
type row struct {
	position uint64
	value    []byte
}

func (w *tampered) pebble(change func(db *pebble.DB, rows []row)) {
	w.t.Helper()
	db, err := pebble.Open(w.storeDir(), &pebble.Options{FormatMajorVersion: pebble.FormatTableFormatV6, Logger: quiet{}})
	require.NoError(w.t, err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("e"), UpperBound: []byte("f")})
	require.NoError(w.t, err)
	var rows []row
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		require.NoError(w.t, err)
		rows = append(rows, row{binary.BigEndian.Uint64(it.Key()[1:]), bytes.Clone(value)})
	}
	require.NoError(w.t, it.Close())
	change(db, rows)
	require.NoError(w.t, db.Flush())
	require.NoError(w.t, db.Close())
}

// quiet takes what Pebble says about its housekeeping.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (w *tampered) set(db *pebble.DB, r row) {
	w.t.Helper()
	key := binary.BigEndian.AppendUint64([]byte("e"), r.position)
	require.NoError(w.t, db.Set(key, r.value, pebble.Sync))
}

// summed puts the right checksum before a record.
func summed(encoded []byte) []byte {
	sum := crc32.Checksum(encoded, crc32.MakeTable(crc32.Castagnoli))
	return append(binary.BigEndian.AppendUint32(nil, sum), encoded...)
}

// moved is a record that says that it stands somewhere else.
func (w *tampered) moved(r row, position uint64) row {
	w.t.Helper()
	old := protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.VarintType), r.position)
	old = protowire.AppendVarint(protowire.AppendTag(old, 5, protowire.VarintType), r.position)
	at := bytes.LastIndex(r.value, old)
	require.Positive(w.t, at, "a record without its position")
	encoded := slices.Concat(r.value[4:at],
		protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.VarintType), position),
		protowire.AppendVarint(protowire.AppendTag(nil, 5, protowire.VarintType), position), r.value[at+len(old):])
	return row{position, summed(encoded)}
}

func changeEvent(w *tampered) {
	w.pebble(func(db *pebble.DB, rows []row) {
		i := w.rng.IntN(len(rows))
		at := bytes.Index(rows[i].value, []byte(`"quantity":"`)) + len(`"quantity":"`)
		rows[i].value[at] = '1' + (rows[i].value[at]-'0'+byte(w.rng.IntN(7)))%9
		w.set(db, row{rows[i].position, summed(rows[i].value[4:])})
		w.expect(i, audit.Changed)
	})
}

func deleteEvent(w *tampered) {
	w.pebble(func(db *pebble.DB, rows []row) {
		i := w.rng.IntN(len(rows) - 1)
		require.NoError(w.t, db.Delete(binary.BigEndian.AppendUint64([]byte("e"), rows[i].position), pebble.Sync))
		w.expect(i, audit.Missing)
	})
}

func deleteTail(w *tampered) {
	w.pebble(func(db *pebble.DB, rows []row) {
		i := len(rows) - 1 - w.rng.IntN(300)
		require.NoError(w.t, db.DeleteRange(binary.BigEndian.AppendUint64([]byte("e"), rows[i].position), []byte("f"), pebble.Sync))
		w.expect(i, audit.Truncated)
	})
}

func insertEvent(w *tampered) {
	w.pebble(func(db *pebble.DB, rows []row) {
		i := w.rng.IntN(len(rows) - 1)
		w.set(db, w.moved(rows[w.rng.IntN(len(rows))], rows[i].position+1+w.rng.Uint64N(20)))
		w.kinds = []audit.Kind{audit.Inserted, audit.Reordered}
	})
}

func swapEvents(w *tampered) {
	w.pebble(func(db *pebble.DB, rows []row) {
		i := w.rng.IntN(len(rows))
		j := (i + 1 + w.rng.IntN(len(rows)-1)) % len(rows)
		w.set(db, w.moved(rows[i], rows[j].position))
		w.set(db, w.moved(rows[j], rows[i].position))
		w.expect(i, audit.Reordered)
	})
}

// flipStore flips a bit of a file. The database has bytes that nobody reads, and
// notices what it reads itself: where the store still opens and every key and value is
// what it was, nothing was changed.
func flipStore(w *tampered) {
	var files []string
	entries, err := os.ReadDir(w.storeDir())
	require.NoError(w.t, err)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !e.IsDir() && info.Size() > 0 {
			files = append(files, e.Name())
		}
	}
	before := dump(w.s.storeDir(), w.t)
	w.flipIn(w.storeDir(), files[w.rng.IntN(len(files))])
	w.unchanged = func() bool { return slices.Equal(before, dump(w.storeDir(), w.t)) }
}

// dump is every key and value, as far as they can be read.
func dump(dir string, t testing.TB) (all []string) {
	copied := filepath.Join(t.TempDir(), "dump")
	require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))
	defer func() { _ = os.RemoveAll(copied) }()
	db, err := pebble.Open(copied, &pebble.Options{FormatMajorVersion: pebble.FormatTableFormatV6, Logger: quiet{}})
	if err != nil {
		return []string{err.Error()}
	}
	defer func() { _ = db.Close() }() // a copy
	it, err := db.NewIter(nil)
	require.NoError(t, err)
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		all = append(all, fmt.Sprintf("%x=%x %v", it.Key(), value, err))
	}
	if err := it.Close(); err != nil {
		all = append(all, err.Error())
	}
	return all
}

// The log's folder.

func (w *tampered) path(name string) string {
	return filepath.Join(w.place().Dir, filepath.FromSlash(name))
}

func (w *tampered) write(name string, text []byte) {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(w.path(name), text, 0o600))
}

func (w *tampered) read(name string) []byte {
	w.t.Helper()
	text, err := os.ReadFile(w.path(name))
	require.NoError(w.t, err)
	return text
}

func (w *tampered) remove(name string) { require.NoError(w.t, os.RemoveAll(w.path(name))) }

// pick chooses a file of the folders that a tree of the signed size has.
func (w *tampered) pick(folders ...string) string {
	var files []string
	for _, folder := range folders {
		require.NoError(w.t, filepath.WalkDir(w.path(folder), func(at string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				name, err := filepath.Rel(w.place().Dir, at)
				require.NoError(w.t, err)
				files = append(files, filepath.ToSlash(name))
			}
			return nil
		}))
	}
	slices.Sort(files)
	return files[w.rng.IntN(len(files))]
}

func (w *tampered) flipIn(dir, name string) {
	at := filepath.Join(dir, filepath.FromSlash(name))
	text, err := os.ReadFile(at)
	require.NoError(w.t, err)
	text[w.rng.IntN(len(text))] ^= 1 << w.rng.IntN(8)
	require.NoError(w.t, os.WriteFile(at, text, 0o600))
}

func (w *tampered) flip(name string, kind audit.Kind) {
	w.flipIn(w.place().Dir, name)
	if kind != "" {
		w.kinds = append(w.kinds, kind)
	}
}

// deleteTile removes a file that a signed tree has. Partial files may be removed once
// the full one is there: those are not drawn.
func deleteTile(w *tampered) {
	name := w.pick("tile")
	for w.replaced(name) {
		name = w.pick("tile")
	}
	w.remove(name)
	w.expectIn(name, audit.Tile, audit.Entry)
}

// replaced says that a file is partial, and the full one is there.
func (w *tampered) replaced(name string) bool {
	full, _, partial := strings.Cut(name, ".p/")
	if !partial {
		return false
	}
	_, err := os.Stat(w.path(full))
	return err == nil
}

func cutTile(w *tampered) {
	name := w.pick("tile")
	text := w.read(name)
	w.write(name, text[:w.rng.IntN(len(text))])
	w.expectIn(name)
}

func swapBundles(w *tampered) {
	a, b := "tile/entries/000", "tile/entries/001"
	one, other := w.read(a), w.read(b)
	w.write(a, other)
	w.write(b, one)
	w.expect(0, audit.Entry)
}

func cutLog(w *tampered) {
	w.remove("tile/entries/003")
	w.remove("tile/entries/004.p")
	w.remove("tile/0/003")
	w.expect(768, audit.Entry, audit.Tile)
}

func (w *tampered) history() (name string, lines []string) {
	name = path.Join("history", time.Now().UTC().Format("2006-01-02")+".jsonl")
	if _, err := os.Stat(w.path(name)); err != nil {
		name = w.pick("history") // midnight has passed since
	}
	return name, strings.SplitAfter(strings.TrimSuffix(string(w.read(name)), "\n"), "\n")
}

// olderCheckpoint publishes one that was signed earlier. That before the last one is
// what a crash leaves, and is told as a note.
func olderCheckpoint(w *tampered) {
	w.write("checkpoint", []byte(w.s.old.checkpoint(w.t)))
	w.expectIn("checkpoint", audit.Published)
}

func anotherKey(w *tampered) {
	key, err := tlog.NewKey(w.key.Origin())
	require.NoError(w.t, err)
	w.sign(key)
	w.expectIn("checkpoint", audit.Signature)
}

func anotherLog(w *tampered) {
	key, err := tlog.NewKey("log.example/other")
	require.NoError(w.t, err)
	w.sign(key)
	w.expectIn("checkpoint", audit.Signature)
}

// sign publishes what the checkpoint says, signed by another key.
func (w *tampered) sign(key tlog.Key) {
	text, _, _ := strings.Cut(w.checkpoint(w.t), "\n\n")
	text = strings.Replace(text, w.key.Origin(), key.Origin(), 1)
	signer, err := note.NewSigner(strings.Split(string(key.Marshal()), "\n")[0])
	require.NoError(w.t, err)
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, signer)
	require.NoError(w.t, err)
	w.write("checkpoint", signed)
}

func cutHistory(w *tampered) {
	name, lines := w.history()
	text := strings.Join(lines[:len(lines)-1-w.rng.IntN(len(lines)-1)], "")
	w.write(name, []byte(text))
	w.kinds = []audit.Kind{audit.History}
}

func leaveOut(w *tampered) {
	name, lines := w.history()
	i := w.rng.IntN(len(lines) - 1)
	w.write(name, []byte(strings.Join(slices.Delete(lines, i, i+1), "")+"\n"))
	w.expectIn(name, audit.History)
}

// leaveOutAndPad leaves no line that ends where the file did: blanks are legal in JSON.
func leaveOutAndPad(w *tampered) {
	name, lines := w.history()
	i := w.rng.IntN(len(lines) - 1)
	padding := strings.Repeat(" ", len(lines[i])+1+w.rng.IntN(100))
	w.write(name, []byte(strings.Join(slices.Delete(lines, i, i+1), "")+padding+"\n"))
	w.expectIn(name, audit.History)
}

func flipKeys(w *tampered) {
	before, err := tlog.ParseKeys(w.read("keys"))
	require.NoError(w.t, err)
	w.flip("keys", "")
	// Names in JSON may be written in capitals.
	w.unchanged = func() bool {
		after, err := tlog.ParseKeys(w.read("keys"))
		return err == nil && assert.ObjectsAreEqual(before, after)
	}
}

func anotherSalt(w *tampered) {
	require.NoError(w.t, os.Remove(w.place().SaltKey))
	other := newWorld(w.t)
	require.NoError(w.t, os.Rename(other.place().SaltKey, w.place().SaltKey))
	w.kinds = []audit.Kind{audit.SaltKey}
}

func replaySnapshot(w *tampered) {
	w.world = w.s.old.copied(w.t)
	w.scope.Outside = map[string]string{"kept": w.s.kept}
	w.expectIn("kept", audit.Truncated)
}

func rewriteAll(w *tampered) {
	w.world = w.s.forged.copied(w.t)
	w.scope.Outside = map[string]string{"kept": w.s.kept}
	w.expectIn("kept", audit.Rewritten)
}
