package tlog_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// What contradicts the log stops it, and it signs nothing any more.
func TestLog_StopsInDoubt(t *testing.T) {
	for name, tamper := range map[string]func(t *testing.T, w *world){
		"a tile is damaged": func(t *testing.T, w *world) {
			flip(t, filepath.Join(w.place.Dir, "tile", "0", "001.p", "44"), 40)
		},
		"a tile is missing": func(t *testing.T, w *world) {
			require.NoError(t, os.RemoveAll(filepath.Join(w.place.Dir, "tile", "0", "001.p")))
		},
		"the last leaf is damaged": func(t *testing.T, w *world) {
			path := filepath.Join(w.place.Dir, "tile", "entries", "001.p", "44")
			info, err := os.Stat(path)
			require.NoError(t, err)
			flip(t, path, info.Size()-5)
		},
		"the state of the tree is gone": func(t *testing.T, w *world) {
			require.NoError(t, os.Remove(filepath.Join(w.place.Dir, ".state", "treeState")))
		},
		"the end of the tree is cut off": func(t *testing.T, w *world) {
			require.NoError(t, os.WriteFile(filepath.Join(w.place.Dir, ".state", "treeState"), []byte(`{"size":256,"root":""}`), 0o600))
		},
		"the history is damaged": func(t *testing.T, w *world) {
			days, err := filepath.Glob(filepath.Join(w.place.Dir, "history", "*.jsonl"))
			require.NoError(t, err)
			require.NotEmpty(t, days)
			require.NoError(t, os.WriteFile(days[len(days)-1], []byte("{}\n"), 0o600))
		},
		"the history is empty": func(t *testing.T, w *world) {
			require.NoError(t, os.RemoveAll(filepath.Join(w.place.Dir, "history")))
			require.NoError(t, os.Mkdir(filepath.Join(w.place.Dir, "history"), 0o750))
		},
		"the history is signed by another key": func(t *testing.T, w *world) {
			days, err := filepath.Glob(filepath.Join(w.place.Dir, "history", "*.jsonl"))
			require.NoError(t, err)
			line, err := json.Marshal(map[string]any{"time": time.Now(), "note": forge(t, w, nil)})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(days[len(days)-1], append(line, '\n'), 0o600))
		},
		"the published checkpoint is signed by another key": func(t *testing.T, w *world) {
			require.NoError(t, os.WriteFile(filepath.Join(w.place.Dir, "checkpoint"), []byte(forge(t, w, nil)), 0o600))
		},
		"the witnessed checkpoint is signed by another key": func(t *testing.T, w *world) {
			require.NoError(t, os.WriteFile(filepath.Join(w.place.Dir, "checkpoint.witnessed"), []byte(forge(t, w, nil)), 0o600))
		},
		"the witnessed checkpoint is of another tree": func(t *testing.T, w *world) {
			require.NoError(t, os.WriteFile(filepath.Join(w.place.Dir, "checkpoint.witnessed"), []byte(forge(t, w, &w.key)), 0o600))
		},
		"the salt key is another one": func(t *testing.T, w *world) {
			require.NoError(t, os.WriteFile(w.place.SaltKey, []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), 0o600))
		},
		"the event store is another one": func(t *testing.T, w *world) {
			w.store = newStore(t)
		},
		"the event store has other events": func(t *testing.T, w *world) {
			w.store, w.next = newStore(t), 7
			w.record(300)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.record(300)
			l := w.run()
			w.sealed(300)
			require.NoError(t, l.stop())
			signed := w.signings()
			tamper(t, w)

			l = w.run()
			require.Eventually(t, func() bool { return domain.ClassOf(l.Ready()) == domain.ClassIntegrity }, 20*time.Second, 5*time.Millisecond)
			require.NoError(t, l.stop())
			if !strings.HasPrefix(name, "the history") {
				assert.Equal(t, signed, w.signings())
			}
		})
	}
}

// forge is the published checkpoint, signed by another key; or by the log's, of another
// tree.
func forge(t *testing.T, w *world, by *tlog.Key) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.place.Dir, "checkpoint"))
	require.NoError(t, err)
	lines := strings.Split(string(text), "\n")
	if by == nil {
		other, err := tlog.NewKey(w.key.Origin())
		require.NoError(t, err)
		by = &other
	} else {
		lines[2] = base64.StdEncoding.EncodeToString(make([]byte, 32))
	}
	forged, err := note.Sign(&note.Note{Text: strings.Join(lines[:3], "\n") + "\n"}, by.Signer())
	require.NoError(t, err)
	return string(forged)
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	content[at] ^= 1
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

// signings are the sizes that were ever signed.
func (w *world) signings() (sizes []uint64) {
	w.t.Helper()
	require.NoError(w.t, tlog.History(w.place.Dir, func(c tlog.Checkpoint) error {
		sizes = append(sizes, c.Size)
		return nil
	}))
	return sizes
}

func TestOpen_RefusesWhatIsNotItsLog(t *testing.T) {
	w := newWorld(t)
	own := w.key
	other, err := tlog.NewKey(own.Origin())
	require.NoError(t, err)
	w.key = other
	_, err = w.open()
	require.ErrorContains(t, err, "does not hand over")

	w.key = own
	w.place.Dir += "-mistyped"
	_, err = w.open()
	require.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "%v", err)
	require.Equal(t, domain.ClassIntegrity, domain.ClassOf(tlog.Create(t.Context(), w.place, own, w.now)), "nor is it begun anew")
}

func TestCreate_WritesOverNothing(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, domain.ClassRejected, domain.ClassOf(tlog.Create(t.Context(), w.place, w.key, w.now)))
	elsewhere := tlog.Place{Dir: t.TempDir(), SaltKey: filepath.Join(t.TempDir(), "salt.key")}
	require.Equal(t, domain.ClassRejected, domain.ClassOf(tlog.Create(t.Context(), elsewhere, w.key, w.now)))
	path := filepath.Join(t.TempDir(), "log.key")
	require.NoError(t, tlog.WriteKey(path, w.key))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	require.Equal(t, domain.ClassRejected, domain.ClassOf(tlog.WriteKey(path, w.key)))
	read, err := tlog.ReadKey(path)
	require.NoError(t, err)
	assert.Equal(t, w.key.Verifier(), read.Verifier())
}

// A disk that can't be written is tried again; nothing is left out afterwards. The
// folder of bundles is a file meanwhile, which not even root can write into.
func TestLog_TriesAgainWhatItCannotWrite(t *testing.T) {
	w := newWorld(t)
	w.record(10)
	l := w.run()
	w.sealed(10)
	entries := filepath.Join(w.place.Dir, "tile", "entries")
	require.NoError(t, os.Rename(entries, entries+".away"))
	require.NoError(t, os.WriteFile(entries, nil, 0o600))
	w.record(600)
	require.Eventually(t, func() bool { return l.Ready() != nil }, 20*time.Second, 5*time.Millisecond)
	require.NotEqual(t, domain.ClassIntegrity, domain.ClassOf(l.Ready()), "%v", l.Ready())
	require.NoError(t, os.Remove(entries))
	require.NoError(t, os.Rename(entries+".away", entries))
	w.sealed(610)
	require.Eventually(t, func() bool { return l.Ready() == nil }, 20*time.Second, 5*time.Millisecond)
	require.NoError(t, l.stop())
	w.check(610)
}

func TestLog_OneProcessWritesAndAnotherTakesOver(t *testing.T) {
	w := newWorld(t)
	w.record(5)
	first := w.run()
	w.sealed(5)

	others := *w
	others.board = new(tlog.Board)
	second := others.run()
	others.sealed(5)
	w.record(5)
	w.sealed(10)
	others.sealed(10)
	require.NoError(t, second.Ready())
	require.NoError(t, first.stop())
	w.record(5)
	others.sealed(15)
	require.NoError(t, second.stop())
	w.check(15)
}

// With a clock that is put back everything is sealed at once.
func TestLog_ClockPutBack(t *testing.T) {
	w := newWorld(t)
	back := make(chan time.Duration, 1)
	back <- 0
	w.now = func() time.Time {
		d := <-back
		back <- d
		return time.Now().Add(d)
	}
	l := w.run()
	w.record(3)
	w.sealed(3)
	<-back
	back <- -48 * time.Hour
	w.record(3)
	w.sealed(6)
	require.NoError(t, l.stop())
	l = w.run()
	w.record(3)
	w.sealed(9)
	require.NoError(t, l.stop())
	w.check(9)
	assert.Subset(t, w.signings(), []uint64{0, 3, 6, 9})
}

func TestKey_HandsOver(t *testing.T) {
	w := newWorld(t)
	w.record(3)
	l := w.run()
	before := w.sealed(3).Sealed
	require.NoError(t, l.stop())
	old := w.key
	var err error
	w.key, err = tlog.NewKeyAfter(old)
	require.NoError(t, err)
	w.key, err = tlog.ParseKey(w.key.Marshal())
	require.NoError(t, err)
	l = w.run()
	w.record(3)
	after := w.sealed(6).Sealed
	require.NoError(t, l.stop())

	keys, err := tlog.ReadKeys(w.place.Dir)
	require.NoError(t, err)
	require.Len(t, keys, 2)
	assert.Equal(t, uint64(3), keys[1].From)
	for _, c := range []tlog.Checkpoint{before, after} {
		_, err = keys.Check(c.Note)
		require.NoError(t, err)
	}
	_, err = keys[:1].Check(after.Note)
	require.Error(t, err)
	keys[0].From, keys[1].From = 0, 6
	_, err = keys[1:].Check(before.Note)
	require.Error(t, err)

	w.key = old
	_, err = w.open()
	require.Error(t, err, "the old key signs no more")
	first, err := w.place.FirstKey()
	require.NoError(t, err)
	assert.Equal(t, old.Verifier(), first)
	assert.True(t, old.First())
	w.key, err = tlog.NewKey(old.Origin())
	require.NoError(t, err)
	_, err = tlog.Open(w.place, w.store, w.board, tlog.Options{Key: w.key, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	require.Error(t, err, "nor does one that nobody handed over to")
}

// Anybody can make a key that hands over to the log's: the log's does not say so.
func TestOpen_RefusesAnotherPast(t *testing.T) {
	w := newWorld(t)
	before, err := tlog.NewKey(w.key.Origin())
	require.NoError(t, err)
	handOver, err := note.Sign(&note.Note{Text: "tradetrail/key/v1\n" + w.key.Verifier() + "\n"}, before.Signer())
	require.NoError(t, err)
	var text []byte
	for _, k := range (tlog.Keys{{Verifier: before.Verifier()}, {Verifier: w.key.Verifier(), HandOver: string(handOver)}}) {
		line, err := json.Marshal(k)
		require.NoError(t, err)
		text = append(append(text, line...), '\n')
	}
	_, err = tlog.ParseKeys(text)
	require.NoError(t, err, "it looks right")
	require.NoError(t, os.WriteFile(filepath.Join(w.place.Dir, "keys"), text, 0o600))
	_, err = w.open()
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "%v", err)
}

// However the events are cut into batches, the tree is the same.
func TestLog_SameTreeForAnyCut(t *testing.T) {
	w := newWorld(t)
	roots := make(map[uint64]verify.Digest)
	total := 0
	l := w.run()
	for _, n := range []int{1, 254, 1, 1, 300, 7, 1000} {
		w.record(n)
		total += n
		roots[uint64(total)] = w.sealed(total).Sealed.Root
	}
	require.NoError(t, l.stop())
	w.check(total)

	again := *w
	again.board = new(tlog.Board)
	again.place = tlog.Place{Dir: filepath.Join(t.TempDir(), "tlog"), SaltKey: filepath.Join(t.TempDir(), "salt.key")}
	require.NoError(t, tlog.Create(t.Context(), again.place, again.key, again.now))
	salt, err := os.ReadFile(w.place.SaltKey)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(again.place.SaltKey, salt, 0o600))
	l = again.run()
	assert.Equal(t, roots[uint64(total)], again.sealed(total).Sealed.Root)
	require.NoError(t, l.stop())
	again.check(total)
}

// troubled is a store that answers nothing about what it has until it is well.
type troubled struct {
	tlog.Events

	asked atomic.Int32
	well  atomic.Bool
}

var errTroubled = &domain.Error{Class: domain.ClassUnknown, Code: eventstore.CodeUnclassified, Message: "reading all events"}

func (s *troubled) At(ctx context.Context, p domain.Position) (eventstore.Record, error) {
	s.asked.Add(1)
	if !s.well.Load() {
		return eventstore.Record{}, errTroubled
	}
	return s.Events.At(ctx, p)
}

func (s *troubled) Head(ctx context.Context) (domain.Position, error) {
	if !s.well.Load() {
		return domain.Position{}, errTroubled
	}
	return s.Events.Head(ctx)
}

// A store that is in trouble has lost nothing: the log goes on when it is well again.
func TestLog_StoreInTrouble(t *testing.T) {
	w := newWorld(t)
	w.record(10)
	l := w.run()
	w.sealed(10)
	require.NoError(t, l.stop())
	store := &troubled{Events: w.store}
	l = w.runOver(store)
	require.Eventually(t, func() bool { return store.asked.Load() > 1 }, 20*time.Second, time.Millisecond)
	require.NotEqual(t, domain.ClassIntegrity, domain.ClassOf(l.Ready()))
	store.well.Store(true)
	w.record(5)
	w.sealed(15)
	require.NoError(t, l.stop())
	w.check(15)
}
