package prove_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/tlog/prove"
	"github.com/tradetrail/tradetrail/tlog/tiles"
	"github.com/tradetrail/tradetrail/tlog/tiles/tilestest"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// history is an event store in memory.
type history []eventstore.Record

func (h history) At(_ context.Context, p domain.Position) (eventstore.Record, error) {
	for _, r := range h {
		if r.Position == p {
			return r, nil
		}
	}
	return eventstore.Record{}, &domain.Error{Class: domain.ClassNotFound, Code: "test"}
}

func (h history) Stream(_ context.Context, stream string, from uint64) iter.Seq2[eventstore.Record, error] {
	return h.which(func(r eventstore.Record) bool { return r.Stream == stream && r.Revision >= from })
}

func (h history) Forwards(_ context.Context, from domain.Position, _ uint64) iter.Seq2[eventstore.Record, error] {
	return h.which(func(r eventstore.Record) bool { return r.Position.Compare(from) >= 0 })
}

func (h history) which(wanted func(eventstore.Record) bool) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for _, r := range h {
			if wanted(r) && !yield(r, nil) {
				return
			}
		}
	}
}

var (
	began   = time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)
	saltKey = []byte("salt key")
)

const size = 600

// events are 600 of ours, one a second, with system events between them.
func events() history {
	var h history
	for i := range size {
		at := uint64(i+1) * 10
		h = append(h, eventstore.Record{
			ID: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i)), Type: "order.filled", Stream: fmt.Sprintf("order-%d", i%100), Revision: uint64(i / 100),
			Position: domain.Position{Commit: at, Prepare: at}, Created: began.Add(time.Duration(i) * time.Second),
			Data: fmt.Appendf(nil, `{"n":%d}`, i), Metadata: []byte("{}"),
		})
		if i%50 == 0 {
			h = append(h, eventstore.Record{Type: "$metadata", Stream: "$$x", Position: domain.Position{Commit: at + 1, Prepare: at + 1}})
		}
	}
	return h
}

type world struct {
	events history
	log    *tiles.Log
	folder string
	keys   verify.Keys
	signer note.Signer
}

func (w *world) prover() *prove.Prover {
	return prove.New(w.events, w.log, saltKey, func() (verify.Keys, error) { return w.keys, nil })
}

// newWorld has a log that was also signed at the given sizes.
func newWorld(tb testing.TB, sizes ...int) *world {
	tb.Helper()
	return worldOf(tb, events(), sizes...)
}

func worldOf(tb testing.TB, h history, sizes ...int) *world {
	tb.Helper()
	w := &world{events: h}
	var leaves [][]byte
	for _, r := range w.events {
		if r.System() {
			continue
		}
		leaf := verify.Leaf{Position: r.Position, Stream: r.Stream, Revision: r.Revision, ID: r.ID, Created: r.Created, Digest: verify.DigestOf(
			verify.SaltOf(saltKey, r.Stream, r.Revision, r.ID), verify.Payload{Type: r.Type, Data: r.Data, Metadata: r.Metadata})}
		leaves = append(leaves, leaf.Marshal())
	}
	signer, text := tilestest.Key(tb, "prove.example")
	key, err := verify.ParseKey(text)
	require.NoError(tb, err)
	folder := tb.TempDir()
	begin := 0
	for _, end := range append(sizes, len(leaves)) {
		tilestest.Write(tb, folder, signer, leaves[begin:end])
		begin = end
	}
	source, err := tiles.OpenFolder(folder)
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, source.Close()) })
	w.log, w.folder, w.keys, w.signer = tiles.New(source), folder, verify.Keys{key}, signer
	return w
}

func (w *world) judge(tb testing.TB, text []byte) verify.Verdict {
	tb.Helper()
	verdict, err := verify.Bundle(bytes.NewReader(text), verify.Trust{Keys: w.keys}, nil)
	require.NoError(tb, err)
	return verdict
}

func TestProver_MakesWhatIsVerified(t *testing.T) {
	w := newWorld(t)
	p := w.prover()
	older, err := w.log.Checkpoint(t.Context())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		make   func(ctx context.Context, to io.Writer, o prove.Options) error
		events uint64
	}{
		"event": {func(ctx context.Context, to io.Writer, o prove.Options) error {
			return p.Event(ctx, to, uuid.NewSHA1(uuid.Nil, []byte("17")), "", o)
		}, 1},
		"event of a stream": {func(ctx context.Context, to io.Writer, o prove.Options) error {
			return p.Event(ctx, to, uuid.NewSHA1(uuid.Nil, []byte("517")), "order-17", o)
		}, 1},
		"event at": {func(ctx context.Context, to io.Writer, o prove.Options) error {
			return p.EventAt(ctx, to, w.events[17].ID, w.events[17].Position, o)
		}, 1},
		"chain": {func(ctx context.Context, to io.Writer, o prove.Options) error {
			return p.Order(ctx, to, "42", []domain.Position{{Commit: 10, Prepare: 10}, {Commit: 430, Prepare: 430}}, o)
		}, 7},
		"window": {func(ctx context.Context, to io.Writer, o prove.Options) error {
			return p.Window(ctx, to, began.Add(10*time.Second), began.Add(550*time.Second), o)
		}, 542},
		"everything": {func(ctx context.Context, to io.Writer, o prove.Options) error {
			return p.Window(ctx, to, began.Add(-time.Hour), began.Add(time.Hour), o)
		}, 600},
		"nothing": {func(ctx context.Context, to io.Writer, o prove.Options) error {
			return p.Window(ctx, to, began.Add(-2*time.Hour), began.Add(-time.Hour), o)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, o := range []prove.Options{{}, {Redact: true}, {Older: string(older)}} {
				var out bytes.Buffer
				require.NoError(t, c.make(t.Context(), &out, o))
				verdict := w.judge(t, out.Bytes())
				require.True(t, verdict.Verified, "%v", verdict.Failures)
				assert.Equal(t, c.events, verdict.Events)
				assert.Equal(t, o.Redact || name == "nothing", !strings.Contains(out.String(), `"said"`))
			}
		})
	}
}

func TestProver_StopsWhereStoreAndLogDiffer(t *testing.T) {
	for name, change := range map[string]func(h history) history{
		"changed": func(h history) history { h[20].Data = []byte("{}"); return h },
		"missing": func(h history) history { return append(h[:20:20], h[21:]...) },
		"ended":   func(h history) history { return h[:20] },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.events = change(w.events)
			err := w.prover().Window(t.Context(), io.Discard, began, began.Add(time.Hour), prove.Options{})
			require.Error(t, err)
			assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "%v", err)
			err = w.prover().Event(t.Context(), io.Discard, uuid.NewSHA1(uuid.Nil, []byte("19")), "", prove.Options{})
			require.Error(t, err)
			assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "%v", err)
		})
	}
}

// Whoever records an id under another order does not own the proof of the first one.
func TestProver_DoesNotChooseBetweenEvents(t *testing.T) {
	twice := events()
	twice[520].ID = twice[17].ID
	w := worldOf(t, twice)
	first, other := twice[17], twice[520]
	err := w.prover().Event(t.Context(), io.Discard, first.ID, "", prove.Options{})
	require.ErrorContains(t, err, first.Stream)
	require.ErrorContains(t, err, other.Position.String())
	assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
	for _, r := range []eventstore.Record{first, other} {
		for name, make := range map[string]func(to io.Writer) error{
			"stream": func(to io.Writer) error { return w.prover().Event(t.Context(), to, r.ID, r.Stream, prove.Options{}) },
			"position": func(to io.Writer) error {
				return w.prover().EventAt(t.Context(), to, r.ID, r.Position, prove.Options{})
			},
		} {
			var out bytes.Buffer
			require.NoError(t, make(&out), name)
			verdict := w.judge(t, out.Bytes())
			require.True(t, verdict.Verified, "%v", verdict.Failures)
			assert.Contains(t, strings.Join(verdict.Proven, "\n"), r.Stream, "the verdict says which of them it is of")
		}
	}
}

// The embedded store refuses positions behind its end, with no code of its own.
type cutOff struct{ history }

func (c cutOff) At(ctx context.Context, p domain.Position) (eventstore.Record, error) {
	r, err := c.history.At(ctx, p)
	if err != nil {
		err = &domain.Error{Class: domain.ClassRejected, Code: eventstore.CodeUnclassified, Message: "no such place"}
	}
	return r, err
}

// A read model that names a place where nothing ever was does not accuse the log.
func TestProver_LeavesOutWhatReadModelsMakeUp(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	require.NoError(t, w.prover().Order(t.Context(), &out, "42", []domain.Position{{Commit: 15, Prepare: 15}, {Commit: 20, Prepare: 20}}, prove.Options{}))
	verdict := w.judge(t, out.Bytes())
	require.True(t, verdict.Verified, "%v", verdict.Failures)
	assert.EqualValues(t, 7, verdict.Events)
}

func TestProver_SeesACutTail(t *testing.T) {
	w := newWorld(t)
	gone := w.events[len(w.events)-1]
	p := prove.New(cutOff{w.events[:len(w.events)-1]}, w.log, saltKey, func() (verify.Keys, error) { return w.keys, nil })
	err := p.Event(t.Context(), io.Discard, gone.ID, "", prove.Options{})
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "%v", err)
	report, err := prove.NewReporter(p, w.signer, nil).Report(t.Context(), gone.Position)
	require.NoError(t, err)
	for _, at := range []domain.Position{w.events[0].Position, gone.Position} {
		_, _, ok, err := report.Leaf(t.Context(), at)
		require.NoError(t, err)
		require.True(t, ok)
	}
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(report.Bundle(t.Context(), io.Discard, "r")))
}

func TestProver_KnowsWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	first, behind := w.events[17], domain.Position{Commit: 1 << 40, Prepare: 1 << 40}
	for name, err := range map[string]error{
		"event":           w.prover().Event(t.Context(), io.Discard, uuid.New(), "", prove.Options{}),
		"event elsewhere": w.prover().Event(t.Context(), io.Discard, uuid.NewSHA1(uuid.Nil, []byte("17")), "order-18", prove.Options{}),
		"no such stream":  w.prover().Event(t.Context(), io.Discard, uuid.NewSHA1(uuid.Nil, []byte("17")), "order-none", prove.Options{}),
		"order":           w.prover().Order(t.Context(), io.Discard, "none", nil, prove.Options{}),
		"another event":   w.prover().EventAt(t.Context(), io.Discard, uuid.New(), first.Position, prove.Options{}),
		"no event":        w.prover().EventAt(t.Context(), io.Discard, first.ID, domain.Position{Commit: first.Position.Commit + 1, Prepare: first.Position.Commit + 1}, prove.Options{}),
		"not yet":         w.prover().EventAt(t.Context(), io.Discard, first.ID, behind, prove.Options{}),
	} {
		require.Error(t, err, name)
		assert.Equal(t, domain.ClassNotFound, domain.ClassOf(err), name)
	}
	at := domain.Position{Commit: 1 << 40, Prepare: 1 << 40}
	w.events = append(w.events, eventstore.Record{Stream: "order-new", Position: at}, eventstore.Record{Stream: "order-42", Revision: 6, Position: at})
	err := w.prover().Order(t.Context(), io.Discard, "new", nil, prove.Options{})
	require.ErrorContains(t, err, "in no checkpoint yet")
	err = w.prover().Event(t.Context(), io.Discard, uuid.Nil, "order-new", prove.Options{})
	require.ErrorContains(t, err, "in no checkpoint yet")
	var out bytes.Buffer
	require.NoError(t, w.prover().Order(t.Context(), &out, "42", nil, prove.Options{}))
	assert.EqualValues(t, 6, w.judge(t, out.Bytes()).Events, "what is not sealed yet is left out")
}

func TestProver_RefusesAWrongOlderCheckpoint(t *testing.T) {
	w := newWorld(t)
	rewritten, err := note.Sign(&note.Note{Text: fmt.Sprintf("prove.example\n300\n%s\n", verify.Digest{1})}, w.signer)
	require.NoError(t, err)
	// 300 leaves were never a checkpoint of this log; 600 were.
	rewritten = bytes.Replace(rewritten, []byte("\n300\n"), []byte("\n600\n"), 1)
	err = w.prover().Event(t.Context(), io.Discard, uuid.NewSHA1(uuid.Nil, []byte("17")), "", prove.Options{Older: string(rewritten)})
	require.Error(t, err)
	assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), "the signature is of another text")
	other, err := note.Sign(&note.Note{Text: fmt.Sprintf("prove.example\n600\n%s\n", verify.Digest{1})}, w.signer)
	require.NoError(t, err)
	err = w.prover().Event(t.Context(), io.Discard, uuid.NewSHA1(uuid.Nil, []byte("17")), "", prove.Options{Older: string(other)})
	refused, ok := errors.AsType[*domain.Error](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, domain.ClassIntegrity, refused.Class)
	assert.Equal(t, prove.CodeRewritten, refused.Code)
}
