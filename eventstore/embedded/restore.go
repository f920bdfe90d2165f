package embedded

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	tarBlock = 512

	maxManifestBytes = 64 << 10
	maxBackupFiles   = 1 << 20
	// maxSumBytes is more than one file takes in the trailer.
	maxSumBytes = 256

	restoringSuffix = ".restoring"
)

// storeFile is what Pebble calls its files.
const storeFile = `^([0-9]{6,20}\.(sst|log|blob)|(MANIFEST|OPTIONS)-[0-9]{6,20}|marker\.(format-version|manifest)\.[0-9]{6,20}\.[A-Z0-9-]{1,40})$`

// damagedBackup is an IntegrityError about a copy as such.
func damagedBackup(format string, args ...any) error {
	return &IntegrityError{Err: fmt.Errorf("the backup is damaged: %w", fmt.Errorf(format, args...))}
}

// CheckBackup reads a backup to its end and compares it with its sums. It does
// not look into the store, as Restore does. If the bytes are not those of a
// whole backup, the error is an IntegrityError; errors of r are returned as they are.
func CheckBackup(ctx context.Context, r io.Reader) (Backup, error) {
	b, err := readBackup(ctx, r, func(string) (io.WriteCloser, error) { return discarded{io.Discard}, nil })
	if err != nil {
		return Backup{}, fmt.Errorf("reading the backup: %w", err)
	}
	return b, nil
}

type discarded struct{ io.Writer }

func (discarded) Close() error { return nil }

// Restore makes a store in dir, which must be empty or not exist, of a backup.
// The store appears there as a whole, on disk, after all its records were
// checked, or not at all: it is unpacked in a directory beside dir, which is
// removed afterwards (one that a killed Restore left, by the next).
//
// If the backup is not what was once written, the error is an IntegrityError.
// The sums tell damage, not forgery.
func Restore(ctx context.Context, r io.Reader, dir string) (Backup, error) {
	b, err := restore(ctx, r, dir, Options{}.withDefaults())
	if err != nil {
		if pebble.IsCorruptionError(err) {
			err = &IntegrityError{Err: err}
		}
		return Backup{}, fmt.Errorf("restoring to %s: %w", dir, err)
	}
	return b, nil
}

func restore(ctx context.Context, r io.Reader, dir string, opts Options) (b Backup, err error) {
	fs := opts.FS
	dir = fs.PathJoin(dir)
	if err := requireEmpty(fs, dir); err != nil {
		return Backup{}, err
	}
	parent, work := fs.PathDir(dir), dir+restoringSuffix
	made, err := makeDirs(fs, parent)
	defer func() {
		if err != nil {
			for _, d := range made {
				_ = fs.Remove(d) // unless somebody has put something there
			}
		}
	}()
	if err != nil {
		return Backup{}, err
	}
	if err := fs.MkdirAll(work, dirMode); err != nil {
		return Backup{}, err
	}
	lock, err := pebble.LockDirectory(work, fs)
	if err != nil {
		return Backup{}, lockError(err)
	}
	defer func() { err = errors.Join(err, fs.RemoveAll(work), lock.Close()) }()

	store := fs.PathJoin(work, storeDirName)
	if err := fs.RemoveAll(store); err != nil {
		return Backup{}, err
	}
	if err := fs.MkdirAll(store, dirMode); err != nil {
		return Backup{}, err
	}
	if b, err = readBackup(ctx, r, func(name string) (io.WriteCloser, error) {
		file, err := fs.Create(fs.PathJoin(store, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			return nil, err
		}
		return syncedFile{file}, nil
	}); err != nil {
		return Backup{}, err
	}
	if err := checkRestored(ctx, store, opts, b); err != nil {
		return Backup{}, err
	}
	if err := syncDir(fs, store); err != nil {
		return Backup{}, err
	}
	// An empty directory makes way; one that isn't any more makes this fail.
	if err := fs.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Backup{}, err
	}
	if err := fs.Rename(store, dir); err != nil {
		return Backup{}, err
	}
	return b, syncDir(fs, parent)
}

// syncedFile is on disk when it is closed.
type syncedFile struct{ vfs.File }

func (f syncedFile) Close() error { return errors.Join(f.Sync(), f.File.Close()) }

func requireEmpty(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(names) > 0:
		return errors.New("the directory is not empty")
	}
	return nil
}

// makeDirs makes a directory and those above it, durably. It returns those that
// were not there, the lowest first.
func makeDirs(fs vfs.FS, dir string) (made []string, err error) {
	for d := dir; ; d = fs.PathDir(d) {
		_, err := fs.Stat(d)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if made = append(made, d); fs.PathDir(d) == d {
			break
		}
	}
	if err := fs.MkdirAll(dir, dirMode); err != nil {
		return made, err
	}
	for _, d := range made {
		if err := syncDir(fs, fs.PathDir(d)); err != nil {
			return made, err
		}
	}
	return made, nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkRestored opens the store, checks everything in it, and closes it.
func checkRestored(ctx context.Context, dir string, opts Options, want Backup) error {
	disk := newFreezer(opts.FS, func(error) {})
	opts.still = true
	l, err := openLog(dir, disk, opts) //nolint:contextcheck // Pebble's own log has no context
	if err = errors.Join(err, disk.err()); err != nil {
		if l != nil {
			err = errors.Join(err, l.close())
		}
		return err
	}
	events, err := l.selfCheck(ctx)
	if last := l.durable.Load().last; err == nil && (events != want.Events || last != want.Position) {
		err = damagedBackup("it has %d events up to position %d, and should have %d up to %d", events, last, want.Events, want.Position)
	}
	return errors.Join(err, l.close(), disk.err())
}

// readBackup hands every file of the store to create, after its name is known to
// be harmless, and compares everything with the sums.
func readBackup(ctx context.Context, r io.Reader, create func(name string) (io.WriteCloser, error)) (Backup, error) {
	src := &backupSource{ctx: ctx, r: r}
	in := &backupReader{
		src: src, tar: tar.NewReader(src), create: create, names: regexp.MustCompile(storeFile),
		hash: sha256.New(), buffer: make([]byte, copyBytes), seen: make(map[string]bool),
	}
	err := in.read()
	if src.err != nil {
		// Not the bytes are wrong: there are none.
		return Backup{}, src.err
	}
	return in.manifest.backup(), err
}

// backupSource tells an end of the bytes from a failure to get them.
type backupSource struct {
	ctx   context.Context // of the one call that it lives for
	r     io.Reader
	bytes int64
	err   error
}

func (s *backupSource) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		s.err = context.Cause(s.ctx)
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.bytes += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

type backupReader struct {
	src      *backupSource
	tar      *tar.Reader
	create   func(name string) (io.WriteCloser, error)
	names    *regexp.Regexp
	hash     hash.Hash
	buffer   []byte
	manifest backupManifest
	seen     map[string]bool
	sums     []backupSum
	bytes    int64
}

func (b *backupReader) read() error {
	if err := b.readManifest(); err != nil {
		return err
	}
	for {
		h, err := b.next()
		if err != nil {
			return err
		}
		if h.Name == trailerName {
			return b.readTrailer(h)
		}
		if err := b.readFile(h); err != nil {
			return err
		}
	}
}

// next accepts plain files only: no links, devices, folders or holes, and
// nothing that says more than a name and a size.
func (b *backupReader) next() (*tar.Header, error) {
	h, err := b.tar.Next()
	if errors.Is(err, io.EOF) {
		return nil, damagedBackup("it ends early")
	}
	if err != nil {
		return nil, damagedBackup("%w", err)
	}
	if h.Typeflag != tar.TypeReg || h.Linkname != "" {
		return nil, damagedBackup("%.100q is not a plain file", h.Name)
	}
	for key := range h.PAXRecords {
		if key != "size" {
			return nil, damagedBackup("%.100q has the unknown attribute %.100q", h.Name, key)
		}
	}
	if b.seen[h.Name] {
		return nil, damagedBackup("%.100q is there twice", h.Name)
	}
	b.seen[h.Name] = true
	return h, nil
}

func (b *backupReader) readManifest() error {
	h, err := b.tar.Next()
	if errors.Is(err, io.EOF) && b.src.bytes == 0 {
		return damagedBackup("it is empty")
	}
	if err != nil || h.Name != manifestName || h.Typeflag != tar.TypeReg || len(h.PAXRecords) > 0 {
		return &IntegrityError{Err: errors.New("this is not a backup of the event store, or its beginning is damaged")}
	}
	text, err := b.text(h, maxManifestBytes)
	if err != nil {
		return err
	}
	b.seen[h.Name] = true
	m := &b.manifest
	if err := json.Unmarshal(text, m); err != nil {
		return damagedBackup("reading %s: %w", manifestName, err)
	}
	switch {
	case m.Format != backupFormat:
		return damagedBackup("it has the format %.100q", m.Format)
	case m.Version < 1:
		return damagedBackup("it has the version %d", m.Version)
	case m.Version != backupVersion:
		return fmt.Errorf("the backup has version %d of its format, this program reads version %d", m.Version, backupVersion)
	case m.Files < 0 || m.Files > maxBackupFiles || m.Bytes < 0:
		return damagedBackup("%d files with %d bytes are impossible", m.Files, m.Bytes)
	}
	return nil
}

func (b *backupReader) readFile(h *tar.Header) error {
	name, ok := strings.CutPrefix(h.Name, storeDirName+"/")
	if !ok || !b.names.MatchString(name) {
		return damagedBackup("%.100q does not belong there", h.Name)
	}
	if len(b.sums) > b.manifest.Files || h.Size > b.manifest.Bytes-b.bytes {
		return damagedBackup("there is more than %d files with %d bytes", b.manifest.Files, b.manifest.Bytes)
	}
	b.bytes += h.Size
	out, err := b.create(name)
	if err != nil {
		return err
	}
	err = b.copy(h, out)
	return errors.Join(err, out.Close())
}

// copy tells what can't be read from what can't be written.
func (b *backupReader) copy(h *tar.Header, out io.Writer) error {
	b.hash.Reset()
	size := int64(0)
	for {
		n, err := b.tar.Read(b.buffer)
		b.hash.Write(b.buffer[:n])
		size += int64(n)
		if _, err := out.Write(b.buffer[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) && size == h.Size {
			break
		}
		if err != nil {
			return damagedBackup("reading %.100q: %w", h.Name, err)
		}
	}
	b.sums = append(b.sums, backupSum{Name: h.Name, Bytes: size, SHA256: hex.EncodeToString(b.hash.Sum(nil))})
	return nil
}

// text reads a file of ours into memory.
func (b *backupReader) text(h *tar.Header, limit int64) ([]byte, error) {
	if h.Size > limit {
		return nil, damagedBackup("%s has %d bytes", h.Name, h.Size)
	}
	var text bytes.Buffer
	err := b.copy(h, &text)
	return text.Bytes(), err
}

// readTrailer compares what was read with what was written, and makes sure that
// nothing comes after it, not even half of tar's own end.
func (b *backupReader) readTrailer(h *tar.Header) error {
	files := len(b.sums) - 1
	if files != b.manifest.Files || b.bytes != b.manifest.Bytes {
		return damagedBackup("it has %d files with %d bytes instead of %d with %d", files, b.bytes, b.manifest.Files, b.manifest.Bytes)
	}
	read := b.sums
	text, err := b.text(h, maxSumBytes*int64(len(read)+1))
	if err != nil {
		return err
	}
	var written backupTrailer
	if err := json.Unmarshal(text, &written); err != nil {
		return damagedBackup("reading %s: %w", trailerName, err)
	}
	if len(written.Files) != len(read) {
		return damagedBackup("%s names %d files instead of %d", trailerName, len(written.Files), len(read))
	}
	for i, sum := range written.Files {
		if sum != read[i] {
			return damagedBackup("the checksum of %s does not match", read[i].Name)
		}
	}
	// The trailer has no sum of its own, so it must be what we would write.
	if want, err := backupJSON(&backupTrailer{Files: read}); err != nil || !bytes.Equal(text, want) {
		return damagedBackup("%s is not as it was written", trailerName)
	}
	end := (b.src.bytes+tarBlock-1)/tarBlock*tarBlock + 2*tarBlock
	if _, err := b.tar.Next(); !errors.Is(err, io.EOF) {
		return damagedBackup("something comes after its end")
	}
	if b.src.bytes != end {
		return damagedBackup("its very end is missing")
	}
	if n, _ := io.ReadFull(b.src, b.buffer[:1]); n > 0 { // an error is in src, or the end
		return damagedBackup("something comes after its end")
	}
	return nil
}
