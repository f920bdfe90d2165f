package ingest

import (
	"context"
	"hash/maphash"

	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
)

const (
	// recentEntries are kept in full, and up to twice as many: more than most orders
	// have. Of older ones only where they are, in 10 to 16 bytes.
	recentEntries = 64
	// pageEntries are read when an old id comes again: its neighbours follow.
	pageEntries = 64
	// progressEvery so many records that are read, whoever waits for the store learns
	// that it answers.
	progressEvery = 1000
	// longEntries are what makes a stream long: that it was read so far is remembered
	// until it is read to its end.
	longEntries = 1 << 16
)

// streamState is what is known of one stream. What it says is true for ever,
// since streams only grow; the stream may hold more, which an append at the last
// revision finds out.
type streamState struct {
	name  string
	seed  maphash.Seed
	users int           // holders and waiters; guarded by the table's mu
	lock  chan struct{} // holds one token while free: at most one append per stream is under way

	// The rest belongs to whoever holds lock.
	known    bool // the stream was read, or written by us: what follows begins at its first event
	doubtful bool // an append has an unknown outcome: read what is new before the next one
	last     eventstore.Revision
	recent   []entry
	older    places
	page     []entry // of older ones, read again
}

// entry is one recorded event.
type entry struct {
	id       uuid.UUID
	revision uint64
	position domain.Position
	said     fingerprint
}

// fingerprint is of what a source said, to tell a redelivery from another fact with
// the same id. It means nothing outside of this process.
type fingerprint uint64

const (
	unread  fingerprint = 0 // nobody has looked yet
	foreign fingerprint = 1 // what others wrote into our streams
)

func fingerprintOf(said *maphash.Hash) fingerprint { return max(fingerprint(said.Sum64()), foreign+1) }

// bytes is about what the state takes.
func (s *streamState) bytes() int {
	const perState, perEntry = 512, 48
	return perState + len(s.name) + perEntry*(cap(s.recent)+cap(s.page)) + 8*len(s.older.slots)
}

func (s *streamState) add(e entry) {
	if len(s.recent) == 2*recentEntries {
		for _, old := range s.recent[:recentEntries] {
			s.older.add(s.hash(old.id), old.revision)
		}
		s.recent = append(s.recent[:0], s.recent[recentEntries:]...)
	}
	s.recent = append(s.recent, e)
}

func (s *streamState) hash(id uuid.UUID) uint64 { return maphash.Bytes(s.seed, id[:]) }

// find returns the entry of an id, if it is at hand.
func (s *streamState) find(id uuid.UUID) (entry, bool) {
	for _, entries := range [2][]entry{s.page, s.recent} {
		for i := range entries {
			if entries[i].id == id && entries[i].said != unread {
				return entries[i], true
			}
		}
	}
	return entry{}, false
}

// uncertain reports whether the store must be asked about one of the ids.
func (s *streamState) uncertain(facts []fact, items []int) bool {
	for _, i := range items {
		if _, found := s.find(facts[i].id); !found && len(s.places(facts[i].id)) > 0 {
			return true
		}
	}
	return false
}

// places are the revisions at which an id may stand that find does not find.
func (s *streamState) places(id uuid.UUID) []uint64 {
	for i := range s.recent {
		if s.recent[i].id == id {
			return []uint64{s.recent[i].revision}
		}
	}
	return s.older.find(s.hash(id))
}

// ascertain makes find right about an id; it calls progress after each page.
func (s *streamState) ascertain(ctx context.Context, store *eventstore.Store, id uuid.UUID, progress func()) error {
	if _, found := s.find(id); found {
		return nil
	}
	for _, revision := range s.places(id) {
		s.page = s.page[:0]
		for r, err := range store.Stream(ctx, s.name, revision) {
			if err != nil {
				return err
			}
			s.page = append(s.page, s.read(&r))
			if len(s.page) == pageEntries || s.page[0].id != id {
				break
			}
		}
		progress()
		if _, found := s.find(id); found {
			return nil
		}
	}
	return nil
}

func (s *streamState) read(r *eventstore.Record) entry {
	return entry{id: r.ID, revision: r.Revision, position: r.Position, said: s.fingerprint(r)}
}

func (s *streamState) fingerprint(r *eventstore.Record) fingerprint {
	e, err := r.Event()
	if err != nil {
		return foreign
	}
	var said maphash.Hash
	said.SetSeed(s.seed)
	if _, err := e.EncodeTo(&said); err != nil {
		return foreign
	}
	return fingerprintOf(&said)
}

// load reads what the state does not know yet: the whole stream the first time,
// later only what others have added. What it has read counts also if it fails:
// a stream that takes longer to read than anybody waits is read in the end. It calls
// progress after every 1,000 records.
func (s *streamState) load(ctx context.Context, store *eventstore.Store, progress func()) error {
	read := 0
	for r, err := range store.Stream(ctx, s.name, uint64(s.last+1)) { //nolint:gosec // at least 0
		if err != nil {
			return err
		}
		s.last = eventstore.Revision(r.Revision) //nolint:gosec // revisions are int64 on the server
		e := entry{id: r.ID, revision: r.Revision, position: r.Position}
		if r.Revision < 2*recentEntries { // what is said in a long stream costs more than it is worth
			e.said = s.fingerprint(&r)
		}
		s.add(e)
		if read++; read%progressEvery == 0 {
			progress()
		}
	}
	s.known = true
	return nil
}

// halfRead tells a long stream that nobody could wait for. To forget it would be to
// begin again, and never to come to its end.
func (s *streamState) halfRead() bool { return !s.known && s.last >= longEntries }
