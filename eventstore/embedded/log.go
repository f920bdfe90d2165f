package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

const dirMode = 0o700

// eventLog is the log on disk, as readers see it. All methods may be called
// concurrently. Nothing at or beyond the durable head is ever handed out.
type eventLog struct {
	disk    *freezer
	db      *pebble.DB
	cache   *pebble.Cache
	lock    *pebble.Lock
	durable atomic.Pointer[head]
}

// head is the end of what is durable. Heads are immutable: a new one replaces
// the old, whose changed channel is then closed.
type head struct {
	end     uint64 // exclusive: the position which the next record may have
	last    uint64 // position of the last record; 0 if there is none
	created int64  // `created` of the last record
	changed chan struct{}
}

// openLog opens or creates the store in dir. The disk may be frozen on return:
// the caller asks it before trusting the log.
func openLog(dir string, disk *freezer, opts Options) (*eventLog, error) {
	if err := disk.MkdirAll(dir, dirMode); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(dir, disk)
	if err != nil {
		return nil, lockError(err)
	}
	if err := checkManifest(dir, disk); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	l := &eventLog{disk: disk, lock: lock, cache: pebble.NewCache(opts.CacheBytes)}
	l.db, err = pebble.Open(dir, l.pebbleOptions(opts))
	if err != nil {
		l.cache.Unref()
		return nil, errors.Join(err, lock.Close())
	}
	if err := l.start(); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *eventLog) pebbleOptions(opts Options) *pebble.Options {
	log := &pebbleLogger{logger: opts.Logger}
	options := &pebble.Options{
		FS:    l.disk,
		Lock:  l.lock,
		Cache: l.cache,
		// Fixed, so that a newer Pebble does not change what an older one can still open.
		FormatMajorVersion: pebble.FormatTableFormatV6,
		Logger:             log,
		// Without a listener of ours Pebble ends the process when it meets a
		// bad block; the read that met it fails with DATA_LOSS instead.
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { log.Errorf("background error: %v", err) },
			DataCorruption:  func(info pebble.DataCorruptionInfo) { log.Errorf("data corruption: %s", info) },
		},
		MemTableSize:                uint64(opts.memTableBytes), //nolint:gosec // not negative
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		DisableAutomaticCompactions: opts.still,
	}
	// A table of its own for each kind of key: events only ever come at the end of
	// theirs, so their tables never overlap and are moved between levels instead
	// of rewritten.
	options.Experimental.SpanPolicyFunc = func(start []byte) (pebble.SpanPolicy, []byte, error) {
		if len(start) == 0 || start[0] == 0xff { // not ours; to be refused by checkFormat
			return pebble.SpanPolicy{}, nil, nil
		}
		return pebble.SpanPolicy{}, []byte{start[0] + 1}, nil
	}
	// Names are looked up for every new stream; the filter answers "not there" from memory.
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		options.Levels[i].BlockSize = 16 << 10
	}
	return options
}

// lockError tells a held lock from other troubles. Pebble reports a lock held
// by this process only as text.
func lockError(err error) error {
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || err.Error() == "lock held by current process" {
		return ErrInUse
	}
	return fmt.Errorf("locking: %w", err)
}

// start checks the format and finds the head: the last record only, however long the log.
func (l *eventLog) start() error {
	if err := l.checkFormat(); err != nil {
		return err
	}
	h := &head{end: firstPosition, changed: make(chan struct{})}
	it, err := l.eventIter()
	if err != nil {
		return err
	}
	if it.Last() {
		position, value, err := eventAt(it)
		if err != nil {
			return errors.Join(err, it.Close())
		}
		r, err := decodeRecord(position, value)
		if err != nil {
			return errors.Join(fmt.Errorf("reading the end of the log: %w", err), it.Close())
		}
		h.end, h.last, h.created = position+uint64(len(value)), position, r.created
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	l.durable.Store(h)
	return nil
}

func (l *eventLog) checkFormat() error {
	value, closer, err := l.db.Get(formatKey())
	if err == nil {
		version, n := binary.Uvarint(value)
		if err := closer.Close(); err != nil {
			return err
		}
		if n <= 0 || version != formatVersion {
			return fmt.Errorf("store has format %d, this program reads format %d", version, formatVersion)
		}
		return nil
	}
	if !errors.Is(err, pebble.ErrNotFound) {
		return err
	}
	it, err := l.db.NewIter(nil)
	if err != nil {
		return err
	}
	foreign := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	if foreign {
		return errors.New("directory holds a database which is not an event store")
	}
	if err := l.db.Set(formatKey(), binary.AppendUvarint(nil, formatVersion), pebble.Sync); err != nil {
		return err
	}
	// Pebble begins a new database in its oldest format, whose write-ahead log
	// can't tell damage from a torn end. The flush makes it begin a new one.
	return l.flush()
}

// flush moves everything from the write-ahead log into tables. It gives up when the disk freezes.
func (l *eventLog) flush() error {
	flushed, err := l.db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
	case <-l.disk.done:
	}
	return nil
}

// close leaves a store whose every byte is in tables with checksums, unless
// the disk is frozen.
func (l *eventLog) close() error {
	var err error
	if l.disk.err() == nil {
		err = l.flush()
	}
	err = errors.Join(err, l.db.Close())
	l.cache.Unref()
	return errors.Join(err, l.lock.Close())
}

// publish moves the durable head and wakes everybody who waits for it. Only
// the committer calls it, after the sync.
func (l *eventLog) publish(end, last uint64, created int64) {
	old := l.durable.Swap(&head{end: end, last: last, created: created, changed: make(chan struct{})})
	close(old.changed)
}

func (l *eventLog) eventIter() (*pebble.Iterator, error) {
	return l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyEvent}, UpperBound: []byte{keyEvent + 1}})
}

func eventAt(it *pebble.Iterator) (position uint64, value []byte, err error) {
	position, ok := eventKeyPosition(it.Key())
	if !ok {
		return 0, nil, &IntegrityError{Err: fmt.Errorf("unreadable key %x", it.Key())}
	}
	value, err = it.ValueAndErr()
	return position, value, unreadable(position, err)
}

// unreadable says where in the log a bad block was met, which Pebble doesn't
// know. Other errors pass.
func unreadable(position uint64, err error) error {
	if !pebble.IsCorruptionError(err) {
		return err
	}
	return &IntegrityError{Position: position, Err: fmt.Errorf("unreadable: %w", err)}
}

// unreadableBefore is unreadable for a walk backwards: where the record that
// can't be read begins is known to the bad block alone.
func unreadableBefore(position uint64, err error) error {
	if !pebble.IsCorruptionError(err) {
		return err
	}
	return &IntegrityError{Position: position, Err: fmt.Errorf("what comes before it is unreadable: %w", err)}
}

// unreadableIndex is unreadable for the index of a stream, whose number is the
// position of its first record.
func unreadableIndex(stream uint64, err error) error {
	if !pebble.IsCorruptionError(err) {
		return err
	}
	return &IntegrityError{Position: stream, Err: fmt.Errorf("the index of the stream that begins with it is unreadable: %w", err)}
}

// finish closes an iterator. Close repeats the iterator's error, if it has one.
func finish(it *pebble.Iterator, met error) error {
	if err := it.Close(); met == nil {
		return err
	}
	return met
}

// visitor sees one record, whose bytes are valid only during the call, and
// says whether it wants another.
type visitor func(record) (more bool, err error)

// forwards visits the records in [from, end), in order.
func (l *eventLog) forwards(from, end uint64, visit visitor) error {
	it, err := l.eventIter()
	if err != nil {
		return err
	}
	next := uint64(0) // where a record ended, and another begins
	for ok := it.SeekGE(appendEventKey(nil, from)); ok; ok = it.Next() {
		position, value, err := eventAt(it)
		if err != nil {
			return finish(it, err)
		}
		if position >= end {
			break
		}
		next = position + uint64(len(value))
		if more, err := visitRecord(position, value, visit); err != nil || !more {
			return finish(it, err)
		}
	}
	if err := it.Error(); err != nil {
		if next == 0 {
			next = recordFrom(it, from)
		}
		return finish(it, unreadable(next, err))
	}
	return it.Close()
}

// recordFrom is the position of the first record at or after from, found by the
// one before it: from itself need not be the position of a record.
func recordFrom(it *pebble.Iterator, from uint64) uint64 {
	if it.SeekLT(appendEventKey(nil, from)) {
		if position, value, err := eventAt(it); err == nil {
			return position + uint64(len(value))
		}
	}
	return max(from, firstPosition)
}

// backwards visits the records before position `before`, the latest first.
func (l *eventLog) backwards(before uint64, visit visitor) error {
	it, err := l.eventIter()
	if err != nil {
		return err
	}
	good := before
	for ok := it.SeekLT(appendEventKey(nil, before)); ok; ok = it.Prev() {
		position, value, err := eventAt(it)
		if err != nil {
			return finish(it, err)
		}
		if more, err := visitRecord(position, value, visit); err != nil || !more {
			return finish(it, err)
		}
		good = position
	}
	return finish(it, unreadableBefore(good, it.Error()))
}

func visitRecord(position uint64, value []byte, visit visitor) (bool, error) {
	r, err := decodeRecord(position, value)
	if err != nil {
		return false, err
	}
	return visit(r)
}

// at visits the record at exactly this position, which an index says exists.
func (l *eventLog) at(position uint64, visit func(record) error) error {
	value, closer, err := l.db.Get(appendEventKey(nil, position))
	if errors.Is(err, pebble.ErrNotFound) {
		return &IntegrityError{Position: position, Err: errMissing}
	}
	if err != nil {
		return unreadable(position, err)
	}
	r, err := decodeRecord(position, value)
	if err == nil {
		err = visit(r)
	}
	return errors.Join(err, closer.Close())
}

// isBoundary says whether a record begins at this position.
func (l *eventLog) isBoundary(position uint64) (bool, error) {
	_, closer, err := l.db.Get(appendEventKey(nil, position))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, unreadable(position, err)
	}
	return true, closer.Close()
}

// streamID is the stream's number; ok is false if nothing was ever written to it.
// A number at or beyond the durable head belongs to a stream that is not durable yet.
func (l *eventLog) streamID(name string) (id uint64, ok bool, err error) {
	id, ok, err = l.index(appendNameKey(nil, name))
	if pebble.IsCorruptionError(err) {
		err = &IntegrityError{Err: fmt.Errorf("looking up stream %q: %w", name, err)}
	}
	return id, ok, err
}

// revision is the position of one record of a stream.
func (l *eventLog) revision(stream, revision uint64) (position uint64, ok bool, err error) {
	position, ok, err = l.index(appendStreamKey(nil, stream, revision))
	return position, ok, unreadableIndex(stream, err)
}

func (l *eventLog) index(key []byte) (value uint64, ok bool, err error) {
	stored, closer, err := l.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if len(stored) != indexValueLen {
		err = &IntegrityError{Err: fmt.Errorf("unreadable index entry %x", key)}
	} else {
		value = binary.BigEndian.Uint64(stored)
	}
	return value, true, errors.Join(err, closer.Close())
}

// lastRevision is the last revision of a stream before the log position `end`, or -1.
func (l *eventLog) lastRevision(stream, end uint64) (last int64, err error) {
	last = -1
	err = l.walkIndex(stream, 0, tombstoneRevision, true, func(revision, position uint64) (bool, error) {
		if position >= end {
			return true, nil
		}
		last = int64(revision) //nolint:gosec // revisions never exceed tombstoneRevision
		return false, nil
	})
	return last, err
}

// walkIndex visits the revisions of a stream in [from, to].
func (l *eventLog) walkIndex(stream, from, to uint64, backwards bool, visit func(revision, position uint64) (bool, error)) error {
	it, err := l.db.NewIter(&pebble.IterOptions{
		LowerBound: appendStreamKey(nil, stream, from),
		UpperBound: appendStreamKey(nil, stream, to+1),
	})
	if err != nil {
		return err
	}
	first, next := it.First, it.Next
	if backwards {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok; ok = next() {
		revision, ok := streamKeyRevision(it.Key(), stream)
		value, err := it.ValueAndErr()
		if err != nil {
			return finish(it, unreadableIndex(stream, err))
		}
		if !ok || len(value) != indexValueLen {
			return finish(it, &IntegrityError{Err: fmt.Errorf("unreadable index entry %x", it.Key())})
		}
		if more, err := visit(revision, binary.BigEndian.Uint64(value)); err != nil || !more {
			return finish(it, err)
		}
	}
	return finish(it, unreadableIndex(stream, it.Error()))
}

// walkStream visits the durable records of a stream with revisions in [from, to].
func (l *eventLog) walkStream(stream, from, to, end uint64, backwards bool, visit visitor) error {
	events, err := l.eventIter()
	if err != nil {
		return err
	}
	var key []byte
	err = l.walkIndex(stream, from, to, backwards, func(revision, position uint64) (bool, error) {
		if position >= end {
			// Later revisions have later positions: forwards is done, backwards goes on.
			return backwards, nil
		}
		key = appendEventKey(key[:0], position)
		if !events.SeekGE(key) {
			if err := events.Error(); err != nil {
				return false, unreadable(position, err)
			}
			return false, &IntegrityError{Position: position, Err: errMissing}
		}
		found, value, err := eventAt(events)
		if err != nil {
			return false, err
		}
		if found != position {
			return false, &IntegrityError{Position: position, Err: errMissing}
		}
		r, err := decodeRecord(position, value)
		if err != nil {
			return false, err
		}
		if r.revision != revision {
			return false, &IntegrityError{Position: position, Err: errMisplaced}
		}
		return visit(r)
	})
	return finish(events, err)
}
