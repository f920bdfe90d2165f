package verify_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/tradetrail/tradetrail/tlog/verify"
)

// scatter proves leaves that need not be neighbours.
func (l *ledger) scatter(indexes ...uint64) verify.Scatter {
	s := verify.Scatter{Indexes: indexes, Beside: []verify.Digest{}}
	for _, span := range verify.BesideAll(indexes, l.size()) {
		s.Beside = append(s.Beside, l.hash(span))
	}
	for _, index := range indexes {
		s.Entries = append(s.Entries, l.entry(index, true))
	}
	return s
}

// reported is the bundle of a report.
type reported struct {
	verify.Header

	parts []verify.Scatter
}

func (l *ledger) report(tb require.TestingT, parts ...verify.Scatter) reported {
	count := 0
	for _, p := range parts {
		count += len(p.Indexes)
	}
	return reported{l.bundle(tb, verify.KindReport, verify.Subject{Report: "march.pdf", Events: uint64(count), Unsealed: 2}).Header, parts}
}

func (r *reported) encode(tb require.TestingT) []byte {
	var out bytes.Buffer
	w, err := verify.NewWriter(&out, r.Header)
	require.NoError(tb, err)
	for _, p := range r.parts {
		require.NoError(tb, w.Scatter(p))
	}
	require.NoError(tb, w.Close())
	return out.Bytes()
}

func TestReport_BundleVerifies(t *testing.T) {
	l := newLedger(23)
	b := l.report(t, l.scatter(0, 3, 4, 11), l.scatter(12, 22))
	verdict := judge(t, b.encode(t), trust(t))
	require.True(t, verdict.Verified, "%v", verdict.Failures)
	assert.EqualValues(t, 6, verdict.Events)
	b = l.report(t)
	verdict = judge(t, b.encode(t), trust(t))
	require.True(t, verdict.Verified, "a report that shows no event: %v", verdict.Failures)
}

// Any leaves have a proof, and it is the one of a run where they are neighbours.
func TestReport_AnyLeavesVerify(t *testing.T) {
	l := newLedger(41)
	rapid.Check(t, func(rt *rapid.T) {
		indexes := rapid.SliceOfNDistinct(rapid.Uint64Range(0, 40), 1, 41, rapid.ID).Draw(rt, "indexes")
		slices.Sort(indexes)
		b := l.report(rt, l.scatter(indexes...))
		require.True(rt, judge(rt, b.encode(rt), trust(rt)).Verified)

		other := rapid.Uint64Range(0, 40).Draw(rt, "other")
		moved := rapid.IntRange(0, len(indexes)-1).Draw(rt, "moved")
		if other != indexes[moved] {
			b.parts[0].Indexes[moved] = other
			require.False(rt, judge(rt, b.encode(rt), trust(rt)).Verified, "leaf %d at the place of %d", indexes[moved], other)
		}
		begin, end := uint64(moved), uint64(min(41, moved+len(indexes)))
		var neighbours []uint64
		for i := begin; i < end; i++ {
			neighbours = append(neighbours, i)
		}
		require.Equal(rt, verify.Beside(begin, end, 41), verify.BesideAll(neighbours, 41))
	})
}

func TestReport_BundleNamesWhatIsWrong(t *testing.T) {
	l := newLedger(23)
	for name, c := range map[string]struct {
		change func(b *reported)
		what   string
	}{
		"an amount":              {func(b *reported) { b.parts[0].Entries[1].Said.Data[6] = '9' }, verify.Changed},
		"a hash":                 {func(b *reported) { b.parts[0].Beside[0][0]++ }, verify.Changed},
		"a hash too few":         {func(b *reported) { b.parts[0].Beside = b.parts[0].Beside[1:] }, verify.Malformed},
		"no hash":                {func(b *reported) { b.parts[0].Beside = []verify.Digest{} }, verify.Malformed},
		"an entry without index": {func(b *reported) { b.parts[0].Indexes = b.parts[0].Indexes[1:] }, verify.Malformed},
		"an index without entry": {func(b *reported) { b.parts[0].Entries = b.parts[0].Entries[1:] }, verify.Malformed},
		"an index twice":         {func(b *reported) { b.parts[0].Indexes[1] = b.parts[0].Indexes[0] }, verify.Malformed},
		"an index out of it":     {func(b *reported) { b.parts[0].Indexes[2] = 23 }, verify.Malformed},
		"an empty part": {func(b *reported) {
			b.parts[0] = verify.Scatter{Indexes: []uint64{}, Beside: []verify.Digest{}, Entries: []verify.Entry{}}
		}, verify.Malformed},
		"a part left out":     {func(b *reported) { b.parts = b.parts[1:] }, verify.Missing},
		"a part twice":        {func(b *reported) { b.parts = append(b.parts, b.parts[1]) }, verify.Reordered},
		"another order":       {func(b *reported) { slices.Reverse(b.parts) }, verify.Reordered},
		"fewer than it shows": {func(b *reported) { b.Subject.Events = 4 }, verify.Missing},
		"nobody's report":     {func(b *reported) { b.Subject.Report = "" }, verify.Malformed},
		"an order's, too":     {func(b *reported) { b.Subject.Order = "A" }, verify.Malformed},
		"of another kind":     {func(b *reported) { b.Kind = verify.KindChain }, verify.Malformed},
	} {
		b := l.report(t, l.scatter(3, 4, 11), l.scatter(12, 22))
		c.change(&b)
		verdict := judge(t, b.encode(t), trust(t))
		require.False(t, verdict.Verified, name)
		assert.Contains(t, whats(verdict), c.what, "%s: %v", name, verdict.Failures)
	}
}

// sealed is a file as a report's PDF ends: something, the bundle, and the seal.
func sealed(tb require.TestingT, bundle []byte, s verify.Seal, secret string) []byte {
	var file bytes.Buffer
	file.WriteString("%PDF-1.7\n1 0 obj\n<< /Type /EmbeddedFile /Filter /FlateDecode >>\nstream\n")
	s.Offset = uint64(file.Len())
	packer := zlib.NewWriter(&file)
	_, err := packer.Write(bundle)
	require.NoError(tb, err)
	require.NoError(tb, packer.Close())
	s.Length = uint64(file.Len()) - s.Offset
	file.WriteString("\nendstream\nendobj\ntrailer\n<< /Size 2 >>" + verify.SealBegins)
	end := fmt.Sprintf(verify.SealEnds, 9)
	s.Digest = sha256.Sum256(append(bytes.Clone(file.Bytes()), end...))
	signer, err := note.NewSigner(secret)
	require.NoError(tb, err)
	signed, err := note.Sign(&note.Note{Text: s.Text()}, signer)
	require.NoError(tb, err)
	file.WriteString(base64.StdEncoding.EncodeToString(signed) + end)
	return file.Bytes()
}

func opened(file []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(iotest.HalfReader(bytes.NewReader(file))), nil }
}

func (l *ledger) seal() verify.Seal {
	return verify.Seal{
		Checkpoint: verify.Checkpoint{Origin: "log.example/trading", Size: l.size(), Root: l.hash(verify.Span{End: l.size()})},
		Created:    time.Date(2026, 3, 2, 18, 0, 0, 500, time.UTC),
	}
}

func TestReport_Sealed(t *testing.T) {
	l := newLedger(23)
	b := l.report(t, l.scatter(3, 4, 11), l.scatter(12, 22))
	chain := l.chain(t, "A")
	later := newLedger(24)
	foreign := later.report(t, later.scatter(3))
	for name, c := range map[string]struct {
		file []byte
		what string // empty: verified
	}{
		"as it is":                      {sealed(t, b.encode(t), l.seal(), logSecret), ""},
		"by another key of the name":    {sealed(t, b.encode(t), l.seal(), otherSecret), verify.WrongKey},
		"by somebody else":              {sealed(t, b.encode(t), l.seal(), witnessSecret), verify.WrongKey},
		"with the bundle of a chain":    {sealed(t, chain.encode(t), l.seal(), logSecret), verify.Changed},
		"under another checkpoint":      {sealed(t, foreign.encode(t), l.seal(), logSecret), verify.Changed},
		"with a bundle that is cut off": {sealed(t, b.encode(t)[:2000], l.seal(), logSecret), verify.Malformed},
		"without a bundle":              {sealed(t, nil, l.seal(), logSecret), verify.Malformed},
		"with a checkpoint as its seal": {
			bytes.Join([][]byte{[]byte("%PDF-1.7" + verify.SealBegins), []byte(base64.StdEncoding.EncodeToString([]byte(l.checkpoint(t, 23, logSecret)))), fmt.Appendf(nil, verify.SealEnds, 9)}, nil),
			verify.Malformed,
		},
	} {
		verdict, err := verify.Report(opened(c.file), trust(t), nil)
		require.NoError(t, err, name)
		assert.Equal(t, c.what == "", verdict.Verified, "%s: %v", name, verdict.Failures)
		if c.what != "" {
			assert.Contains(t, whats(verdict), c.what, name)
			assert.Empty(t, verdict.Proven, name)
		}
	}
}

func TestReport_ADiskThatDoesNotAnswerIsNoVerdict(t *testing.T) {
	l := newLedger(23)
	b := l.report(t, l.scatter(3, 4, 11))
	file := sealed(t, b.encode(t), l.seal(), logSecret)
	times := 0
	for broken := range 2 {
		times = 0
		_, err := verify.Report(func() (io.ReadCloser, error) {
			if times++; times == broken+1 {
				return io.NopCloser(io.MultiReader(bytes.NewReader(file[:100]), iotest.ErrReader(assert.AnError))), nil
			}
			return io.NopCloser(bytes.NewReader(file)), nil
		}, trust(t), nil)
		require.ErrorIs(t, err, assert.AnError, "the reading number %d", broken+1)
	}
	_, err := verify.Report(func() (io.ReadCloser, error) { return nil, assert.AnError }, trust(t), nil)
	require.ErrorIs(t, err, assert.AnError)
}

func certificate(tb require.TestingT, text, secret string) []byte {
	signer, err := note.NewSigner(secret)
	require.NoError(tb, err)
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	require.NoError(tb, err)
	return signed
}

func (l *ledger) certificate() string {
	return fmt.Sprintf("tradetrail/certificate/v1\nlog.example/trading\n2026-03-02\n0\n%d\n%[1]d\n%s\nnone\n", l.size(), l.hash(verify.Span{End: l.size()}))
}

func TestCertificate(t *testing.T) {
	l := newLedger(23)
	good := certificate(t, l.certificate(), logSecret)
	for name, c := range map[string]struct {
		text   []byte
		change func(*verify.Trust)
		what   string
	}{
		"as it is":        {good, func(*verify.Trust) {}, ""},
		"by another key":  {certificate(t, l.certificate(), otherSecret), func(*verify.Trust) {}, verify.WrongKey},
		"of today":        {good, func(t *verify.Trust) { t.At = began }, verify.Future},
		"with witnesses":  {good, func(t *verify.Trust) { t.Quorum = 1 }, verify.NotWitnessed},
		"of an older log": {good, func(tr *verify.Trust) { tr.Older = newLedger(30).checkpoint(t, 30, logSecret) }, verify.Missing},
		"of another history": {good, func(tr *verify.Trust) {
			other := newLedger(23)
			other.leaves[3].Revision++
			tr.Older = other.checkpoint(t, 23, logSecret)
		}, verify.Inconsistent},
		"with a line behind": {append(bytes.Clone(good), '\n'), func(*verify.Trust) {}, verify.WrongKey},
		"too long":           {append(bytes.Clone(good), bytes.Repeat([]byte("x"), 20<<10)...), func(*verify.Trust) {}, verify.Malformed},
		"more than there is": {certificate(t, string(bytes.Replace([]byte(l.certificate()), []byte("\n0\n23\n"), []byte("\n1\n23\n"), 1)), logSecret), func(*verify.Trust) {}, verify.Malformed},
		"a checkpoint":       {[]byte(l.checkpoint(t, 23, logSecret)), func(*verify.Trust) {}, verify.Malformed},
	} {
		tr := trust(t)
		c.change(&tr)
		verdict, err := verify.Certificate(bytes.NewReader(c.text), tr)
		require.NoError(t, err, name)
		assert.Equal(t, c.what == "", verdict.Verified, "%s: %v", name, verdict.Failures)
		if c.what != "" {
			assert.Equal(t, c.what, verdict.Failures[0].What, "%s: %v", name, verdict.Failures)
		}
	}
	for i := range good {
		good[i] ^= 4
		verdict, err := verify.Certificate(bytes.NewReader(good), trust(t))
		require.NoError(t, err)
		require.False(t, verdict.Verified, "byte %d", i)
		good[i] ^= 4
	}
	_, err := verify.Certificate(iotest.ErrReader(errors.New("no disk")), trust(t))
	require.ErrorContains(t, err, "no disk")
}

// What others have must be verified for ever. How it is packed may change with the
// library that packs it.
func TestReport_Golden(t *testing.T) {
	l := newLedger(23)
	b := l.report(t, l.scatter(3, 4, 11), l.scatter(12, 22))
	files := map[string][]byte{
		"report.json": b.encode(t), "report.pdf": sealed(t, b.encode(t), l.seal(), logSecret), "2026-03-02.txt": certificate(t, l.certificate(), logSecret),
	}
	for name, text := range files {
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(path, text, 0o644))
		}
		golden, err := os.ReadFile(path)
		require.NoError(t, err)
		var verdict verify.Verdict
		switch name {
		case "report.json":
			assert.Equal(t, string(text), string(golden))
			verdict = judge(t, golden, trust(t))
		case "report.pdf":
			verdict, err = verify.Report(opened(golden), trust(t), nil)
		default:
			assert.Equal(t, string(text), string(golden))
			verdict, err = verify.Certificate(bytes.NewReader(golden), trust(t))
		}
		require.NoError(t, err)
		assert.True(t, verdict.Verified, "%s: %v", name, verdict.Failures)
	}
}
