package embedded

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// freezer is the file system under Pebble. At the first failed write it
// freezes the disk: from then on every change is swallowed and reported as
// done, so that the files stay exactly as a power cut at that moment would
// have left them.
//
// Without it, Pebble meets a full disk with a panic in the middle of a lock
// (log rotation) or with the end of the process (manifest). With it, Pebble
// can be closed in good order and the next start recovers as from a crash.
//
// The promise which makes this safe: whoever acknowledges anything asks err
// first. A change that was swallowed has set err before it returned.
//
// Below spareDir are copies that nobody relies on yet. What fails there freezes
// only the freezer in spare, which whoever makes the copies asks; Pebble itself
// would panic at some of these errors too.
type freezer struct {
	vfs.FS
	spareDir string // in the form that PathJoin gives, or ""
	spare    atomic.Pointer[freezer]

	frozen atomic.Bool
	once   sync.Once
	cause  error
	done   chan struct{} // closed when frozen
	// onFreeze is called once, by the goroutine that met the error.
	onFreeze func(error)
}

func newFreezer(fs vfs.FS, onFreeze func(error)) *freezer {
	return &freezer{FS: fs, done: make(chan struct{}), onFreeze: onFreeze}
}

// err is the error which froze the disk, or nil.
func (f *freezer) err() error {
	if !f.frozen.Load() {
		return nil
	}
	return f.cause
}

func (f *freezer) freeze(doing, name string, err error) {
	f.once.Do(func() {
		f.cause = fmt.Errorf("%s %s: %w", doing, name, err)
		f.frozen.Store(true)
		close(f.done)
		f.onFreeze(f.cause)
	})
}

// at is the freezer which a file belongs to.
func (f *freezer) at(name string) *freezer {
	below, ok := strings.CutPrefix(name, f.spareDir)
	if spare := f.spare.Load(); spare != nil && ok && (below == "" || os.IsPathSeparator(below[0])) {
		return spare
	}
	return f
}

func (f *freezer) file(doing, name string, open func() (vfs.File, error)) (vfs.File, error) {
	f = f.at(name)
	if f.frozen.Load() {
		return &frozenFile{name: name}, nil
	}
	inner, err := open()
	if err != nil {
		f.freeze(doing, name, err)
		return &frozenFile{name: name}, nil
	}
	return &freezingFile{File: inner, fs: f, name: name}, nil
}

func (f *freezer) change(doing, name string, do func() error) error {
	f = f.at(name)
	if f.frozen.Load() {
		return nil
	}
	if err := do(); err != nil {
		f.freeze(doing, name, err)
	}
	return nil
}

// Create implements vfs.FS.
func (f *freezer) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file("creating", name, func() (vfs.File, error) { return f.FS.Create(name, category) })
}

// OpenReadWrite implements vfs.FS.
func (f *freezer) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.file("opening", name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (f *freezer) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file("reusing", newname, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, category) })
}

// OpenDir implements vfs.FS. Directories are opened to be synced, so they freeze too.
func (f *freezer) OpenDir(name string) (vfs.File, error) {
	inner, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &freezingFile{File: inner, fs: f.at(name), name: name}, nil
}

// Link implements vfs.FS.
func (f *freezer) Link(oldname, newname string) error {
	return f.change("linking", newname, func() error { return f.FS.Link(oldname, newname) })
}

// Rename implements vfs.FS.
func (f *freezer) Rename(oldname, newname string) error {
	return f.change("renaming to", newname, func() error { return f.FS.Rename(oldname, newname) })
}

// Remove implements vfs.FS. A file that can't be removed costs space, not
// truth: the error passes. But nothing is removed from a frozen disk, since
// what made the file obsolete may have been swallowed.
func (f *freezer) Remove(name string) error {
	if f.at(name).frozen.Load() {
		return nil
	}
	return f.FS.Remove(name)
}

// RemoveAll implements vfs.FS; see Remove.
func (f *freezer) RemoveAll(name string) error {
	if f.at(name).frozen.Load() {
		return nil
	}
	return f.FS.RemoveAll(name)
}

// MkdirAll implements vfs.FS.
func (f *freezer) MkdirAll(dir string, perm os.FileMode) error {
	if f.at(dir).frozen.Load() {
		return nil
	}
	return f.FS.MkdirAll(dir, perm)
}

// Unwrap implements vfs.FS.
func (f *freezer) Unwrap() vfs.FS { return f.FS }

// freezingFile is a file open for writing.
type freezingFile struct {
	vfs.File
	fs   *freezer
	name string
}

func (f *freezingFile) Write(p []byte) (int, error) {
	if f.fs.frozen.Load() {
		return len(p), nil
	}
	if _, err := f.File.Write(p); err != nil {
		f.fs.freeze("writing", f.name, err)
	}
	return len(p), nil
}

func (f *freezingFile) WriteAt(p []byte, off int64) (int, error) {
	if f.fs.frozen.Load() {
		return len(p), nil
	}
	if _, err := f.File.WriteAt(p, off); err != nil {
		f.fs.freeze("writing", f.name, err)
	}
	return len(p), nil
}

func (f *freezingFile) Sync() error {
	return f.fs.change("syncing", f.name, f.File.Sync)
}

func (f *freezingFile) SyncData() error {
	return f.fs.change("syncing", f.name, f.File.SyncData)
}

func (f *freezingFile) SyncTo(length int64) (fullSync bool, err error) {
	err = f.fs.change("syncing", f.name, func() error {
		fullSync, err = f.File.SyncTo(length)
		return err
	})
	return fullSync, err
}

// Preallocate is an optimisation which not every file system has.
func (f *freezingFile) Preallocate(offset, length int64) error {
	if f.fs.frozen.Load() {
		return nil
	}
	return f.File.Preallocate(offset, length)
}

// Stat is asked of a log file before it is written to.
func (f *freezingFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil {
		f.fs.freeze("inspecting", f.name, err)
		return frozenInfo{name: f.name}, nil
	}
	return info, nil
}

// Close always reaches the real file, or its descriptor would leak.
func (f *freezingFile) Close() error {
	frozen := f.fs.frozen.Load()
	if err := f.File.Close(); err != nil && !frozen {
		f.fs.freeze("closing", f.name, err)
	}
	return nil
}

// frozenFile stands for a file that was created after the disk froze.
type frozenFile struct{ name string }

func (f *frozenFile) unreadable() error {
	return fmt.Errorf("reading %s: created on a frozen disk: %w", f.name, io.ErrUnexpectedEOF)
}

func (f *frozenFile) Close() error                           { return nil }
func (f *frozenFile) Read([]byte) (int, error)               { return 0, f.unreadable() }
func (f *frozenFile) ReadAt([]byte, int64) (int, error)      { return 0, f.unreadable() }
func (f *frozenFile) Write(p []byte) (int, error)            { return len(p), nil }
func (f *frozenFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (f *frozenFile) Preallocate(int64, int64) error         { return nil }
func (f *frozenFile) Stat() (vfs.FileInfo, error)            { return frozenInfo{name: f.name}, nil }
func (f *frozenFile) Sync() error                            { return nil }
func (f *frozenFile) SyncTo(int64) (bool, error)             { return false, nil }
func (f *frozenFile) SyncData() error                        { return nil }
func (f *frozenFile) Prefetch(int64, int64) error            { return nil }
func (f *frozenFile) Fd() uintptr                            { return vfs.InvalidFd }

// frozenInfo describes a frozenFile.
type frozenInfo struct{ name string }

func (i frozenInfo) Name() string           { return i.name }
func (i frozenInfo) Size() int64            { return 0 }
func (i frozenInfo) Mode() os.FileMode      { return 0o600 }
func (i frozenInfo) ModTime() time.Time     { return time.Time{} }
func (i frozenInfo) IsDir() bool            { return false }
func (i frozenInfo) Sys() any               { return nil }
func (i frozenInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
