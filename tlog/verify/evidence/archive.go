package evidence

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/tradetrail/tradetrail/tlog/verify"
)

// What all files of an archive may have together, unpacked: this much, and so many times
// as much as the archive has. What is packed more tightly was packed to do harm.
const (
	maxUnpacked = 64 << 20
	maxRatio    = 100
)

// Archive judges every file of a zip or tar archive. Files are read where they stand, and
// an archive within it is not looked into. Memory is bounded by the number of files, 4,096,
// whatever their lengths are. An error is one of reading, or of the trust's Extension;
// what is wrong with the archive is in the verdict.
func Archive(kind Kind, from io.ReaderAt, size int64, trust verify.Trust) (Verdict, error) {
	a := &archive{from: &disk{from: from}, size: size, trust: trust, names: make(map[string]bool), roots: make(map[uint64]verify.Digest)}
	a.left = maxUnpacked + maxRatio*size
	a.verdict = Verdict{Files: []Judged{}, Failures: []*verify.Failure{}, NotProven: []string{
		"this is all that there was: an archive has no seal of its own, and its names, times and order are anybody's",
	}}
	if ask := trust.Extension; ask != nil {
		a.trust.Extension = func(smaller, larger uint64) ([]verify.Digest, error) {
			hashes, err := ask(smaller, larger)
			a.asked = errors.Join(a.asked, err)
			return hashes, err
		}
	}
	var err error
	if kind == Zip {
		err = a.zip()
	} else {
		err = a.tar()
	}
	if err := errors.Join(a.from.broken, a.asked); err != nil {
		return Verdict{}, err
	}
	v := &a.verdict
	if err != nil {
		v.fail(verify.Malformed, "the archive is damaged: "+err.Error())
	}
	v.Verified = v.Evidence > 0 && len(v.Failures) == 0
	for _, f := range v.Files {
		v.Verified = v.Verified && (f.Verdict == nil || f.Verdict.Verified)
	}
	if v.Evidence == 0 && len(v.Failures) == 0 {
		v.fail(verify.Missing, "no evidence that holds is in the archive")
	}
	return *v, nil
}

type archive struct {
	from    *disk
	size    int64
	trust   verify.Trust
	asked   error // of the trust's Extension
	left    int64 // bytes that may still be unpacked
	names   map[string]bool
	roots   map[uint64]verify.Digest // of checkpoints, by their size
	verdict Verdict
}

// file is one of an archive, at its beginning each time that it is opened.
type file struct {
	name    string
	regular bool
	odd     string // why it is not taken as it is
	open    func() (io.ReadCloser, error)
}

// next judges a file. Its error ends the archive.
func (a *archive) next(f file) error {
	if len(a.verdict.Files) == maxFiles {
		return fmt.Errorf("it has more than %d files", maxFiles)
	}
	shown := strings.ToValidUTF8(f.name[:min(len(f.name), maxName)], "\ufffd")
	switch {
	case len(f.name) > maxName || !utf8.ValidString(f.name):
		f.odd = "its name is too long, or no text"
	case !fs.ValidPath(strings.TrimSuffix(f.name, "/")) || strings.ContainsAny(f.name, "\\\x00"):
		f.odd = "its name leads out of the archive"
	case a.names[f.name]:
		f.odd = "another file of the archive has the same name: which of them is shown depends on the program"
	}
	if f.odd != "" {
		a.verdict.add(refused(shown, None, f.odd))
		return nil
	}
	a.names[f.name] = true
	if f.regular {
		return a.judge(f)
	}
	return nil // a folder
}

// judge reads a regular file.
func (a *archive) judge(f file) error {
	open := func() (io.ReadCloser, error) {
		from, err := f.open()
		if err != nil {
			return nil, err
		}
		return &metered{from, &a.left}, nil
	}
	head, err := headOf(open)
	kind := KindOf(f.name, head)
	if err != nil {
		a.verdict.add(refused(f.name, kind, "it can't be unpacked: "+err.Error()))
		return nil //nolint:nilerr // it is in the verdict
	}
	if why := unsaid(kind); why != "" {
		a.verdict.add(Judged{Name: f.name, Kind: kind, Why: why})
		return nil
	}
	verdict, err := One(kind, open, a.trust)
	if a.from.broken != nil || a.asked != nil {
		return err
	}
	if err != nil {
		a.verdict.add(refused(f.name, kind, "it can't be unpacked: "+err.Error()))
		return nil //nolint:nilerr // it is in the verdict
	}
	a.verdict.add(Judged{Name: f.name, Kind: kind, Verdict: &verdict})
	if c := verdict.Checkpoint; verdict.Verified {
		if root, known := a.roots[c.Size]; known && root != c.Root {
			a.verdict.fail(verify.Inconsistent, fmt.Sprintf("two files of the archive have checkpoints of %d leaves with different roots: the log has shown two histories", c.Size))
		}
		a.roots[c.Size] = c.Root
	}
	return nil
}

// unsaid is why nothing is said about a file of a kind.
func unsaid(kind Kind) string {
	switch kind {
	case None:
		return "it is no evidence: nothing is said about it"
	case Zip, Tar:
		return "it is an archive within the archive, which is not looked into: unpack it, and verify it by itself"
	default:
		return ""
	}
}

func headOf(open func() (io.ReadCloser, error)) (head []byte, err error) {
	from, err := open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	head = make([]byte, HeadBytes)
	n, err := io.ReadFull(from, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// One judges a file by itself, which open gives from its beginning. Errors are as for
// verify.Bundle.
func One(kind Kind, open func() (io.ReadCloser, error), trust verify.Trust) (v verify.Verdict, err error) {
	if kind == Report {
		return verify.Report(open, trust, nil)
	}
	from, err := open()
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if kind == Certificate {
		return verify.Certificate(from, trust)
	}
	return verify.Bundle(from, trust, nil)
}

// disk is what an archive is read from. It tells a broken disk from a broken archive.
type disk struct {
	from   io.ReaderAt
	broken error
	most   int64 // how much may be read in all; 0: any
	taken  int64
}

var (
	errLargeDirectory = errors.New("its list of files is longer than that of 4,096 can be")
	errOutside        = errors.New("it speaks of a place outside of itself")
)

// ReadAt implements io.ReaderAt.
func (d *disk) ReadAt(p []byte, at int64) (int, error) {
	if d.taken += int64(len(p)); d.most > 0 && d.taken > d.most {
		return 0, errLargeDirectory
	}
	if at < 0 {
		return 0, errOutside
	}
	n, err := d.from.ReadAt(p, at)
	if err != nil && !errors.Is(err, io.EOF) {
		d.broken = errors.Join(d.broken, err)
	}
	return n, err
}

var errTooMuch = errors.New("the archive is more than a hundred times as long when it is unpacked: that is no honest one")

// metered ends when all files of an archive together have given what they may.
type metered struct {
	io.ReadCloser

	left *int64
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if *m.left -= int64(n); *m.left < 0 {
		return 0, errTooMuch
	}
	return n, err
}
