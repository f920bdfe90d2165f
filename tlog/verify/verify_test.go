package verify_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// three are a bundle of each kind.
func three(tb require.TestingT) map[string]bundle {
	l := newLedger(23)
	event, chain, window := l.event(tb, 7), l.chain(tb, "A"), l.window(tb, 4, 15)
	chain.Older = &verify.Older{Checkpoint: l.checkpoint(tb, 11, logSecret), Hashes: l.consistency(11, verify.Span{End: 23}, true)}
	return map[string]bundle{"event": event, "chain": chain, "window": window}
}

func TestBundle_Verifies(t *testing.T) {
	for name, b := range three(t) {
		t.Run(name, func(t *testing.T) {
			shown := 0
			verdict, err := verify.Bundle(iotest.OneByteReader(bytes.NewReader(b.encode(t))), trust(t), func(uint64, verify.Leaf, *verify.Said) { shown++ })
			require.NoError(t, err)
			assert.True(t, verdict.Verified, "%v", verdict.Failures)
			assert.NotEmpty(t, verdict.Proven)
			assert.EqualValues(t, shown, verdict.Events)
			assert.Equal(t, name, verdict.Kind)
		})
	}
}

func TestBundle_AnyWindowVerifies(t *testing.T) {
	l := newLedger(40)
	rapid.Check(t, func(rt *rapid.T) {
		end := rapid.Uint64Range(1, 40).Draw(rt, "end")
		begin := rapid.Uint64Range(0, end-1).Draw(rt, "begin")
		b := l.window(rt, begin, end)
		verdict := judge(rt, b.encode(rt), trust(rt))
		require.True(rt, verdict.Verified, "%v", verdict.Failures)
	})
}

// What a change of any byte does: either nothing that anybody reads is another, or
// the answer is no.
func TestBundle_AnyChangedByteIsFound(t *testing.T) {
	for name, b := range three(t) {
		t.Run(name, func(t *testing.T) {
			text, trust := b.encode(t), trust(t)
			want := meaning(t, text)
			for i := range text {
				flip := byte(1) << (i * 5 % 8)
				text[i] ^= flip
				if judge(t, text, trust).Verified {
					require.True(t, reflect.DeepEqual(want, meaning(t, text)), "byte %d of %d, xor %#x", i, len(text), flip)
				}
				text[i] ^= flip
			}
		})
	}
}

func TestBundle_AnyCutOrDoubledPartIsFound(t *testing.T) {
	for name, b := range three(t) {
		t.Run(name, func(t *testing.T) {
			text, trust := b.encode(t), trust(t)
			want := meaning(t, text)
			rapid.Check(t, func(rt *rapid.T) {
				from := rapid.IntRange(0, len(text)-1).Draw(rt, "from")
				to := rapid.IntRange(from+1, len(text)).Draw(rt, "to")
				changed := bytes.Clone(text[:from])
				if rapid.Bool().Draw(rt, "doubled") {
					changed = append(changed, text[from:to]...)
					changed = append(changed, text[from:to]...)
				}
				changed = append(changed, text[to:]...)
				if judge(rt, changed, trust).Verified {
					require.True(rt, reflect.DeepEqual(want, meaning(rt, changed)))
				}
			})
		})
	}
}

// meaning is a bundle as any JSON reader has it.
func meaning(tb require.TestingT, text []byte) (v any) {
	require.NoError(tb, json.Unmarshal(text, &v))
	return v
}

func TestBundle_NamesWhatIsWrong(t *testing.T) {
	l := newLedger(23)
	for name, c := range map[string]struct {
		change func(b *bundle)
		of     bundle
		what   string
		index  int64
	}{
		"an amount":            {func(b *bundle) { b.runs[0].Entries[0].Said.Data[6] = '9' }, l.event(t, 7), verify.Changed, 7},
		"the metadata":         {func(b *bundle) { b.runs[0].Entries[0].Said.Metadata[3] = 'x' }, l.event(t, 7), verify.Changed, 7},
		"the type":             {func(b *bundle) { b.runs[0].Entries[0].Said.Type = "order.rejected" }, l.event(t, 7), verify.Changed, 7},
		"the salt":             {func(b *bundle) { b.runs[0].Entries[0].Said.Salt[0]++ }, l.event(t, 7), verify.Changed, 7},
		"the leaf's time":      {func(b *bundle) { edit(&b.runs[0].Entries[0], "14:30", "14:31") }, l.event(t, 7), verify.Changed, 7},
		"the index":            {func(b *bundle) { b.runs[0].Begin = 6 }, l.event(t, 7), verify.Changed, 6},
		"another event":        {func(b *bundle) { b.Subject.Event = l.leaves[8].ID.String() }, l.event(t, 7), verify.Missing, -1},
		"an event too many":    {func(b *bundle) { b.runs = append(b.runs, l.run(9, 10, true)) }, l.event(t, 7), verify.Inserted, 9},
		"a hash":               {func(b *bundle) { b.runs[0].Beside[1][3] ^= 4 }, l.event(t, 7), verify.Changed, 7},
		"a hash too few":       {func(b *bundle) { b.runs[0].Beside = b.runs[0].Beside[1:] }, l.event(t, 7), verify.Malformed, 7},
		"a hash too many":      {func(b *bundle) { b.runs[0].Beside = append(b.runs[0].Beside, verify.Digest{}) }, l.event(t, 7), verify.Malformed, 7},
		"out of the log":       {func(b *bundle) { b.runs[0].Begin = 1 << 63 }, l.event(t, 7), verify.Malformed, 1 << 62},
		"a revision":           {func(b *bundle) { b.runs = append(b.runs[:3:3], b.runs[4:]...) }, l.chain(t, "A"), verify.Missing, 8},
		"the first revision":   {func(b *bundle) { b.runs = b.runs[1:] }, l.chain(t, "A"), verify.Missing, 3},
		"the order":            {func(b *bundle) { b.runs[3], b.runs[4] = b.runs[4], b.runs[3] }, l.chain(t, "A"), verify.Reordered, -1},
		"a revision twice":     {func(b *bundle) { b.runs = append(b.runs, b.runs[len(b.runs)-1]) }, l.chain(t, "A"), verify.Reordered, 20},
		"another order":        {func(b *bundle) { b.Subject.Order = "Z" }, l.chain(t, "A"), verify.Missing, -1},
		"one before a window":  {func(b *bundle) { b.runs = append([]verify.Run{l.run(1, 2, false)}, b.runs...) }, l.window(t, 4, 15), verify.Inserted, 1},
		"a leaf of a window":   {func(b *bundle) { b.runs = append(b.runs, l.run(16, 17, false)) }, l.window(t, 4, 15), verify.Inserted, 16},
		"the end of a window":  {func(b *bundle) { b.runs = b.runs[:1] }, l.window(t, 4, 15), verify.Truncated, 9},
		"the begin of one":     {func(b *bundle) { b.runs = b.runs[1:] }, l.window(t, 4, 15), verify.Missing, 9},
		"a window's times":     {func(b *bundle) { b.Subject.To = b.Subject.To.Add(2 * time.Second) }, l.window(t, 4, 15), verify.Truncated, 15},
		"a window's beginning": {func(b *bundle) { b.Subject.From = b.Subject.From.Add(-2 * time.Second) }, l.window(t, 4, 15), verify.Truncated, 3},
		"a payload too many":   {func(b *bundle) { b.runs[0].Entries[0] = l.entry(3, true) }, l.window(t, 4, 15), verify.Inserted, 3},
		"the origin":           {func(b *bundle) { b.Origin = "log.example/other" }, l.event(t, 7), verify.WrongLog, -1},
		"the key told":         {func(b *bundle) { b.Key = otherKey }, l.event(t, 7), verify.WrongKey, -1},
		"the signature":        {func(b *bundle) { b.Checkpoint = l.checkpoint(t, 23, otherSecret) }, l.event(t, 7), verify.WrongKey, -1},
		"the signer":           {func(b *bundle) { b.Checkpoint = l.checkpoint(t, 23, witnessSecret) }, l.event(t, 7), verify.WrongKey, -1},
		"a shorter checkpoint": {func(b *bundle) { b.Checkpoint = l.checkpoint(t, 22, logSecret) }, l.event(t, 7), verify.Changed, 7},
		"a checkpoint's text":  {func(b *bundle) { b.Checkpoint = strings.Replace(b.Checkpoint, "\n23\n", "\n023\n", 1) }, l.event(t, 7), verify.Malformed, -1},
		"the kind":             {func(b *bundle) { b.Kind = "tale" }, l.event(t, 7), verify.Malformed, -1},
		"two subjects":         {func(b *bundle) { b.Subject.Order = "A" }, l.event(t, 7), verify.Malformed, -1},
		"an older checkpoint": {func(b *bundle) {
			b.Older = &verify.Older{Checkpoint: newLedger(11).rewritten().checkpoint(t, 11, logSecret), Hashes: l.consistency(11, verify.Span{End: 23}, true)}
		}, l.event(t, 7), verify.Inconsistent, -1},
	} {
		t.Run(name, func(t *testing.T) {
			before := judge(t, c.of.encode(t), trust(t))
			require.True(t, before.Verified, "%v", before.Failures)
			c.change(&c.of)
			verdict := judge(t, c.of.encode(t), trust(t))
			require.False(t, verdict.Verified)
			assert.Empty(t, verdict.Proven)
			require.Contains(t, whats(verdict), c.what, "%v", verdict.Failures)
			if c.index >= 0 && c.index < 1<<62 {
				var indexes []uint64
				for _, f := range verdict.Failures {
					if f.Index != nil {
						indexes = append(indexes, *f.Index)
					}
				}
				assert.Contains(t, indexes, uint64(c.index), "%v", verdict.Failures)
			}
		})
	}
}

func edit(e *verify.Entry, from, to string) { e.Leaf = strings.Replace(e.Leaf, from, to, 1) }

// rewritten is the same log with another past.
func (l *ledger) rewritten() *ledger {
	l.leaves[2].Digest[0] ^= 1
	return l
}

func TestBundle_OlderCheckpointExposesRewrittenHistory(t *testing.T) {
	l := newLedger(23)
	b := l.event(t, 7)
	tr := trust(t)
	asked := 0
	tr.Extension = func(smaller, larger uint64) ([]verify.Digest, error) {
		asked++
		assert.EqualValues(t, 11, smaller)
		assert.EqualValues(t, 23, larger)
		return l.consistency(11, verify.Span{End: 23}, true), nil
	}
	tr.Older = l.checkpoint(t, 11, logSecret)
	assert.True(t, judge(t, b.encode(t), tr).Verified)
	assert.Equal(t, 1, asked)

	tr.Older = newLedger(11).rewritten().checkpoint(t, 11, logSecret)
	assert.Equal(t, []string{verify.Inconsistent}, whats(judge(t, b.encode(t), tr)))

	tr.Older = newLedger(23).rewritten().checkpoint(t, 23, logSecret)
	assert.Equal(t, []string{verify.Inconsistent}, whats(judge(t, b.encode(t), tr)), "of the same size")

	tr.Older, tr.Extension = l.checkpoint(t, 11, logSecret), nil
	assert.Equal(t, []string{verify.Missing}, whats(judge(t, b.encode(t), tr)))
	b.Older = &verify.Older{Checkpoint: tr.Older, Hashes: l.consistency(11, verify.Span{End: 23}, true)}
	assert.True(t, judge(t, b.encode(t), tr).Verified, "the bundle shows it itself")

	tr.Older = l.checkpoint(t, 11, otherSecret)
	assert.Equal(t, []string{verify.WrongKey}, whats(judge(t, b.encode(t), tr)))

	tr.Older, tr.Extension = l.checkpoint(t, 5, logSecret), func(uint64, uint64) ([]verify.Digest, error) { return nil, errors.New("away") }
	_, err := verify.Bundle(bytes.NewReader(b.encode(t)), tr, nil)
	require.ErrorContains(t, err, "away", "a log that can't be asked is no verdict")
}

func TestKeys_AfterRotation(t *testing.T) {
	l := newLedger(23)
	first, err := verify.ParseKey(logKey)
	require.NoError(t, err)
	second, err := verify.ParseKey(otherKey)
	require.NoError(t, err)
	second.From = 12
	keys := verify.Keys{first, second}
	for _, c := range []struct {
		size   uint64
		secret string
		ok     bool
	}{{11, logSecret, true}, {12, logSecret, true}, {13, logSecret, false}, {11, otherSecret, false}, {12, otherSecret, true}, {23, otherSecret, true}} {
		_, failure := keys.Open(l.checkpoint(t, c.size, c.secret), nil)
		assert.Equal(t, c.ok, failure == nil, "%d: %v", c.size, failure)
	}
}

func TestBundle_Witnesses(t *testing.T) {
	l := newLedger(23)
	b := l.event(t, 7)
	witness, err := verify.ParseWitness(witnessKey)
	require.NoError(t, err)
	tr := trust(t)
	tr.Witnesses, tr.Quorum = []note.Verifier{witness, witness}, 1
	assert.Equal(t, []string{verify.NotWitnessed}, whats(judge(t, b.encode(t), tr)))
	b.Checkpoint = l.checkpoint(t, 23, logSecret, witnessSecret)
	verdict := judge(t, b.encode(t), tr)
	require.True(t, verdict.Verified, "%v", verdict.Failures)
	require.Len(t, verdict.Witnesses, 1)

	tr.Quorum = 2
	assert.Equal(t, []string{verify.NotWitnessed}, whats(judge(t, b.encode(t), tr)), "a witness that is named twice is one")
	tr.Quorum = 1

	at := verdict.Witnesses[0].At
	tr.At, tr.Tolerance, tr.MaxAge = at.Add(time.Hour), time.Minute, 2*time.Hour
	assert.True(t, judge(t, b.encode(t), tr).Verified)
	tr.MaxAge = time.Minute
	assert.Equal(t, []string{verify.Expired}, whats(judge(t, b.encode(t), tr)))
	tr.At, tr.MaxAge = at.Add(-time.Hour), 0
	assert.Contains(t, whats(judge(t, b.encode(t), tr)), verify.Future)

	tr = trust(t)
	verdict = judge(t, b.encode(t), tr)
	assert.True(t, verdict.Verified)
	assert.Contains(t, strings.Join(verdict.NotProven, "\n"), "1 signatures of the checkpoint are by keys that you did not name")
}

func TestBundle_FromTheFuture(t *testing.T) {
	b := newLedger(23).event(t, 7)
	tr := trust(t)
	tr.At = began
	assert.Equal(t, []string{verify.Future}, whats(judge(t, b.encode(t), tr)))
	tr.Tolerance = 7 * time.Second
	assert.True(t, judge(t, b.encode(t), tr).Verified)
}

func TestBundle_TellsWhereTheClockWentBack(t *testing.T) {
	l := newLedger(5)
	l.add("order-A", 2, began.Add(3*time.Second), "{}")
	l.add("order-A", 3, began.Add(9*time.Second), "{}")
	b := l.window(t, 1, 6)
	b.Subject.To = began.Add(9 * time.Second)
	verdict := judge(t, b.encode(t), trust(t))
	assert.True(t, verdict.Verified, "%v", verdict.Failures)
	assert.Contains(t, strings.Join(verdict.NotProven, "\n"), "went back at leaf 5")
}

// endless is a value of a hostile file that never ends.
type endless struct {
	head string
	fill string
	read int64
}

func (e *endless) Read(p []byte) (n int, err error) {
	n = copy(p, e.head)
	e.head = e.head[n:]
	for n < len(p) {
		n += copy(p[n:], e.fill)
	}
	e.read += int64(n)
	return n, nil
}

// What is not there is not empty: an event of nothing must say so.
func TestBundle_NothingThatMustStandMayBeLeftOut(t *testing.T) {
	l := newLedger(23)
	l.payloads[7] = verify.Payload{Type: "t"}
	l.leaves[7].Digest = verify.DigestOf(l.salt(l.leaves[7].Stream, l.leaves[7].Revision, l.leaves[7].ID), l.payloads[7])
	b := l.event(t, 7)
	text := string(b.encode(t))
	require.True(t, judge(t, []byte(text), trust(t)).Verified)
	for _, name := range []string{"data", "metadata"} {
		without := strings.Replace(text, `,"`+name+`":""`, "", 1)
		require.NotEqual(t, text, without)
		assert.False(t, judge(t, []byte(without), trust(t)).Verified, name)
	}
}

// What no reader takes is not written.
func TestWriter_RefusesWhatNobodyReads(t *testing.T) {
	l := newLedger(1)
	for size, fits := range map[int]bool{5 << 20: true, 7 << 20: false} {
		l.payloads[0].Data = make([]byte, size)
		l.leaves[0].Digest = verify.DigestOf(l.salt(l.leaves[0].Stream, l.leaves[0].Revision, l.leaves[0].ID), l.payloads[0])
		b := l.event(t, 0)
		if fits {
			assert.True(t, judge(t, b.encode(t), trust(t)).Verified)
			continue
		}
		w, err := verify.NewWriter(io.Discard, b.Header)
		require.NoError(t, err)
		require.ErrorContains(t, w.Run(b.runs[0]), "readers take at most")
	}
}

func TestParseWitness_ChecksTheHash(t *testing.T) {
	_, err := verify.ParseWitness(witnessKey)
	require.NoError(t, err)
	parts := strings.SplitN(witnessKey, "+", 3)
	_, err = verify.ParseWitness(parts[0] + "+00000000+" + parts[2])
	require.ErrorContains(t, err, "witness")
}

func TestBundle_NullIsNotRedacted(t *testing.T) {
	l := newLedger(23)
	b := l.event(t, 7)
	b.runs[0].Entries[0].Said = nil
	text := string(b.encode(t))
	require.True(t, judge(t, []byte(text), trust(t)).Verified)
	null := strings.Replace(text, `\n"}]`, `\n","said":null}]`, 1)
	require.NotEqual(t, text, null)
	assert.False(t, judge(t, []byte(null), trust(t)).Verified)
	null = strings.Replace(text, `"subject":{`, `"subject":{"order":null,`, 1)
	assert.False(t, judge(t, []byte(null), trust(t)).Verified)
}

func TestBundle_KeepsLittleOfHostileNames(t *testing.T) {
	l := newLedger(1)
	for _, length := range []int{1 << 10, 1 << 20} {
		l.leaves[0].Stream = strings.Repeat("s", length)
		b := l.event(t, 0)
		b.Subject.Event = strings.Repeat("e", 1<<10)
		verdict := judge(t, b.encode(t), trust(t))
		require.NotEmpty(t, verdict.Failures)
		for _, f := range verdict.Failures {
			assert.LessOrEqual(t, len(f.Stream)+len(f.Event), 600)
			assert.Less(t, len(f.Message), 600)
		}
	}
}

func TestBundle_HostileFilesAreBoundedAndNeverAYes(t *testing.T) {
	l := newLedger(23)
	b := l.event(t, 7)
	text := string(b.encode(t))
	head, rest, _ := strings.Cut(text, `"runs":[`)
	run, _, _ := strings.Cut(rest, `"entries":[`)
	for name, r := range map[string]io.Reader{
		"nothing":            strings.NewReader(""),
		"null":               strings.NewReader("null"),
		"deep":               &endless{fill: "["},
		"deep in a subject":  &endless{head: `{"format":"tradetrail/proof/v1","kind":"event","subject":`, fill: `{"a":`},
		"a string for ever":  &endless{head: `{"format":"`, fill: "a"},
		"blanks for ever":    &endless{fill: " "},
		"blanks in a run":    &endless{head: head + `"runs":[`, fill: " "},
		"hashes for ever":    &endless{head: head + `"runs":[{"begin":0,"beside":[`, fill: `"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",`},
		"entries for ever":   &endless{head: head + `"runs":[` + run + `"entries":[`, fill: `{"leaf":""},`},
		"an event for ever":  &endless{head: head + `"runs":[` + run + `"entries":[{"leaf":"`, fill: "x"},
		"a huge number":      strings.NewReader(strings.Replace(text, `"begin":7`, `"begin":1e400`, 1)),
		"a negative number":  strings.NewReader(strings.Replace(text, `"begin":7`, `"begin":-7`, 1)),
		"a fraction":         strings.NewReader(strings.Replace(text, `"begin":7`, `"begin":7.0`, 1)),
		"a name twice":       strings.NewReader(strings.Replace(text, `"begin":7`, `"begin":7,"begin":7`, 1)),
		"a head name twice":  strings.NewReader(strings.Replace(text, `"kind":"event"`, `"kind":"event","kind":"event"`, 1)),
		"an unknown name":    strings.NewReader(strings.Replace(text, `"salt":`, `"pepper":1,"salt":`, 1)),
		"another case":       strings.NewReader(strings.Replace(text, `"salt":`, `"Salt":`, 1)),
		"no salt":            strings.NewReader(strings.Replace(text, `"salt":`, `"type":"","x":`, 1)),
		"checkpoint null":    strings.NewReader(strings.Replace(text, `"checkpoint":"`, `"checkpoint":null,"x":"`, 1)),
		"said is null":       strings.NewReader(strings.Replace(text, `"said":{`, `"said":null,"x":{`, 1)),
		"a null in subject":  strings.NewReader(strings.Replace(text, `"subject":{`, `"subject":{"order":null,`, 1)),
		"base64 with blanks": strings.NewReader(strings.Replace(text, `"data":"`, `"data":" `, 1)),
		"base64 with lines":  strings.NewReader(strings.Replace(text, `"data":"eyJ`, `"data":"eyJ\n`, 1)),
		"base64url":          strings.NewReader(strings.Replace(text, `"data":"`, `"data":"-_`, 1)),
		"two bundles":        strings.NewReader(text + text),
		"something behind":   strings.NewReader(text + "x"),
		"half":               strings.NewReader(text[:len(text)/2]),
		"no end":             strings.NewReader(strings.TrimSuffix(text, "}\n")),
		"UTF-8 that is none": strings.NewReader(strings.Replace(text, `order.filled`, "order.\xff", 1)),
		"another version":    strings.NewReader(strings.Replace(text, "proof/v1", "proof/v2", 1)),
		"a byte order mark":  strings.NewReader("\ufeff" + text),
	} {
		t.Run(name, func(t *testing.T) {
			verdict, err := verify.Bundle(r, trust(t), nil)
			require.NoError(t, err)
			assert.False(t, verdict.Verified)
			require.NotEmpty(t, verdict.Failures)
			assert.Less(t, len(verdict.Failures[0].String()), 600)
			if e, ok := r.(*endless); ok {
				assert.Less(t, e.read, int64(10<<20))
			}
		})
	}
}

func TestBundle_ListsAHundredFailures(t *testing.T) {
	l := newLedger(200)
	b := l.window(t, 0, 200)
	for i := range b.runs {
		for j := range b.runs[i].Entries {
			b.runs[i].Entries[j].Said.Type = "x"
		}
	}
	verdict := judge(t, b.encode(t), trust(t))
	assert.Len(t, verdict.Failures, 100)
	assert.EqualValues(t, 100, verdict.More)
}

func TestBundle_BrokenDiskIsNoVerdict(t *testing.T) {
	b := newLedger(23).event(t, 7)
	text := b.encode(t)
	_, err := verify.Bundle(io.MultiReader(bytes.NewReader(text[:200]), iotest.ErrReader(errors.New("bad sector"))), trust(t), nil)
	require.ErrorContains(t, err, "bad sector")
}

func TestRootOf_RefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range [][2]uint64{{0, 0}, {5, 5}, {4, 5}, {1 << 63, 5}, {1<<64 - 1, 1<<64 - 1}} {
		_, err := verify.RootOf(c[0], c[1], [][]byte{nil, nil}, nil)
		require.Error(t, err)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err))
	}
	_, err := verify.RootOf(0, 5, nil, nil)
	require.Error(t, err)
}

var update = flag.Bool("update", false, "write the golden bundles anew")

// The golden bundle is read by others' programs: what is written today must be
// verified for ever. -update writes it anew.
func TestBundle_Golden(t *testing.T) {
	for name, b := range three(t) {
		path := filepath.Join("testdata", name+".json")
		text := b.encode(t)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(path, text, 0o644))
		}
		golden, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(golden), string(text))
		assert.True(t, judge(t, golden, trust(t)).Verified)
	}
}

func ExampleBundle() {
	file, err := os.Open("testdata/event.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	key, err := verify.ParseKey("log.example/trading+4bc01378+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c")
	if err != nil {
		fmt.Println(err)
		return
	}
	verdict, err := verify.Bundle(file, verify.Trust{Keys: verify.Keys{key}}, nil)
	fmt.Println(verdict.Verified, err, verdict.Proven[0])
	// Output: true <nil> the checkpoint of 23 leaves is signed by log.example/trading+4bc01378
}
