package spool

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tradetrail/tradetrail/domain"
)

// Sync says when records go from the page cache to the disk.
type Sync int

// The policies. The page cache survives the process, the disk survives the power.
const (
	SyncInterval Sync = iota // at every interval
	SyncNever                // when the system likes
	SyncEach                 // before Append returns, many records at once
)

// Full says what Append does when there is no room.
type Full int

// The policies.
const (
	FullHalt  Full = iota // Append returns ErrFull
	FullDrop              // the record is counted, and not kept
	FullBlock             // Append waits
)

// Config says where and how.
type Config struct {
	Dir          string
	SegmentBytes int64         // of one file, a multiple of 4 KiB
	MaxBytes     int64         // of all files; two segments at least
	MaxAge       time.Duration // a record that waits for longer makes the spool full; 0: none does
	Sync         Sync
	Interval     time.Duration // between syncs
	Full         Full
	Now          func() time.Time
	Log          *slog.Logger

	// Allocate gives a new file its blocks; nil is the file system's way.
	Allocate func(*os.File, int64) error
}

// ready is how many segments are prepared ahead, so that a rotation finds one also
// while the disk is busy.
const readyAhead = 2

// Spool is an open spool. Append may be called from any number of goroutines,
// everything else about reading and delivering from one.
type Spool struct {
	cfg   Config
	lock  *os.File
	id    ID
	nonce uint64

	mu       sync.Mutex
	active   *segment
	offset   int64 // of the next record in active
	sequence uint64
	ready    []*segment
	sealed   []*segment // until they are synced and released
	extents  []extent   // all segments with records, the active one last
	number   uint64     // of the segment that is prepared next
	dropping bool       // active has noted a drop, or is full since it was opened: the next record needs a new segment
	old      bool       // see Config.MaxAge
	closed   bool
	trouble  error         // why no segment could be prepared, or nil
	room     chan struct{} // closed when there may be room again

	padded  int64         // up to where active was synced
	durable uint64        // sequences before it are on disk
	lost    error         // a sync failed: what it was about may be gone
	synced  chan struct{} // closed when durable rises

	mark      *mark // the deliverer's
	delivered atomic.Uint64
	waiting   atomic.Int64 // when the oldest record that waits was appended, or 0
	reading   atomic.Uint64
	drops     atomic.Uint64

	prepare chan struct{} // asks for another segment
	hurry   chan struct{} // asks for a sync
	stop    context.CancelFunc
	keepers sync.WaitGroup
	warming sync.Mutex // held while pages of a segment are made writable, and to release one
}

// extent is one segment in the row of all.
type extent struct {
	number, first uint64
	live          *segment // nil if it was there when the spool was opened
}

// Open takes the directory, makes it if there is none, and recovers what is in it.
func Open(cfg Config) (_ *Spool, err error) {
	if cfg.Allocate == nil {
		cfg.Allocate = allocate
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, unusable(cfg.Dir, err)
	}
	s := &Spool{
		cfg: cfg, number: 1, sequence: 1, room: make(chan struct{}), synced: make(chan struct{}),
		prepare: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
	}
	if err := s.own(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Close())
		}
	}()
	var delivered uint64
	if s.mark, delivered, err = openMark(filepath.Join(cfg.Dir, "delivered")); err != nil {
		return nil, unusable(cfg.Dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.mark.file.Close())
		}
	}()
	s.delivered.Store(delivered)
	if err := s.recover(); err != nil {
		return nil, unusable(cfg.Dir, err)
	}
	s.sequence = max(s.sequence, delivered)
	s.durable = s.sequence
	// What is recovered stays as it is; this process begins a segment of its own.
	if s.within(len(s.extents) + 1) {
		g, err := createSegment(cfg.Dir, s.number, cfg.SegmentBytes, cfg.Allocate)
		if err != nil {
			return nil, unusable(cfg.Dir, err)
		}
		s.number++
		g.warm(0, warmBytes)
		s.begin(g)
	} else if err := s.beginFull(); err != nil {
		return nil, unusable(cfg.Dir, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	for _, keep := range []func(context.Context){s.keepReady, s.keepWarm, s.keepSynced} {
		s.keepers.Go(func() { keep(ctx) })
	}
	return s, nil
}

// own locks the directory for this process and learns the spool's id.
func (s *Spool) own() (err error) {
	path := filepath.Join(s.cfg.Dir, "spool")
	if s.lock, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return unusable(s.cfg.Dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Close())
		}
	}()
	if err := unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return &domain.Error{Class: domain.ClassConflict, Code: CodeInUse, Message: fmt.Sprintf("another process has the spool in %q open", s.cfg.Dir)}
	} else if err != nil {
		return unusable(s.cfg.Dir, err)
	}
	var random [16 + 8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return unusable(s.cfg.Dir, err)
	}
	s.nonce = binary.LittleEndian.Uint64(random[16:])
	text := make([]byte, 2*len(s.id))
	if _, err := io.ReadFull(s.lock, text); err == nil {
		if _, err := hex.Decode(s.id[:], text); err == nil {
			return nil
		}
	}
	s.id = ID(random[:16])
	if _, err := s.lock.WriteAt(hex.AppendEncode(nil, s.id[:]), 0); err != nil {
		return unusable(s.cfg.Dir, err)
	}
	if err := s.lock.Sync(); err != nil {
		return unusable(s.cfg.Dir, err)
	}
	return nil
}

// ID is the id that the spool got when it was made.
func (s *Spool) ID() ID { return s.id }

// Append copies a record into the spool and returns its sequence; at is now, in
// nanoseconds since 1970. The record is HeadBytes, which Append fills in, and the
// body: it is completed where it was just written, in the processor's cache, and
// copied once into the mapping, which is not. Records of one goroutine, and of
// calls one after another, stand in the order of the calls.
//
// With a nil error the record survives the process; with SyncEach it is on disk.
// Append waits only with FullBlock, when there is no room, and with SyncEach, and
// then no longer than ctx: the error is that of ctx, and in the second case the
// record is in the spool all the same. With FullDrop a record that finds no room
// takes its sequence with it, so that the gap is seen.
func (s *Spool) Append(ctx context.Context, at int64, record []byte) (uint64, error) {
	body := len(record) - HeadBytes
	size := aligned(body)
	if body > MaxBody || headerBytes+size > s.cfg.SegmentBytes {
		return 0, domain.Rejectf(domain.CodeTooLarge, "", "a record of %d bytes does not fit into a segment", body)
	}
	s.mu.Lock()
	if s.offset+size > s.cfg.SegmentBytes || s.dropping || s.old || s.closed {
		if kept, err := s.makeRoom(ctx, at, size); err != nil || !kept {
			sequence := s.sequence - 1
			s.mu.Unlock()
			return sequence, err
		}
	}
	sequence := s.sequence
	place := s.active.data[s.offset : s.offset+size]
	word := putHead(record, s.active.number, sequence, at, newID(at, sequence, s.nonce))
	copy(place[4:], record[4:])
	commit(place, word)
	s.sequence++
	s.offset += size
	s.active.head.Store(s.offset)
	s.mu.Unlock()
	if s.cfg.Sync == SyncEach {
		return sequence, s.awaitDurable(ctx, sequence)
	}
	return sequence, nil
}

// makeRoom rotates if it can, and otherwise does what the policy says. It is
// called, and returns, with the mutex held. kept is false for a dropped record.
func (s *Spool) makeRoom(ctx context.Context, at, size int64) (kept bool, err error) {
	for {
		switch {
		case s.closed:
			return false, closed(s.cfg.Dir)
		case s.old:
		case s.offset+size <= s.cfg.SegmentBytes && !s.dropping:
			return true, nil
		case len(s.ready) > 0:
			s.rotate()
			return true, nil
		}
		switch s.cfg.Full {
		case FullBlock:
			room := s.room
			s.mu.Unlock()
			select {
			case <-room:
				s.mu.Lock()
			case <-ctx.Done():
				s.mu.Lock()
				return false, full(s.cfg.Dir, ctx.Err())
			}
		case FullDrop:
			s.active.drop(s.sequence, at)
			s.sequence++
			s.dropping = true
			s.drops.Add(1)
			return false, nil
		default:
			return false, full(s.cfg.Dir, s.trouble)
		}
	}
}

// rotate ends the active segment and begins a prepared one. The mutex is held.
func (s *Spool) rotate() {
	if s.offset+alignBytes <= s.cfg.SegmentBytes {
		commit(s.active.data[s.offset:], wordEnd)
	}
	s.active.sealed.Store(true)
	s.sealed = append(s.sealed, s.active)
	next := s.ready[0]
	s.ready = append(s.ready[:0], s.ready[1:]...)
	s.begin(next)
	poke(s.prepare)
}

// begin makes a prepared segment the active one. The mutex is held, or nobody else
// knows the spool.
func (s *Spool) begin(g *segment) {
	header{number: g.number, first: s.sequence, created: s.cfg.Now().UnixNano(), spool: s.id, size: s.cfg.SegmentBytes}.put(g.data)
	s.active, s.offset, s.padded, s.dropping = g, headerBytes, headerBytes, false
	s.extents = append(s.extents, extent{number: g.number, first: s.sequence, live: g})
}

// beginFull takes the last recovered segment for the active one. Nothing is appended
// to it: it is there to note what is dropped until there is room for another.
func (s *Spool) beginFull() error {
	last := s.extents[len(s.extents)-1]
	g, err := mapHeader(s.cfg.Dir, last.number, s.cfg.Allocate)
	if err != nil {
		return err
	}
	g.synced = s.cfg.SegmentBytes
	g.head.Store(s.cfg.SegmentBytes)
	g.sealed.Store(true)
	s.active, s.offset, s.padded = g, s.cfg.SegmentBytes, s.cfg.SegmentBytes
	s.dropping = true // what it lost or dropped before is told when the next one begins
	return nil
}

// within reports whether so many files are within the bound.
func (s *Spool) within(files int) bool { return int64(files)*s.cfg.SegmentBytes <= s.cfg.MaxBytes }

// awaitDurable waits until the record with this sequence is on disk.
func (s *Spool) awaitDurable(ctx context.Context, sequence uint64) error {
	for {
		s.mu.Lock()
		durable, lost, synced := s.durable, s.lost, s.synced
		s.mu.Unlock()
		switch {
		case lost != nil:
			return &domain.Error{Class: domain.ClassTransient, Code: CodeNotSynced, Message: "the record is in the spool, and may not be on disk", Err: lost}
		case durable > sequence:
			return nil
		}
		poke(s.hurry)
		select {
		case <-synced:
		case <-ctx.Done():
			return &domain.Error{Class: domain.ClassTransient, Code: CodeNotSynced, Message: "the record is in the spool, and may not be on disk", Err: ctx.Err()}
		}
	}
}

// poke asks whoever listens to look; one request is as good as many.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// State is where a spool stands.
type State struct {
	Next      uint64 // the sequence of the next record
	Delivered uint64 // everything before it was delivered
	Bytes     int64  // of the segments with records, as files
	Dropped   uint64 // since it was opened
	Ready     int    // segments prepared ahead
	Full      bool   // the next record may find no room
	Trouble   error  // the last problem with the disk, or nil
}

// State looks at the spool.
func (s *Spool) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return State{
		Next: s.sequence, Delivered: s.delivered.Load(),
		Bytes:   int64(len(s.extents)) * s.cfg.SegmentBytes,
		Dropped: s.drops.Load(),
		Ready:   len(s.ready),
		Full:    s.old || s.dropping || len(s.ready) == 0 && s.offset+aligned(domain.MaxEventBytes) > s.cfg.SegmentBytes,
		Trouble: errors.Join(s.trouble, s.lost),
	}
}

// Next is the sequence of the next record.
func (s *Spool) Next() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sequence
}

// Waiting tells when the oldest record that waits was appended, in nanoseconds
// since 1970; 0 if none does.
func (s *Spool) Waiting(since int64) { s.waiting.Store(since) }

// Delivered notes that everything before the sequence was delivered and need not
// be kept. Segments that hold nothing else are removed.
func (s *Spool) Delivered(sequence uint64) error {
	if sequence <= s.delivered.Load() {
		return nil
	}
	if err := s.mark.write(sequence); err != nil {
		return err
	}
	s.delivered.Store(sequence)
	return s.free()
}

// free removes segments that nobody needs. The mark goes to disk before: an old
// one would make what is not there any more look damaged.
func (s *Spool) free() error {
	gone := s.unneeded()
	if len(gone) == 0 {
		return nil
	}
	if err := s.mark.sync(); err != nil {
		return err
	}
	s.mu.Lock()
	s.extents = append(s.extents[:0], s.extents[len(gone):]...)
	s.mu.Unlock()
	var problems []error
	for _, number := range gone {
		problems = append(problems, os.Remove(segmentPath(s.cfg.Dir, number)))
	}
	poke(s.prepare)
	return errors.Join(problems...)
}

// unneeded are the first segments up to one that is read, or has what is not
// delivered.
func (s *Spool) unneeded() (numbers []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i+1 < len(s.extents) && s.extents[i+1].first <= s.delivered.Load() && s.extents[i].number < s.reading.Load(); i++ {
		numbers = append(numbers, s.extents[i].number)
	}
	return numbers
}

// Close puts everything on disk and gives the directory up. Appends under way that
// wait end with ErrClosed. The reader must not be in use any more.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.room)
	s.room = make(chan struct{})
	s.mu.Unlock()
	s.stop()
	s.keepers.Wait()
	problems := []error{s.syncNow()}
	for _, g := range s.ready { // never begun
		problems = append(problems, g.release(), os.Remove(g.path))
	}
	problems = append(problems, s.active.release(), s.mark.file.Sync(), s.mark.file.Close(), s.lock.Close())
	return errors.Join(problems...)
}
