package embedded

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sync/semaphore"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

const (
	// maxQueued bounds the requests, maxQueuedBytes the memory, between the
	// handlers and the writer. Beyond them handlers wait, and so do clients.
	maxQueued      = 1024
	maxQueuedBytes = 64 << 20
	// A group is what one sync makes durable.
	maxGroupRequests = 512
	maxGroupBytes    = 4 << 20
	// maxUnsynced groups may wait for their sync. Few: while they wait, the
	// next group grows, and larger groups need fewer syncs.
	maxUnsynced = 2
)

type requestKind int

const (
	kindAppend requestKind = iota
	kindDelete
	kindTombstone
)

// request asks the writer for one atomic change of one stream.
type request struct {
	kind     requestKind
	stream   string
	expected wire.Expectation
	events   []proposal
	memory   *arena // for events; may be nil
	size     int    // as the protocol counts it
	stored   int    // bytes of the bodies
	// deadline, if set, is when the caller stops waiting: a request that is
	// still queued then is dropped, and surely not written.
	deadline time.Time
	// done is called exactly once, from a goroutine that serves everybody: it must not block.
	done func(result)
}

type outcome int

const (
	outcomeCommitted outcome = iota
	outcomeWrongVersion
	outcomeStreamDeleted
	outcomeTimedOut
	outcomeFailed
)

type result struct {
	outcome  outcome
	current  int64  // last revision of the request's events, or of the stream; -1 if none
	position uint64 // of the last event; 0 if there is none
	err      error  // with outcomeFailed
}

// writer orders all changes. One goroutine (write) decides and applies, a
// second one (commit) waits for the disk, moves the durable head and answers.
// Answers leave in the order of decisions, so none is ever based on state
// which could still be lost.
type writer struct {
	log      *eventLog
	disk     *freezer
	space    space
	now      func() time.Time
	requests chan *request
	unsynced chan *group
	memory   *semaphore.Weighted

	// The rest belongs to the write goroutine.
	heads   *heads
	recents *recents
	group   *group
	next    uint64
	created int64
	key     []byte
	place   []byte
}

// group is the work between two syncs.
type group struct {
	batch *pebble.Batch
	// index has the keys of the stream index, which follow the records into the
	// batch: in one piece and in order they cost Pebble half as much as in between.
	index   []indexEntry
	end     uint64
	last    uint64
	created int64
	answers []answer
}

// indexEntry says where a revision of a stream stands.
type indexEntry struct{ stream, revision, position uint64 }

func (e indexEntry) compare(other indexEntry) int {
	return cmp.Or(cmp.Compare(e.stream, other.stream), cmp.Compare(e.revision, other.revision))
}

type answer struct {
	request *request
	result  result
}

func newWriter(log *eventLog, disk *freezer, space space, now func() time.Time) (*writer, error) {
	h := log.durable.Load()
	heads, err := newHeads(log)
	if err != nil {
		return nil, err
	}
	w := &writer{
		log:      log,
		disk:     disk,
		space:    space,
		now:      now,
		requests: make(chan *request, maxQueued),
		unsynced: make(chan *group, maxUnsynced),
		memory:   semaphore.NewWeighted(maxQueuedBytes),
		heads:    heads,
		recents:  newRecents(maxRecents),
		group:    &group{},
		next:     h.end,
		created:  h.created,
	}
	return w, w.recall(h.end)
}

// recall fills the memory of recent event ids from the end of the log.
func (w *writer) recall(end uint64) error {
	type seen struct {
		id     [16]byte
		stream string
		rev    int64
	}
	var tail []seen
	floor := uint64(0)
	if end > maxRecentBytes {
		floor = end - maxRecentBytes
	}
	err := w.log.backwards(end, func(r record) (bool, error) {
		tail = append(tail, seen{r.id, string(r.stream), int64(r.revision)}) //nolint:gosec // at most tombstoneRevision
		return len(tail) < maxRecents && r.position > floor, nil
	})
	var integrity *IntegrityError
	if errors.As(err, &integrity) {
		// A damaged record is reported to whoever reads it. Here it only
		// means that older ids are not recognised.
		err = nil
	}
	if err != nil {
		return fmt.Errorf("reading recent event ids: %w", err)
	}
	ids := make(map[string]uint64)
	for _, s := range slices.Backward(tail) {
		id, ok := ids[s.stream]
		if !ok {
			if id, _, err = w.log.streamID(s.stream); err != nil {
				return fmt.Errorf("reading recent event ids: %w", err)
			}
			ids[s.stream] = id
		}
		w.recents.add(s.id, id, s.rev)
	}
	return nil
}

// submit queues a request; its done is called unless submit fails. Requests of
// one goroutine are decided in the order in which it submits them.
func (w *writer) submit(ctx context.Context, r *request) error {
	weight := int64(max(r.stored, 1))
	if err := w.memory.Acquire(ctx, weight); err != nil {
		return err
	}
	done := r.done
	r.done = func(res result) {
		w.memory.Release(weight)
		done(res)
	}
	select {
	case w.requests <- r:
		return nil
	case <-ctx.Done():
		w.memory.Release(weight)
		return ctx.Err()
	}
}

// do submits a request and waits for the answer. If ctx ends first, the
// request may or may not be written.
func (w *writer) do(ctx context.Context, r *request) (result, error) {
	answered := make(chan result, 1)
	r.done = func(res result) { answered <- res }
	if err := w.submit(ctx, r); err != nil {
		return result{}, err
	}
	select {
	case res := <-answered:
		return res, res.err
	case <-ctx.Done():
		return result{}, ctx.Err()
	}
}

// write runs until requests is closed, then closes unsynced.
func (w *writer) write() {
	defer close(w.unsynced)
	for first := range w.requests {
		w.space.look()
		w.decide(first)
		for w.collect() {
		}
		w.apply()
	}
}

// collect takes one more request into the group if one is waiting and fits.
func (w *writer) collect() bool {
	g := w.group
	if len(g.answers) >= maxGroupRequests || (g.batch != nil && g.batch.Len() >= maxGroupBytes) {
		return false
	}
	select {
	case r, ok := <-w.requests:
		if ok {
			w.decide(r)
		}
		return ok
	default:
		return false
	}
}

func (w *writer) answer(r *request, res result) {
	w.group.answers = append(w.group.answers, answer{request: r, result: res})
}

func (w *writer) fail(r *request, err error) {
	w.answer(r, result{outcome: outcomeFailed, err: err})
}

// apply hands the group over to commit. After it, Pebble knows the group's records.
func (w *writer) apply() {
	g := w.group
	w.group = &group{}
	w.heads.applied()
	if g.batch != nil {
		w.addIndex(g)
		g.end, g.created = w.next, w.created
		if err := w.log.db.ApplyNoSyncWait(g.batch, pebble.Sync); err != nil {
			w.disk.freeze("applying to", "log", err)
		}
	}
	if g.batch != nil || len(g.answers) > 0 {
		w.unsynced <- g
	}
}

func (w *writer) addIndex(g *group) {
	slices.SortFunc(g.index, indexEntry.compare)
	for _, e := range g.index {
		w.key = appendStreamKey(w.key[:0], e.stream, e.revision)
		setIndex(g.batch, w.key, e.position)
	}
}

// commit runs until unsynced is closed and empty.
func (w *writer) commit() {
	for g := range w.unsynced {
		err := w.sync(g)
		for _, a := range g.answers {
			if err != nil {
				a.result = result{outcome: outcomeFailed, err: err}
			}
			a.request.done(a.result)
		}
	}
}

// sync waits until the group is on disk. Once the disk has failed, nothing is
// acknowledged any more: not even that something was not written.
func (w *writer) sync(g *group) error {
	if g.batch != nil {
		err := errors.Join(g.batch.SyncWait(), g.batch.Close())
		if err != nil {
			w.disk.freeze("syncing", "log", err)
		}
	}
	if err := w.disk.err(); err != nil {
		return unavailable(fmt.Errorf("%w: %w", ErrClosed, err))
	}
	if g.batch != nil {
		w.log.publish(g.end, g.last, g.created)
	}
	return nil
}

// decide applies the version rules to one request and, if they allow, adds its
// records to the group.
func (w *writer) decide(r *request) {
	if !r.deadline.IsZero() && !w.now().Before(r.deadline) {
		w.answer(r, result{outcome: outcomeTimedOut})
		return
	}
	h, err := w.heads.get(r.stream)
	if err != nil {
		w.fail(r, err)
		return
	}
	switch r.kind {
	case kindAppend:
		err = w.decideAppend(r, h)
	case kindDelete:
		err = w.decideDelete(r, h)
	case kindTombstone:
		err = w.decideTombstone(r, h)
	}
	if err != nil {
		w.fail(r, err)
	}
}

func (w *writer) decideAppend(r *request, h *streamHead) error {
	d, err := w.check(r, h)
	if err != nil {
		return err
	}
	if d.verdict != verdictOK {
		w.answer(r, d.result(h))
		return nil
	}
	if len(r.events) == 0 {
		w.answer(r, result{current: h.last})
		return nil
	}
	if err := errors.Join(w.space.err, w.knowTarget(h)); err != nil {
		return err
	}
	w.tick()
	if h.softDeleted() {
		if err := w.undelete(h); err != nil {
			return err
		}
	}
	position := w.append(h, r.events)
	w.answer(r, result{current: h.last, position: position})
	return nil
}

// tick moves `created`, which never goes back, whatever the clock does.
func (w *writer) tick() { w.created = max(w.created, ticks(w.now())) }

// append adds the events to the group at the end of the stream and returns the
// position of the last one. It can't fail: whatever could has been done before.
func (w *writer) append(h *streamHead, events []proposal) (last uint64) {
	for i := range events {
		revision := h.last + 1
		last = w.put(h, &events[i], revision)
	}
	w.observe(h, events)
	return last
}

// put adds one record with its index entries.
func (w *writer) put(h *streamHead, p *proposal, revision int64) uint64 {
	g := w.group
	if g.batch == nil {
		g.batch = w.log.db.NewBatch()
	}
	position := w.next
	if h.id == 0 {
		// A stream's number is the position of its first record: unique, and
		// new streams go to the end of the index.
		h.id = position
		w.key = appendNameKey(w.key[:0], h.name)
		setIndex(g.batch, w.key, position)
	}
	w.place = appendPlace(w.place[:0], uint64(revision), position, w.created) //nolint:gosec // revisions start at 0
	w.key = appendEventKey(w.key[:0], position)
	length := crcLen + len(p.body) + len(w.place)
	op := g.batch.SetDeferred(len(w.key), length)
	copy(op.Key, w.key)
	putRecord(op.Value, p, w.place)
	mustFinish(op)
	g.index = append(g.index, indexEntry{stream: h.id, revision: uint64(revision), position: position}) //nolint:gosec // as above

	w.recents.add(p.id, h.id, revision)
	h.last = revision
	w.next = position + uint64(length)
	g.last = position
	return position
}

func setIndex(batch *pebble.Batch, key []byte, value uint64) {
	op := batch.SetDeferred(len(key), indexValueLen)
	copy(op.Key, key)
	binary.BigEndian.PutUint64(op.Value, value)
	mustFinish(op)
}

// mustFinish: Finish only fails on indexed batches, which we don't use.
func mustFinish(op *pebble.DeferredBatchOp) {
	if err := op.Finish(); err != nil {
		panic("embedded event store: finishing a batch entry: " + err.Error())
	}
}

// knowTarget makes sure that the writer knows the stream which is about to get
// new metadata. If it read it later, from an index that doesn't have the group
// yet, it would get the old ones.
func (w *writer) knowTarget(h *streamHead) error {
	target, ok := metastreamTarget(h.name)
	if !ok {
		return nil
	}
	_, err := w.heads.get(target)
	return err
}

// observe keeps the settings of the writer's streams in step with their metastreams.
func (w *writer) observe(h *streamHead, events []proposal) {
	target, ok := metastreamTarget(h.name)
	if !ok {
		return
	}
	for _, p := range slices.Backward(events) {
		if p.eventType == typeMetadata {
			w.heads.touched[target].meta = parseMeta(p.data)
			return
		}
	}
}
