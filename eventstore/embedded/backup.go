package embedded

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

// ErrBackupRunning says that a node makes one backup at a time.
var ErrBackupRunning = errors.New("a backup is running already")

const (
	// backupDirName is the folder, below the store, in which a backup is prepared.
	backupDirName = "backup"
	// storeDirName is the folder of the store's files, there and in a backup.
	storeDirName = "store"

	backupFormat  = "tradetrail-backup"
	backupVersion = 1
	manifestName  = "manifest.json"
	trailerName   = "trailer.json"

	copyBytes = 256 << 10
	// maxSnapshots is how often a snapshot is taken anew; see Node.snapshot.
	maxSnapshots = 3
	// snapshotCacheBytes is little, because a snapshot is read once.
	snapshotCacheBytes = 1 << 20
)

// Backup describes a copy of a store.
type Backup struct {
	Time     time.Time // when it was made
	Events   uint64    // of $all, those of the store itself included
	Position uint64    // of the last event; 0 if there is none
	Created  time.Time // `created` of the last event; zero if there is none
	Files    int
	Bytes    int64 // of the files
}

// backupManifest is the first file of a backup.
type backupManifest struct {
	Format   string    `json:"format"`
	Version  int       `json:"version"`
	Time     time.Time `json:"time"`
	Events   uint64    `json:"events"`
	Position uint64    `json:"position"`
	Created  time.Time `json:"created,omitzero"`
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
}

func (m backupManifest) backup() Backup {
	return Backup{Time: m.Time, Events: m.Events, Position: m.Position, Created: m.Created, Files: m.Files, Bytes: m.Bytes}
}

// backupTrailer is the last file of a backup: without it, and without any file
// that it names, the backup is not whole.
type backupTrailer struct {
	Files []backupSum `json:"files"`
}

type backupSum struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Backup writes a copy of the log to w, in the format of docs/formats.md, while
// the node goes on. The copy is a prefix of the log and has everything that was
// acknowledged before the call. Restore makes a store of it.
//
// One backup runs at a time; another one gets ErrBackupRunning. A backup that
// fails, for want of space too, has no consequences for the node; what it wrote
// is then incomplete, which Restore recognises. It ends with ctx and with the
// node. Close waits for it: w must not block for ever.
//
// The copy is prepared below the store's directory, by hard links where the
// file system has them. While w is slow, files that the store has done with keep
// their space.
func (n *Node) Backup(ctx context.Context, w io.Writer) (Backup, error) {
	select {
	case <-n.stopping:
		return Backup{}, fmt.Errorf("backing up: %w", ErrClosed)
	case n.backing <- struct{}{}:
		defer func() { <-n.backing }()
	default:
		return Backup{}, ErrBackupRunning
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-n.stopping:
			cancel(ErrClosed)
		case <-ctx.Done():
		}
	}()
	b, err := n.backup(ctx, w)
	if err != nil {
		return Backup{}, fmt.Errorf("backing up: %w", err)
	}
	return b, nil
}

func (n *Node) backup(ctx context.Context, w io.Writer) (b Backup, err error) {
	defer func() { err = errors.Join(err, n.opts.FS.RemoveAll(n.disk.spareDir)) }()
	began := n.log.durable.Load()
	m := backupManifest{Format: backupFormat, Version: backupVersion, Time: n.opts.Now().UTC()}
	for attempt := 1; ; attempt++ {
		err = n.snapshot(ctx, &m, began.end)
		if err == nil {
			break
		}
		if !pebble.IsCorruptionError(err) || attempt == maxSnapshots {
			return Backup{}, err
		}
	}
	if err := n.writeBackup(ctx, w, &m); err != nil {
		return Backup{}, err
	}
	return m.backup(), nil
}

// snapshot makes a store of its own below the directory of spare files, with
// everything before `end`, and says in m what is in it.
//
// Pebble copies the write-ahead log while it is being written to, and the copy
// ends somewhere. So it is recovered as after a crash, here and not at the
// restore: then the head in the manifest is what a restore will find, and every
// byte is in tables, with checksums. A copy that was torn so badly that it can't
// be recovered says nothing about the original; another one is made then.
func (n *Node) snapshot(ctx context.Context, m *backupManifest, end uint64) (err error) {
	fs, dir := n.opts.FS, n.snapshotDir()
	if err := fs.RemoveAll(n.disk.spareDir); err != nil {
		return err
	}
	// Made here, so that Pebble need not sync the store's own directory.
	if err := fs.MkdirAll(n.disk.spareDir, dirMode); err != nil {
		return err
	}
	disk := newFreezer(fs, func(error) {})
	n.disk.spare.Store(disk)
	err = n.log.db.Checkpoint(dir, pebble.WithFlushedWAL())
	n.disk.spare.Store(nil)
	// What went to a frozen disk was swallowed.
	if err = errors.Join(disk.err(), n.disk.err(), err, context.Cause(ctx)); err != nil {
		return err
	}
	opts := n.opts
	opts.CacheBytes, opts.still = snapshotCacheBytes, true
	l, err := openLog(dir, disk, opts) //nolint:contextcheck // Pebble's own log has no context
	if err = errors.Join(err, disk.err()); err != nil {
		if l != nil {
			err = errors.Join(err, l.close())
		}
		return err
	}
	h := l.durable.Load()
	m.Position, m.Created = h.last, time.Time{}
	if h.last > 0 {
		m.Created = time.Unix(0, h.created*wire.NanosPerTick).UTC()
	}
	m.Events, err = l.countEvents(ctx)
	if h.end < end {
		err = errors.Join(err, &IntegrityError{Err: fmt.Errorf("the copy ends at %d, before %d, which was acknowledged", h.end, end)})
	}
	return errors.Join(err, l.close(), disk.err())
}

func (n *Node) snapshotDir() string { return n.opts.FS.PathJoin(n.disk.spareDir, storeDirName) }

// writeBackup streams the snapshot.
func (n *Node) writeBackup(ctx context.Context, w io.Writer, m *backupManifest) error {
	fs, dir := n.opts.FS, n.snapshotDir()
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "LOCK" })
	slices.Sort(names)
	sizes := make([]int64, len(names))
	m.Files, m.Bytes = len(names), 0
	for i, name := range names {
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err != nil {
			return err
		}
		sizes[i] = info.Size()
		m.Bytes += sizes[i]
	}
	out := &backupWriter{tar: tar.NewWriter(&endingWriter{ctx: ctx, w: w}), buffer: make([]byte, copyBytes)}
	if err := out.json(manifestName, m); err != nil {
		return err
	}
	for i, name := range names {
		if err := out.file(fs, fs.PathJoin(dir, name), storeDirName+"/"+name, sizes[i]); err != nil {
			return err
		}
	}
	if err := out.json(trailerName, &out.trailer); err != nil {
		return err
	}
	return out.tar.Close()
}

// backupWriter writes files and takes note of their sums.
type backupWriter struct {
	tar     *tar.Writer
	buffer  []byte
	trailer backupTrailer
}

func (b *backupWriter) json(name string, value any) error {
	text, err := backupJSON(value)
	if err != nil {
		return err
	}
	if err := b.tar.WriteHeader(backupHeader(name, int64(len(text)))); err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	b.note(name, int64(len(text)), sum[:])
	_, err = b.tar.Write(text)
	return err
}

func backupJSON(value any) ([]byte, error) {
	text, err := json.MarshalIndent(value, "", " ")
	return append(text, '\n'), err
}

func (b *backupWriter) file(fs vfs.FS, path, name string, size int64) (err error) {
	file, err := fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := b.tar.WriteHeader(backupHeader(name, size)); err != nil {
		return err
	}
	hash := sha256.New()
	copied, err := io.CopyBuffer(io.MultiWriter(b.tar, hash), io.LimitReader(file, size), b.buffer)
	if err == nil && copied < size {
		err = fmt.Errorf("%s has lost its end: %w", path, io.ErrUnexpectedEOF)
	}
	b.note(name, size, hash.Sum(nil))
	return err
}

func (b *backupWriter) note(name string, size int64, sum []byte) {
	b.trailer.Files = append(b.trailer.Files, backupSum{Name: name, Bytes: size, SHA256: hex.EncodeToString(sum)})
}

func backupHeader(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600}
}

// endingWriter fails once its context has ended.
type endingWriter struct {
	ctx context.Context // of the one call that it lives for
	w   io.Writer
}

func (e *endingWriter) Write(p []byte) (int, error) {
	if e.ctx.Err() != nil {
		return 0, context.Cause(e.ctx)
	}
	return e.w.Write(p)
}
