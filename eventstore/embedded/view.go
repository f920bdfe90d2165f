package embedded

import "time"

type streamState int

const (
	streamMissing streamState = iota // never written, or soft deleted
	streamVisible
	streamTombstoned
)

// view is what a reader may see of a stream at one moment.
type view struct {
	state streamState
	id    uint64
	first uint64 // earlier revisions are truncated
	last  uint64
	// oldest is the least `created` that $maxAge lets through.
	oldest int64
}

func (v *view) expired(r *record) bool { return r.created < v.oldest }

// tombstoned says whether a stream has ended before the log position `end`.
func (l *eventLog) tombstoned(name string, end uint64) (bool, error) {
	id, ok, err := l.streamID(name)
	if err != nil || !ok || id >= end {
		return false, err
	}
	position, ok, err := l.revision(id, tombstoneRevision)
	return ok && position < end, err
}

// view looks a stream up as of the log position `end`.
func (l *eventLog) view(name string, end uint64, now time.Time) (view, error) {
	id, ok, err := l.streamID(name)
	if err != nil || !ok || id >= end {
		return view{}, err
	}
	last, err := l.lastRevision(id, end)
	if err != nil || last < 0 {
		return view{}, err
	}
	if last == tombstoneRevision {
		return view{state: streamTombstoned, id: id}, nil
	}
	if target, ok := metastreamTarget(name); ok {
		described, err := l.tombstoned(target, end)
		if err != nil || described {
			return view{state: streamTombstoned, id: id}, err
		}
	}
	meta, err := l.streamMeta(name, end)
	if err != nil || meta.truncateBefore == tombstoneRevision {
		return view{}, err
	}
	first := meta.truncateBefore
	if meta.maxCount > 0 {
		first = max(first, last-meta.maxCount+1)
	}
	v := view{state: streamVisible, id: id, first: uint64(first), last: uint64(last)} //nolint:gosec // not negative
	if meta.maxAge > 0 {
		v.oldest = ticks(now.Add(-meta.maxAge))
	}
	return v, nil
}
