package embedded

import (
	"fmt"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

type verdict int

const (
	verdictOK verdict = iota
	verdictIdempotent
	verdictWrongVersion
	verdictDeleted
)

// decision is what the version rules say about an append.
type decision struct {
	verdict verdict
	// With verdictIdempotent: where the request's last event already stands.
	revision int64
	position uint64
}

func (d decision) result(h *streamHead) result {
	switch d.verdict {
	case verdictIdempotent:
		return result{outcome: outcomeCommitted, current: d.revision, position: d.position}
	case verdictDeleted:
		return result{outcome: outcomeStreamDeleted, current: h.last}
	case verdictOK, verdictWrongVersion:
	}
	return result{outcome: outcomeWrongVersion, current: h.last}
}

// check is EventStoreDB's rule book. It recognises a repeated request exactly
// when a revision (or NoStream) was given, by reading the log; and as far as
// memory reaches with Any and StreamExists. It is not stricter than the
// original: at the right revision, an id may be used again.
func (w *writer) check(r *request, h *streamHead) (decision, error) {
	ended, err := w.ended(h)
	if err != nil {
		return decision{}, err
	}
	if ended {
		return decision{verdict: verdictDeleted}, nil
	}
	expected := int64(r.expected)
	switch {
	case r.expected == wire.StreamExists:
		d, err := w.checkExists(h)
		if err != nil || d.verdict != verdictOK {
			return d, err
		}
		return w.checkRecent(r, h)
	case r.expected == wire.Any:
		return w.checkRecent(r, h)
	case expected < h.last:
		return w.checkRepeated(r, h)
	case expected > h.last:
		return decision{verdict: verdictWrongVersion}, nil
	}
	return decision{}, nil
}

// ended: a tombstone ends its stream and that stream's metadata.
func (w *writer) ended(h *streamHead) (bool, error) {
	target, ok := metastreamTarget(h.name)
	if !ok {
		return h.tombstoned(), nil
	}
	described, err := w.heads.get(target)
	if err != nil {
		return false, err
	}
	return described.tombstoned(), nil
}

func (w *writer) checkExists(h *streamHead) (decision, error) {
	if h.softDeleted() {
		return decision{verdict: verdictDeleted}, nil
	}
	if h.last >= 0 {
		return decision{}, nil
	}
	// Metadata alone makes a stream exist.
	meta, err := w.heads.get(metastreamOf(h.name))
	if err != nil {
		return decision{}, err
	}
	if meta.last < 0 {
		return decision{verdict: verdictWrongVersion}, nil
	}
	return decision{}, nil
}

// checkRecent: known as a whole means repeated, unknown from the first on
// means new, anything between is a request that was never made like this.
func (w *writer) checkRecent(r *request, h *streamHead) (decision, error) {
	last := int64(-1)
	for i := range r.events {
		revision, ok := w.recents.find(r.events[i].id, h.id)
		switch {
		case ok:
			last = revision
		case i == 0:
			return decision{}, nil
		default:
			return decision{verdict: verdictWrongVersion}, nil
		}
	}
	if last < 0 {
		return decision{}, nil
	}
	return w.repeated(h, last)
}

// checkRepeated: event i must stand at expected+1+i.
func (w *writer) checkRepeated(r *request, h *streamHead) (decision, error) {
	if len(r.events) == 0 {
		return decision{verdict: verdictWrongVersion}, nil
	}
	for i := range r.events {
		revision := int64(r.expected) + 1 + int64(i)
		same, err := w.stands(h, revision, &r.events[i])
		if err != nil {
			return decision{}, err
		}
		if same {
			continue
		}
		if i == 0 && r.expected == wire.NoStream && h.softDeleted() {
			return decision{}, nil
		}
		return decision{verdict: verdictWrongVersion}, nil
	}
	return w.repeated(h, int64(r.expected)+int64(len(r.events)))
}

// stands says whether the stream has this event at this revision.
func (w *writer) stands(h *streamHead, revision int64, p *proposal) (bool, error) {
	if revision > h.last {
		return false, nil
	}
	if at, ok := w.recents.find(p.id, h.id); ok && at == revision {
		return true, nil
	}
	position, err := w.locate(h, revision)
	if err != nil {
		return false, err
	}
	same := false
	err = w.log.at(position, func(rec record) error {
		same = rec.id == p.id
		return nil
	})
	return same, err
}

func (w *writer) repeated(h *streamHead, last int64) (decision, error) {
	position, err := w.locate(h, last)
	if err != nil {
		return decision{}, err
	}
	return decision{verdict: verdictIdempotent, revision: last, position: position}, nil
}

// locate finds a record the writer knows to exist. The group in the making is
// applied first: until then the index doesn't have its records.
func (w *writer) locate(h *streamHead, revision int64) (uint64, error) {
	w.apply()
	w.heads.touched[h.name] = h
	position, ok, err := w.log.revision(h.id, uint64(revision)) //nolint:gosec // not negative
	if err == nil && !ok {
		err = &IntegrityError{Err: fmt.Errorf("stream %q has no revision %d in the index", h.name, revision)}
	}
	return position, err
}
