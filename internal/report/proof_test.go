package report_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
	"github.com/tradetrail/tradetrail/internal/report"
	"github.com/tradetrail/tradetrail/tlog/prove"
	"github.com/tradetrail/tradetrail/tlog/tiles"
	"github.com/tradetrail/tradetrail/tlog/tiles/tilestest"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// store is the event store behind some views.
type store []eventstore.Record

// from is the place of the first event at or behind a position.
func (s store) from(p domain.Position) int {
	at, _ := slices.BinarySearchFunc(s, p, func(r eventstore.Record, p domain.Position) int { return r.Position.Compare(p) })
	return at
}

func (s store) At(_ context.Context, p domain.Position) (eventstore.Record, error) {
	if at := s.from(p); at < len(s) && s[at].Position == p {
		return s[at], nil
	}
	return eventstore.Record{}, &domain.Error{Class: domain.ClassNotFound, Code: "test"}
}

func (store) Stream(context.Context, string, uint64) iter.Seq2[eventstore.Record, error] {
	panic("a report asks for no stream")
}

func (s store) Forwards(_ context.Context, from domain.Position, _ uint64) iter.Seq2[eventstore.Record, error] {
	return func(yield func(eventstore.Record, error) bool) {
		for _, r := range s[s.from(from):] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// notary is a log of the first events of some views, and who proves from it.
type notary struct {
	*prove.Reporter

	keys   verify.Keys
	leaves []verify.Leaf
}

func newNotary(tb testing.TB, v *memory, sealed int) *notary {
	tb.Helper()
	var events store
	var leaves [][]byte
	n := &notary{}
	for _, e := range v.events {
		data, err := e.Encode()
		require.NoError(tb, err)
		r := eventstore.Record{
			ID: e.StoreID(), Type: string(e.Type), Stream: e.Stream, Revision: e.Revision, Position: e.Position, Created: e.RecordedAt, Data: data, Metadata: []byte("{}"),
		}
		events = append(events, r)
		leaf := verify.Leaf{
			Position: r.Position, Stream: r.Stream, Revision: r.Revision, ID: r.ID, Created: r.Created,
			Digest: verify.DigestOf(verify.SaltOf([]byte("salt"), r.Stream, r.Revision, r.ID), verify.Payload{Type: r.Type, Data: r.Data, Metadata: r.Metadata}),
		}
		if len(leaves) < sealed {
			n.leaves, leaves = append(n.leaves, leaf), append(leaves, leaf.Marshal())
		}
	}
	secret, public, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)), "report.example")
	require.NoError(tb, err)
	signer, err := note.NewSigner(secret)
	require.NoError(tb, err)
	key, err := verify.ParseKey(public)
	require.NoError(tb, err)
	folder := tb.TempDir()
	tilestest.Write(tb, folder, signer, leaves)
	source, err := tiles.OpenFolder(folder)
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, source.Close()) })
	n.keys = verify.Keys{key}
	n.Reporter = prove.NewReporter(prove.New(events, tiles.New(source), []byte("salt"), func() (verify.Keys, error) { return n.keys, nil }), signer, nil)
	return n
}

// proven makes a report that the log proves.
func proven(tb testing.TB, v report.Views, log report.Log, r report.Request) []byte {
	tb.Helper()
	d, err := report.Make(tb.Context(), v, log, r, created(), func(int) {})
	require.NoError(tb, err)
	var out bytes.Buffer
	require.NoError(tb, r.Format.Write(&out, d))
	return out.Bytes()
}

// judge verifies a PDF as somebody does who has the key.
func judge(tb testing.TB, file []byte, keys verify.Keys) verify.Verdict {
	tb.Helper()
	verdict, err := verify.Report(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(file)), nil }, verify.Trust{Keys: keys, At: created()}, nil)
	require.NoError(tb, err)
	return verdict
}

// desk's last event is of another day: of the reports below, the history alone has it.
const deskSealed = 16

func TestProof_EachRowHasItsLeaf(t *testing.T) {
	v := newMemory(desk()...)
	log := newNotary(t, v, deskSealed)
	for _, r := range []report.Request{
		{Kind: report.Order, ID: "O-1"},
		{Kind: report.Account, ID: "ACC-1"},
		{Kind: report.Daily, Day: "2026-03-02"},
		{Kind: report.Compliance},
	} {
		text := string(proven(t, v, log, as(r, report.Text)))
		page := squeezed(pdfText(t, proven(t, v, log, as(r, report.PDF))))
		for i, e := range v.events {
			if !bytes.Contains([]byte(text), []byte(e.ID+" | "+e.Stream)) {
				continue // in sums only
			}
			want := e.Stream + "@" + strconv.FormatUint(e.Revision, 10) + " | not sealed yet | -"
			if i < deskSealed {
				hash := verify.LeafHash(log.leaves[i].Marshal())
				want = e.Stream + "@" + strconv.FormatUint(e.Revision, 10) + " | " + strconv.Itoa(i) + " | " + hex.EncodeToString(hash[:8])
				assert.Contains(t, page, hex.EncodeToString(hash[:8]), "%s: leaf %d", r.Kind, i)
			}
			assert.Contains(t, text, want, "%s", r.Kind)
		}
		assert.NotContains(t, text, "no log")
		assert.Contains(t, text, "report.example")
	}
	compliance := string(proven(t, v, log, report.Request{Kind: report.Compliance, Format: report.Text}))
	assert.Contains(t, compliance, "the first 16 events of the log, up to C:1600/P:1600")
	assert.Regexp(t, `Events of the window not sealed yet +1\n`, compliance)
}

func TestProof_PDFVerifies(t *testing.T) {
	v := newMemory(desk()...)
	log := newNotary(t, v, deskSealed)
	for _, r := range []report.Request{
		{Kind: report.Order, ID: "O-1", Format: report.PDF},
		{Kind: report.Order, ID: "nobody's", Format: report.PDF},
		{Kind: report.Account, ID: "ACC-1", Format: report.PDF},
		{Kind: report.Compliance, Format: report.PDF},
	} {
		file := proven(t, v, log, r)
		verdict := judge(t, file, log.keys)
		assert.True(t, verdict.Verified, "%v", verdict.Failures)
		assert.Equal(t, verify.KindReport, verdict.Kind)
		assert.Equal(t, r.FileName(), verdict.Subject.Report)
		assert.Equal(t, created(), *verdict.Sealed)
		assert.Equal(t, file, proven(t, v, log, r), "the same log, clock and key give the same bytes")
	}
	account := judge(t, proven(t, v, log, report.Request{Kind: report.Account, ID: "ACC-1", Format: report.PDF}), log.keys)
	assert.EqualValues(t, 11, account.Events, "all but one of the account's are sealed")
	assert.EqualValues(t, 1, account.Subject.Unsealed)
}

// Readers of PDF show the proof as an attachment, and it is a bundle.
func TestProof_IsAnAttachment(t *testing.T) {
	program := poppler(t, "pdfdetach")
	v := newMemory(desk()...)
	log := newNotary(t, v, deskSealed)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.pdf"), filepath.Join(dir, "proof.json")
	require.NoError(t, os.WriteFile(in, proven(t, v, log, report.Request{Kind: report.Order, ID: "O-1", Format: report.PDF}), 0o600))
	said, err := exec.CommandContext(t.Context(), program, "-save", "1", "-o", out, in).CombinedOutput()
	require.NoError(t, err, "%s", said)
	assert.Empty(t, string(said))
	bundle, err := os.ReadFile(out)
	require.NoError(t, err)
	verdict, err := verify.Bundle(bytes.NewReader(bundle), verify.Trust{Keys: log.keys}, nil)
	require.NoError(t, err)
	assert.True(t, verdict.Verified, "%v", verdict.Failures)
	assert.EqualValues(t, 7, verdict.Events)
}

// No byte of a file can be another, no byte can be missing, and none can be added.
func TestProof_AnyChangedByteIsFound(t *testing.T) {
	v := newMemory(desk()...)
	log := newNotary(t, v, deskSealed)
	file := proven(t, v, log, report.Request{Kind: report.Order, ID: "O-1", Format: report.PDF})
	require.True(t, judge(t, file, log.keys).Verified)
	for i := range file {
		flip := byte(1) << (i % 8)
		file[i] ^= flip
		if judge(t, file, log.keys).Verified {
			require.Fail(t, "a changed byte was not found", "byte %d of %d, xor %#x", i, len(file), flip)
		}
		file[i] ^= flip
	}
	sealed := bytes.LastIndex(file, []byte(verify.SealBegins))
	for i := sealed; i < len(file); i++ { // every bit of the end
		for bit := range 8 {
			file[i] ^= 1 << bit
			if judge(t, file, log.keys).Verified {
				require.Fail(t, "a changed bit was not found", "bit %d of byte %d of %d", bit, i, len(file))
			}
			file[i] ^= 1 << bit
		}
		require.False(t, judge(t, file[:i], log.keys).Verified, "cut off at %d", i)
	}
}

func TestProof_WhatIsPutTogetherIsFound(t *testing.T) {
	v := newMemory(desk()...)
	log := newNotary(t, v, deskSealed)
	file := proven(t, v, log, report.Request{Kind: report.Order, ID: "O-1", Format: report.PDF})
	other := proven(t, v, log, report.Request{Kind: report.Order, ID: "O-2", Format: report.PDF})
	sealAt := func(file []byte) int { return bytes.LastIndex(file, []byte(verify.SealBegins)) }
	bundleOf := func(file []byte) verify.Seal {
		text := file[sealAt(file)+len(verify.SealBegins):]
		raw, err := base64.StdEncoding.DecodeString(string(text[:bytes.IndexByte(text, '\n')]))
		require.NoError(t, err)
		seal, _, failure := log.keys.OpenSeal(string(raw))
		require.Nil(t, failure)
		return seal
	}
	mine, theirs := bundleOf(file), bundleOf(other)
	update := []byte("1 0 obj\n<< /Type /Catalog /Pages 99 0 R >>\nendobj\nxref\n1 1\n0000000000 00000 n \ntrailer\n<< /Size 2 /Root 1 0 R /Prev 9 >>\nstartxref\n9\n%%EOF\n")
	for name, c := range map[string]struct {
		file []byte
		what string
	}{
		"a line feed behind it":          {append(bytes.Clone(file), '\n'), verify.Unsealed},
		"an incremental update":          {append(bytes.Clone(file), update...), verify.Unsealed},
		"an update before the seal":      {bytes.Join([][]byte{file[:sealAt(file)], file[sealAt(file):]}, update), verify.Changed},
		"an update and the seal again":   {bytes.Join([][]byte{file, update[:bytes.Index(update, []byte("\nstartxref"))], file[sealAt(file):]}, nil), verify.Changed},
		"another report under this seal": {append(bytes.Clone(other[:sealAt(other)]), file[sealAt(file):]...), verify.Changed},
		"another report behind this one": {append(bytes.Clone(file), other...), verify.Changed},
		"the other's proof": {bytes.Join([][]byte{
			file[:mine.Offset], other[theirs.Offset : theirs.Offset+theirs.Length], file[mine.Offset+mine.Length:],
		}, nil), verify.Changed},
		"nothing":      {nil, verify.Unsealed},
		"a seal alone": {file[sealAt(file):], verify.Changed},
		"never sealed": {written(t, v, report.Request{Kind: report.Order, ID: "O-1", Format: report.PDF}), verify.Unsealed},
	} {
		verdict := judge(t, c.file, log.keys)
		require.False(t, verdict.Verified, name)
		assert.Equal(t, c.what, verdict.Failures[0].What, "%s: %v", name, verdict.Failures)
	}

	// The same pages under another key, whose log it is not.
	_, public, err := note.GenerateKey(nil, "report.example")
	require.NoError(t, err)
	key, err := verify.ParseKey(public)
	require.NoError(t, err)
	verdict := judge(t, file, verify.Keys{key})
	require.False(t, verdict.Verified)
	assert.Equal(t, verify.WrongKey, verdict.Failures[0].What)

	early, err := verify.Report(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(file)), nil },
		verify.Trust{Keys: log.keys, At: created().Add(-time.Hour)}, nil)
	require.NoError(t, err)
	require.False(t, early.Verified)
	assert.Equal(t, verify.Future, early.Failures[0].What)
}

// Where the store has another event than the log, no report is made.
func TestProof_StopsAtAContradiction(t *testing.T) {
	v := newMemory(desk()...)
	log := newNotary(t, v, deskSealed)
	v.events[4].Position.Commit-- // no leaf is there
	d, err := report.Make(t.Context(), v, log, report.Request{Kind: report.Order, ID: "O-1", Format: report.PDF}, created(), func(int) {})
	require.NoError(t, err)
	err = report.PDF.Write(io.Discard, d)
	assert.Equal(t, domain.ClassIntegrity, domain.ClassOf(err), "%v", err)
}

// BenchmarkSealedPDF makes reports of 100,000 events, and of each tenth of them. peak-MB
// is as in BenchmarkAccountPDF.
func BenchmarkSealedPDF(b *testing.B) {
	for _, c := range []struct {
		name  string
		each  int
		noLog bool
	}{{"without a log", 1, true}, {"all", 1, false}, {"a tenth", 10, false}} {
		b.Run(c.name, func(b *testing.B) {
			v := trading(100_000)
			for i, e := range v.events {
				if i%c.each != 0 {
					e.AccountID = "OTHER"
				}
			}
			var log report.Log
			if !c.noLog {
				log = newNotary(b, v, len(v.events))
			}
			for b.Loop() {
				runtime.GC()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				peak := uint64(0)
				d, err := report.Make(b.Context(), v, log, report.Request{Kind: report.Account, ID: "ACC", Format: report.PDF}, created(), func(int) {})
				require.NoError(b, err)
				size := &watching{each: 1 << 20, look: func() {
					runtime.ReadMemStats(&after)
					peak = max(peak, after.HeapInuse)
				}}
				require.NoError(b, report.PDF.Write(size, d))
				b.ReportMetric(float64(peak-min(peak, before.HeapInuse))/1e6, "peak-MB")
				b.ReportMetric(float64(size.bytes)/1e6, "file-MB")
			}
		})
	}
}

// watching looks each time that so many more bytes were written.
type watching struct {
	counting

	each int
	look func()
}

func (w *watching) Write(p []byte) (int, error) {
	if w.bytes/w.each != (w.bytes+len(p))/w.each {
		w.look()
	}
	return w.counting.Write(p)
}
