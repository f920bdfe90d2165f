package evidence_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/tradetrail/tradetrail/tlog/verify"
	"github.com/tradetrail/tradetrail/tlog/verify/evidence"
)

// The key of the log of the golden files.
const logKey = "log.example/trading+4bc01378+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"

func trust(tb testing.TB) verify.Trust {
	tb.Helper()
	key, err := verify.ParseKey(logKey)
	require.NoError(tb, err)
	return verify.Trust{Keys: verify.Keys{key}}
}

func golden(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", name))
	require.NoError(tb, err)
	return text
}

// entry is a file of an archive.
type entry struct {
	name string
	text []byte
}

// all are one of each kind, and something else.
func all(tb testing.TB) []entry {
	tb.Helper()
	entries := []entry{{"readme.md", []byte("# March\n")}}
	for _, name := range []string{"event.json", "chain.json", "window.json", "report.json", "report.pdf", "2026-03-02.txt"} {
		entries = append(entries, entry{"evidence/" + name, golden(tb, name)})
	}
	return entries
}

func zipped(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		f, err := w.Create(e.name)
		require.NoError(tb, err)
		_, err = f.Write(e.text)
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	return out.Bytes()
}

func tarred(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		require.NoError(tb, w.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.text)), Mode: 0o644}))
		_, err := w.Write(e.text)
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	return out.Bytes()
}

func judge(tb testing.TB, text []byte) evidence.Verdict {
	tb.Helper()
	kind := evidence.KindOf("archive", text[:min(len(text), evidence.HeadBytes)])
	verdict, err := evidence.Archive(kind, bytes.NewReader(text), int64(len(text)), trust(tb))
	require.NoError(tb, err)
	return verdict
}

// why are the reasons of a no.
func why(v evidence.Verdict) string {
	var b strings.Builder
	for _, f := range v.Failures {
		fmt.Fprintln(&b, f)
	}
	for _, one := range v.Files {
		if one.Verdict != nil {
			for _, f := range one.Verdict.Failures {
				fmt.Fprintln(&b, one.Name, f)
			}
		}
	}
	return b.String()
}

func TestArchive_JudgesEachFile(t *testing.T) {
	for name, pack := range map[string]func(testing.TB, ...entry) []byte{"zip": zipped, "tar": tarred} {
		t.Run(name, func(t *testing.T) {
			verdict := judge(t, pack(t, append([]entry{{"evidence/", nil}}, all(t)...)...))
			assert.True(t, verdict.Verified, why(verdict))
			assert.Equal(t, 6, verdict.Evidence)
			require.Len(t, verdict.Files, 7, "all but the folder are named")
			assert.Equal(t, evidence.None, verdict.Files[0].Kind)
			assert.NotEmpty(t, verdict.Files[0].Why)

			for i, e := range all(t)[1:] {
				entries := all(t)
				changed := bytes.Clone(e.text)
				changed[len(changed)/2] ^= 1
				entries[i+1].text = changed
				verdict := judge(t, pack(t, entries...))
				assert.False(t, verdict.Verified, "%s was changed", e.name)
				assert.Contains(t, why(verdict), e.name)
				assert.Equal(t, 5, verdict.Evidence)

				changed[len(changed)/2] ^= 1
				changed[0] ^= 1 // by its beginning it is nothing that is known
				verdict = judge(t, pack(t, entries...))
				assert.False(t, verdict.Verified, "the beginning of %s was changed", e.name)
			}
			assert.False(t, judge(t, pack(t, entry{"readme.md", []byte("# March\n")})).Verified, "no evidence")
			assert.False(t, judge(t, pack(t, append(all(t), entry{"huge.json", []byte("[" + strings.Repeat(" ", 1<<20))})...)).Verified)
		})
	}
}

func TestArchive_Hostile(t *testing.T) {
	bundle := golden(t, "event.json")
	many := make([]entry, 5000)
	for i := range many {
		many[i] = entry{fmt.Sprintf("%d.txt", i), nil}
	}
	link := func(kind byte, records map[string]string) []byte {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "event.json", Size: int64(len(bundle)), Mode: 0o644}))
		_, err := w.Write(bundle)
		require.NoError(t, err)
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "link", Linkname: "/etc/passwd", Typeflag: kind, PAXRecords: records}))
		require.NoError(t, w.Close())
		return out.Bytes()
	}
	encrypted := zipped(t, entry{"event.json", bundle})
	encrypted[bytes.LastIndex(encrypted, []byte("PK\x01\x02"))+8] |= 1
	for name, c := range map[string]struct {
		text []byte
		says string
	}{
		"out of it in a zip":    {zipped(t, entry{"event.json", bundle}, entry{"../event.json", bundle}), "leads out of the archive"},
		"out of it in a tar":    {tarred(t, entry{"event.json", bundle}, entry{"a/../../event.json", bundle}), "leads out of the archive"},
		"from the root":         {tarred(t, entry{"/event.json", bundle}), "leads out of the archive"},
		"with backslashes":      {zipped(t, entry{`..\event.json`, bundle}), "leads out of the archive"},
		"a name twice":          {zipped(t, entry{"event.json", bundle}, entry{"event.json", bundle}), "the same name"},
		"a name without end":    {tarred(t, entry{strings.Repeat("a", 5000), nil}), "too long"},
		"a name that is none":   {zipped(t, entry{"\xff\xfe.json", bundle}), "no text"},
		"many files in a zip":   {zipped(t, many...), "4096 files"},
		"many files in a tar":   {tarred(t, many...), "4096 files"},
		"a symbolic link":       {link(tar.TypeSymlink, nil), "a link or a device"},
		"a device":              {link(tar.TypeChar, nil), "a link or a device"},
		"an encrypted file":     {encrypted, "encrypted"},
		"cut off in a file":     {tarred(t, entry{"event.json", bundle})[:1500], "cut off"},
		"something behind":      {append(tarred(t, entry{"event.json", bundle}), []byte("event")...), "behind its end"},
		"half a zip":            {zipped(t, entry{"event.json", bundle})[:800], "damaged"},
		"an archive in a zip":   {zipped(t, entry{"a.zip", zipped(t, entry{"event.json", bundle})}), "no evidence that holds"},
		"empty":                 {zipped(t), "no evidence that holds"},
		"a list that is a bomb": {listed(t), "list of files is longer"},
	} {
		verdict := judge(t, c.text)
		assert.False(t, verdict.Verified, name)
		assert.Contains(t, why(verdict), c.says, name)
	}
}

// listed is a zip that says that it has a list of 8 MiB.
func listed(tb testing.TB) []byte {
	tb.Helper()
	header := make([]byte, 46)
	copy(header, "PK\x01\x02")
	text := append([]byte("PK\x03\x04"), bytes.Repeat(header, 8<<20/46)...)
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	binary.LittleEndian.PutUint16(end[8:], 0xfffe)
	binary.LittleEndian.PutUint16(end[10:], 0xfffe)
	binary.LittleEndian.PutUint32(end[12:], uint32(len(text)-4))
	binary.LittleEndian.PutUint32(end[16:], 4)
	return append(text, end...)
}

// A bomb is given up when it has given more than an honest archive can, and what comes
// behind it is not taken for evidence.
func TestArchive_Bomb(t *testing.T) {
	var million bytes.Buffer // of zeros, packed so that it can stand there again and again
	packer, err := flate.NewWriter(&million, flate.BestSpeed)
	require.NoError(t, err)
	_, err = packer.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, packer.Flush())
	packed := bytes.Repeat(million.Bytes(), 200)

	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.CreateRaw(&zip.FileHeader{Name: "bomb.pdf", Method: zip.Deflate, CompressedSize64: uint64(len(packed)), UncompressedSize64: 200 << 20})
	require.NoError(t, err)
	_, err = f.Write(packed)
	require.NoError(t, err)
	f, err = w.Create("event.json")
	require.NoError(t, err)
	_, err = f.Write(golden(t, "event.json"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	verdict := judge(t, out.Bytes())
	assert.False(t, verdict.Verified)
	assert.Contains(t, why(verdict), "a hundred times")
	assert.Zero(t, verdict.Evidence)
}

// Two checkpoints of one size with different roots, both signed, are two histories.
func TestArchive_TwoHistories(t *testing.T) {
	seed := bytes.Repeat([]byte{1}, ed25519.SeedSize) // of the golden files' key
	signer, err := note.NewSigner("PRIVATE+KEY+log.example/trading+4bc01378+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)))
	require.NoError(t, err)
	of := func(root verify.Digest) entry {
		text, err := note.Sign(&note.Note{Text: fmt.Sprintf("tradetrail/certificate/v1\nlog.example/trading\n2026-03-02\n0\n23\n23\n%s\nnone\n", root)}, signer)
		require.NoError(t, err)
		return entry{"2026-03-02.txt", text}
	}
	bundle := entry{"event.json", golden(t, "event.json")}
	one, err := verify.Bundle(bytes.NewReader(bundle.text), trust(t), nil)
	require.NoError(t, err)
	verdict := judge(t, zipped(t, bundle, of(one.Checkpoint.Root)))
	require.True(t, verdict.Verified, why(verdict))
	verdict = judge(t, zipped(t, of(verify.Digest{1})))
	require.True(t, verdict.Verified, why(verdict))
	verdict = judge(t, zipped(t, bundle, of(verify.Digest{1})))
	require.False(t, verdict.Verified)
	assert.Contains(t, why(verdict), "two histories")
}

// broken is a disk that has gone.
type broken struct{ io.ReaderAt }

func (b broken) ReadAt(p []byte, at int64) (int, error) {
	if at < 2000 {
		return 0, assert.AnError
	}
	return b.ReaderAt.ReadAt(p, at)
}

func TestArchive_ADiskThatDoesNotAnswerIsNoVerdict(t *testing.T) {
	for kind, text := range map[evidence.Kind][]byte{evidence.Zip: zipped(t, all(t)...), evidence.Tar: tarred(t, all(t)...)} {
		_, err := evidence.Archive(kind, broken{bytes.NewReader(text)}, int64(len(text)), trust(t))
		require.ErrorIs(t, err, assert.AnError, kind)
	}
}

func FuzzArchive(f *testing.F) {
	certificate := entry{"2026-03-02.txt", golden(f, "2026-03-02.txt")}
	f.Add(zipped(f, certificate))
	f.Add(tarred(f, certificate)[:1024])
	f.Add(zipped(f, entry{"a.pdf", []byte("%PDF-1.7\n")}, entry{"b.json", []byte("{}")}))
	tr := trust(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, kind := range []evidence.Kind{evidence.Zip, evidence.Tar} {
			verdict, err := evidence.Archive(kind, bytes.NewReader(text), int64(len(text)), tr)
			require.NoError(t, err)
			for _, one := range verdict.Files {
				require.True(t, !verdict.Verified || one.Verdict == nil || one.Verdict.Verified)
			}
			require.True(t, verdict.Verified || why(verdict) != "", "a no without a reason")
		}
	})
}
