package embedded

import (
	"bytes"
	"math"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
)

// A chunk is read at once and then sent, with no iterator open while the
// client takes its time. These bound what waits in memory per reader, and how
// long one step of a search lasts.
const (
	maxChunkEvents     = 256
	maxChunkBytes      = 256 << 10
	maxChunkConsidered = 4096
)

// readOptions are what all forms of reading share.
type readOptions struct {
	backwards    bool
	resolveLinks bool
	stringID     bool
	filter       *filter
}

// Read implements Streams.Read: pages and subscriptions, of one stream or of all.
func (s *streamsServer) Read(req *streams.ReadReq, stream streams.Streams_ReadServer) error {
	return fail(stream, s.read(req.GetOptions(), stream))
}

func (s *streamsServer) read(o *streams.ReadReq_Options, stream streams.Streams_ReadServer) error {
	_, subscription := o.GetCountOption().(*streams.ReadReq_Options_Subscription)
	opts, err := parseReadOptions(o, subscription)
	if err != nil {
		return err
	}
	switch from := o.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		if opts.filter != nil {
			return badRequest("a stream can't be filtered")
		}
		name, err := streamName(from.Stream.GetStreamIdentifier())
		if err != nil {
			return err
		}
		if subscription {
			return s.subscribeStream(name, from.Stream, opts, stream)
		}
		return s.readStream(name, from.Stream, o.GetCount(), opts, stream)
	case *streams.ReadReq_Options_All:
		if subscription {
			return s.subscribeAll(from.All, opts, stream)
		}
		return s.readAll(from.All, o.GetCount(), opts, stream)
	default:
		return badRequest("read has neither a stream nor all")
	}
}

func parseReadOptions(o *streams.ReadReq_Options, subscription bool) (readOptions, error) {
	opts := readOptions{
		backwards:    o.GetReadDirection() == streams.ReadReq_Options_Backwards,
		resolveLinks: o.GetResolveLinks(),
	}
	if o.GetCountOption() == nil {
		return opts, badRequest("read has neither a count nor a subscription")
	}
	if subscription && opts.backwards {
		return opts, badRequest("a subscription can't go backwards")
	}
	switch o.GetUuidOption().GetContent().(type) {
	case *streams.ReadReq_Options_UUIDOption_Structured:
	case *streams.ReadReq_Options_UUIDOption_String_:
		opts.stringID = true
	default:
		return opts, badRequest("read does not say how to write UUIDs")
	}
	var err error
	opts.filter, err = parseFilter(o, subscription)
	return opts, err
}

// chunk collects answers until it is full.
type chunk struct {
	frames
	considered int
	limit      uint64 // events still wanted
	taken      uint64
}

// newChunk has room for as many bytes as the chunk before it took: a reader that is
// behind gets one full chunk after another.
func newChunk(limit uint64, room int) *chunk {
	c := &chunk{limit: limit}
	if room > 0 {
		c.bytes = make([]byte, 0, min(room+room/8, maxChunkBytes+maxChunkBytes/8))
	}
	return c
}

func (c *chunk) full() bool {
	return c.taken >= c.limit || c.len() >= maxChunkEvents || len(c.bytes) >= maxChunkBytes || c.considered >= maxChunkConsidered
}

// add puts a record into the chunk, following it if it is a link and that was asked for.
func (s *streamsServer) add(c *chunk, r *record, end uint64, opts *readOptions) error {
	c.taken++
	if !opts.resolveLinks || string(r.eventType) != typeLink {
		c.event(r, nil, opts.stringID)
		return nil
	}
	found, err := s.resolve(r, end, func(target record) { c.event(&target, r, opts.stringID) })
	if err != nil {
		return err
	}
	if !found {
		c.event(nil, r, opts.stringID)
	}
	return nil
}

// resolve visits the event which a link points at, unless it is gone.
func (s *streamsServer) resolve(link *record, end uint64, visit func(record)) (found bool, err error) {
	number, name, ok := bytes.Cut(link.data, []byte("@"))
	revision, err := strconv.ParseUint(string(number), 10, 63)
	if !ok || err != nil {
		return false, nil //nolint:nilerr // a link that can't be read is a broken link
	}
	v, err := s.node.log.view(string(name), end, s.node.opts.Now())
	if err != nil || v.state != streamVisible || revision < v.first {
		return false, err
	}
	err = s.node.log.walkStream(v.id, revision, revision, end, false, func(r record) (bool, error) {
		if found = !v.expired(&r); found {
			visit(r)
		}
		return false, nil
	})
	return found, err
}

func (s *streamsServer) readAll(from *streams.ReadReq_Options_AllOptions, count uint64, opts readOptions, stream streams.Streams_ReadServer) error {
	log := s.node.log
	end := log.durable.Load().end
	position, err := log.readPosition(from, end)
	if err != nil {
		return err
	}
	room := 0
	for count > 0 {
		c := newChunk(count, room)
		more := false
		visit := func(r record) (bool, error) {
			c.considered++
			if opts.filter.match(&r) {
				if err := s.add(c, &r, end, &opts); err != nil {
					return false, err
				}
			}
			position = r.position
			if !opts.backwards {
				position++
			}
			more = c.full()
			return !more, nil
		}
		if opts.backwards {
			err = log.backwards(position, visit)
		} else {
			err = log.forwards(position, end, visit)
		}
		// Before an error, the client gets what was good.
		if err := c.all(func(f frame) error { return stream.SendMsg(f) }); err != nil {
			return err
		}
		if err != nil || !more {
			return err
		}
		room = len(c.bytes)
		count -= c.taken
	}
	return nil
}

// readPosition is where a read of $all begins: inclusive forwards, exclusive backwards.
func (l *eventLog) readPosition(from *streams.ReadReq_Options_AllOptions, end uint64) (uint64, error) {
	switch p := from.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Start:
		return 0, nil
	case *streams.ReadReq_Options_AllOptions_End:
		return end, nil
	case *streams.ReadReq_Options_AllOptions_Position:
		return l.boundary(p.Position, end, codes.Unknown)
	default:
		return 0, badRequest("reading $all needs a position, start or end")
	}
}

// boundary checks a position that a client gives. It is 0, the end, or the
// place of a record: anything else was never given out by this log.
func (l *eventLog) boundary(p *streams.ReadReq_Options_Position, end uint64, code codes.Code) (uint64, error) {
	position := p.GetCommitPosition()
	if position != p.GetPreparePosition() {
		return 0, invalidPosition(code)
	}
	switch {
	case position == 0:
		return 0, nil
	case position == math.MaxUint64, position == end:
		return end, nil
	case position > end:
		return 0, invalidPosition(code)
	}
	ok, err := l.isBoundary(position)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, invalidPosition(code)
	}
	return position, nil
}

func (s *streamsServer) readStream(name string, from *streams.ReadReq_Options_StreamOptions, count uint64, opts readOptions, stream streams.Streams_ReadServer) error {
	log := s.node.log
	end := log.durable.Load().end
	v, err := log.view(name, end, s.node.opts.Now())
	if err != nil {
		return err
	}
	switch v.state {
	case streamMissing:
		return stream.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(name)},
		}}})
	case streamTombstoned:
		return streamDeleted(name)
	case streamVisible:
	}
	low, high, err := revisionRange(from, v, opts.backwards)
	if err != nil {
		return err
	}
	for count > 0 && low <= high {
		c := &chunk{limit: count}
		more := false
		err := log.walkStream(v.id, low, high, end, opts.backwards, func(r record) (bool, error) {
			c.considered++
			if !v.expired(&r) {
				if err := s.add(c, &r, end, &opts); err != nil {
					return false, err
				}
			}
			if opts.backwards {
				more = r.revision > low
				high = r.revision - 1
			} else {
				more = r.revision < high
				low = r.revision + 1
			}
			return more && !c.full(), nil
		})
		if err := c.all(func(f frame) error { return stream.SendMsg(f) }); err != nil {
			return err
		}
		if err != nil || !more {
			return err
		}
		count -= c.taken
	}
	return nil
}

// revisionRange is what a read covers, both ends included; empty if low > high.
func revisionRange(from *streams.ReadReq_Options_StreamOptions, v view, backwards bool) (low, high uint64, err error) {
	low, high = v.first, v.last
	switch p := from.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Start:
		if backwards {
			high = 0
		}
	case *streams.ReadReq_Options_StreamOptions_End:
		if !backwards {
			low = v.last + 1
		}
	case *streams.ReadReq_Options_StreamOptions_Revision:
		if backwards {
			high = min(high, p.Revision)
		} else {
			low = max(low, p.Revision)
		}
	default:
		err = badRequest("reading a stream needs a revision, start or end")
	}
	return low, high, err
}
