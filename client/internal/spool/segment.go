package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/tradetrail/tradetrail/internal/durable"
)

const (
	segmentSuffix = ".seg"
	// newSuffix is of a file without all its blocks: a segment is whole from its name on.
	newSuffix = ".new"
)

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016d%s", number, segmentSuffix))
}

// segmentNumber reads the number in a file's name.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil && number > 0
}

// segment is a file that is or will be appended to. Its mapping is written by
// whoever holds the spool's mutex, and by nobody once it is sealed.
type segment struct {
	number uint64
	path   string
	file   *os.File
	data   []byte       // the mapping
	head   atomic.Int64 // where the next record goes; what is before it is committed
	sealed atomic.Bool
	synced int64 // up to where it is on disk; the syncer's
}

// createSegment makes a file with all its blocks, on disk, and maps it.
func createSegment(dir string, number uint64, size int64, allocate func(*os.File, int64) error) (_ *segment, err error) {
	path := segmentPath(dir, number)
	unfinished := path + newSuffix
	file, err := os.OpenFile(unfinished, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating a segment: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("preparing %s: %w", path, err), file.Close(), os.Remove(unfinished))
		}
	}()
	if err := allocate(file, size); err != nil {
		return nil, err
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	data, err := unix.Mmap(int(file.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return nil, errors.Join(err, unix.Munmap(data))
	}
	if err := durable.SyncDir(dir); err != nil {
		unfinished = path
		return nil, errors.Join(err, unix.Munmap(data))
	}
	g := &segment{number: number, path: path, file: file, data: data}
	g.head.Store(headerBytes)
	return g, nil
}

// mapHeader maps the first page of a file that is there, and makes one if the file
// has lost it.
func mapHeader(dir string, number uint64, allocate func(*os.File, int64) error) (_ *segment, err error) {
	path := segmentPath(dir, number)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("mapping %s: %w", path, err), file.Close())
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < headerBytes {
		if err := allocate(file, headerBytes); err != nil {
			return nil, err
		}
	}
	data, err := unix.Mmap(int(file.Fd()), 0, headerBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &segment{number: number, path: path, file: file, data: data}, nil
}

// release gives the mapping and the file up. Nobody may append any more.
func (g *segment) release() error {
	return errors.Join(unix.Munmap(g.data), g.file.Close())
}

// warm makes the pages from offset on writable, so that appending meets no page
// fault, which on a busy disk can take milliseconds. It changes nothing, and only
// saves time: errors don't matter.
func (g *segment) warm(offset, length int64) {
	from, to := offset&^(pageBytes-1), min(pageAfter(offset+length), int64(len(g.data)))
	if from < to {
		populate(g.data[from:to])
	}
}

// sync puts everything up to the offset on disk.
func (g *segment) sync(to int64) error {
	from := g.synced &^ (pageBytes - 1)
	if to <= g.synced {
		return nil
	}
	if err := unix.Msync(g.data[from:pageAfter(to)], unix.MS_SYNC); err != nil {
		return fmt.Errorf("syncing %s: %w", g.path, err)
	}
	g.synced = to
	return nil
}

// drop notes in the header that a sequence was not kept.
func (g *segment) drop(sequence uint64, at int64) {
	if from, _, _ := dropped(g.data); from == 0 {
		store64(g.data[droppedTo:], sequence)
		store64(g.data[droppedSince:], uint64(at)) //nolint:gosec // bits, not a number
		store64(g.data[droppedFrom:], sequence)
		return
	}
	store64(g.data[droppedTo:], sequence)
}
