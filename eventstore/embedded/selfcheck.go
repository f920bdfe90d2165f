package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// checkEvery is how many keys a check looks at between two looks at its context.
const checkEvery = 1024

var (
	errGap     = errors.New("there is a gap before it")
	errUnnamed = errors.New("its stream is not in the index")
	errIndex   = errors.New("the index of its stream says otherwise")
	errTime    = errors.New("it is older than the record before")
)

// selfCheck reads the whole log and compares it with its index: every checksum,
// positions and revisions without gaps, one index entry per record and none
// besides. Nobody may write meanwhile. It returns the number of events.
func (l *eventLog) selfCheck(ctx context.Context) (events uint64, err error) {
	if err := l.checkKeys(); err != nil {
		return 0, err
	}
	if events, err = l.checkRecords(ctx); err != nil {
		return 0, err
	}
	indexed, streams, err := l.checkStreams(ctx)
	if err != nil {
		return 0, err
	}
	if indexed != events {
		return 0, &IntegrityError{Err: fmt.Errorf("%d events, but %d in the index of the streams", events, indexed)}
	}
	names := uint64(0)
	err = l.eachKey(ctx, keyName, func(_, value []byte) error {
		names++
		if len(value) != indexValueLen {
			return &IntegrityError{Err: errors.New("unreadable index entry of a stream's name")}
		}
		return nil
	})
	if err == nil && names != streams {
		err = &IntegrityError{Err: fmt.Errorf("%d streams, but %d names", streams, names)}
	}
	return events, err
}

// checkKeys: nothing but what doc.go says is in the store.
func (l *eventLog) checkKeys() error {
	after := func(key byte) []byte { return []byte{key + 1} }
	for _, gap := range []pebble.IterOptions{
		{UpperBound: []byte{keyEvent}},
		{LowerBound: append(formatKey(), 0), UpperBound: after(keyFormat)},
		{LowerBound: after(keyFormat), UpperBound: []byte{keyName}},
		{LowerBound: after(keyName), UpperBound: []byte{keyStream}},
		{LowerBound: after(keyStream)},
	} {
		it, err := l.db.NewIter(&gap)
		if err != nil {
			return err
		}
		if it.First() {
			err = &IntegrityError{Err: fmt.Errorf("unknown key %x", it.Key())}
		}
		if err := errors.Join(err, it.Error(), it.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (l *eventLog) checkRecords(ctx context.Context) (events uint64, err error) {
	// Streams come back: most look-ups of a name are answered from memory.
	ids, err := simplelru.NewLRU[string, uint64](maxHeads, nil)
	if err != nil {
		return 0, err
	}
	next, created := firstPosition, int64(0)
	err = l.forwards(0, everything, func(r record) (bool, error) {
		if events++; events%checkEvery == 0 && ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		wrong := func(err error) (bool, error) { return false, &IntegrityError{Position: r.position, Err: err} }
		if r.position != next {
			return wrong(errGap)
		}
		if r.created < created {
			return wrong(errTime)
		}
		next, created = r.position+uint64(crcLen+len(r.encoded)), r.created
		id, known := ids.Get(string(r.stream))
		if !known {
			if id, known, err = l.streamID(string(r.stream)); err != nil {
				return false, err
			}
			if !known {
				return wrong(errUnnamed)
			}
			ids.Add(string(r.stream), id)
		}
		position, ok, err := l.revision(id, r.revision)
		if err != nil {
			return false, err
		}
		if !ok || position != r.position {
			return wrong(errIndex)
		}
		return true, nil
	})
	if err == nil && next != l.durable.Load().end {
		err = &IntegrityError{Err: fmt.Errorf("the log ends at %d instead of %d", next, l.durable.Load().end)}
	}
	return events, err
}

// checkStreams walks the index: each stream begins at the position that is its
// number, with revision 0 (or its tombstone), and goes on without a gap.
func (l *eventLog) checkStreams(ctx context.Context) (entries, streams uint64, err error) {
	var stream, revision, position uint64
	err = l.eachKey(ctx, keyStream, func(key, value []byte) error {
		if len(key) != 17 || len(value) != indexValueLen {
			return &IntegrityError{Err: fmt.Errorf("unreadable index entry %x", key)}
		}
		id, r, p := binary.BigEndian.Uint64(key[1:9]), binary.BigEndian.Uint64(key[9:]), binary.BigEndian.Uint64(value)
		first := entries == 0 || id != stream
		follows := p > position && r == revision+1
		if first {
			streams++
			follows = p == id && r == 0
		}
		if !follows && (r != tombstoneRevision || first && p != id || !first && p <= position) {
			return &IntegrityError{Position: p, Err: errIndex}
		}
		entries++
		stream, revision, position = id, r, p
		return nil
	})
	return entries, streams, err
}

// countEvents counts by the index, which is much smaller than the log.
func (l *eventLog) countEvents(ctx context.Context) (events uint64, err error) {
	err = l.eachKey(ctx, keyStream, func(_, _ []byte) error { events++; return nil })
	return events, err
}

// eachKey visits every key of a kind.
func (l *eventLog) eachKey(ctx context.Context, kind byte, visit func(key, value []byte) error) error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return err
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n%checkEvery == 0 && ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), it.Close())
		}
		value, err := it.ValueAndErr()
		if err == nil {
			err = visit(it.Key(), value)
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}
