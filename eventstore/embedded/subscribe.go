package embedded

import (
	"errors"
	"fmt"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
)

// source is a place in the log from which a subscription reads on. A source
// belongs to one subscription.
type source interface {
	// next reads a chunk of what follows, before the log position `end`; more
	// says that the chunk filled up before end was reached.
	next(end uint64, live bool) (c *chunk, more bool, err error)
	// beforeLive is what the client gets just before it is told to be live.
	beforeLive(h *head) *chunk
	// caughtUp describes where the source stands when it becomes live.
	caughtUp(h *head) []byte
}

// follow is a subscription: it reads the log until the durable head and then
// waits for the head to move. It holds no buffer of its own: a slow client
// simply stays further behind, and never misses anything.
func (s *streamsServer) follow(src source, stream streams.Streams_ReadServer) error {
	confirmation := &streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()},
	}}
	if err := stream.Send(confirmation); err != nil {
		return err
	}
	send := func(f frame) error { return stream.SendMsg(f) }
	live := false
	for {
		h := s.node.log.durable.Load()
		for more := true; more; {
			c, rest, err := src.next(h.end, live)
			if c != nil {
				if err := c.all(send); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
			more = rest
			// More than a chunk behind is behind: it will be told when it has caught up again.
			live = live && !more
			if err := s.interrupted(stream); err != nil {
				return err
			}
		}
		if !live {
			live = true
			if c := src.beforeLive(h); c != nil {
				if err := c.all(send); err != nil {
					return err
				}
			}
			if err := stream.Send(s.caughtUp(src, h)); err != nil {
				return err
			}
		}
		select {
		case <-h.changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.node.stopping:
			return s.stopped()
		}
	}
}

func (s *streamsServer) interrupted(stream streams.Streams_ReadServer) error {
	select {
	case <-stream.Context().Done():
		return stream.Context().Err()
	case <-s.node.stopping:
		return s.stopped()
	default:
		return nil
	}
}

func (s *streamsServer) stopped() error {
	return fmt.Errorf("following the log: %w", ErrClosed)
}

// caughtUp carries when and where, which newer servers tell and newer clients
// need. The protocol of our client has no such fields and skips them.
func (s *streamsServer) caughtUp(src source, h *head) *streams.ReadResp {
	message := &streams.ReadResp_CaughtUp{}
	message.ProtoReflect().SetUnknown(append(timestampField(s.node.opts.Now()), src.caughtUp(h)...))
	return &streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: message}}
}

// Fields of CaughtUp in the protocol of newer servers.
const (
	fieldCaughtUpTimestamp protowire.Number = 1
	fieldCaughtUpRevision  protowire.Number = 2
	fieldCaughtUpPosition  protowire.Number = 3
)

func timestampField(t time.Time) []byte {
	inner := protowire.AppendTag(nil, 1, protowire.VarintType)
	inner = protowire.AppendVarint(inner, uint64(t.Unix())) //nolint:gosec // int64 on the wire
	inner = protowire.AppendTag(inner, 2, protowire.VarintType)
	inner = protowire.AppendVarint(inner, uint64(t.Nanosecond())) //nolint:gosec // not negative
	return protowire.AppendBytes(protowire.AppendTag(nil, fieldCaughtUpTimestamp, protowire.BytesType), inner)
}

// allSource reads $all.
type allSource struct {
	server *streamsServer
	opts   readOptions
	from   uint64 // inclusive
	// considered counts the records since the last checkpoint.
	considered uint64
	last       uint64 // position of the last record considered, or where the client began
	room       int    // bytes of the chunk before
}

func (s *streamsServer) subscribeAll(from *streams.ReadReq_Options_AllOptions, opts readOptions, stream streams.Streams_ReadServer) error {
	src := &allSource{server: s, opts: opts}
	h := s.node.log.durable.Load()
	switch p := from.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Start:
	case *streams.ReadReq_Options_AllOptions_End:
		src.from, src.last = h.end, h.last
	case *streams.ReadReq_Options_AllOptions_Position:
		position, err := s.node.log.boundary(p.Position, h.end, codes.InvalidArgument)
		if err != nil {
			return err
		}
		switch {
		case position == 0:
		case position == p.Position.GetCommitPosition() && position == h.end:
			// The end is no record's place yet, and the record it will be of
			// would be skipped.
			return invalidPosition(codes.InvalidArgument)
		case position == h.end:
			src.from, src.last = h.end, h.last
		default:
			src.from, src.last = position+1, position
		}
	default:
		return badRequest("subscribing to $all needs a position, start or end")
	}
	return s.follow(src, stream)
}

func (a *allSource) next(end uint64, _ bool) (c *chunk, more bool, err error) {
	c = newChunk(everything, a.room)
	defer func() { a.room = len(c.bytes) }()
	err = a.server.node.log.forwards(a.from, end, func(r record) (bool, error) {
		c.considered++
		if a.opts.filter.match(&r) {
			if err := a.server.add(c, &r, end, &a.opts); err != nil {
				return false, err
			}
		}
		a.last = r.position
		a.from = r.position + 1
		if a.opts.filter != nil {
			if a.considered++; a.considered >= a.opts.filter.checkpointEvery {
				a.considered = 0
				c.checkpoint(r.position)
			}
		}
		more = c.full()
		return !more, nil
	})
	return c, more, err
}

func (a *allSource) beforeLive(*head) *chunk {
	if a.opts.filter == nil || a.last == 0 {
		return nil
	}
	a.considered = 0
	c := &chunk{}
	c.checkpoint(a.last)
	return c
}

func (a *allSource) caughtUp(*head) []byte {
	inner := protowire.AppendTag(nil, 1, protowire.VarintType)
	inner = protowire.AppendVarint(inner, a.last)
	inner = protowire.AppendTag(inner, 2, protowire.VarintType)
	inner = protowire.AppendVarint(inner, a.last)
	return protowire.AppendBytes(protowire.AppendTag(nil, fieldCaughtUpPosition, protowire.BytesType), inner)
}

// streamSource reads one stream, which need not exist yet.
type streamSource struct {
	server *streamsServer
	name   string
	opts   readOptions
	from   uint64 // next revision
}

func (s *streamsServer) subscribeStream(name string, from *streams.ReadReq_Options_StreamOptions, opts readOptions, stream streams.Streams_ReadServer) error {
	src := &streamSource{server: s, name: name, opts: opts}
	switch p := from.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Start:
	case *streams.ReadReq_Options_StreamOptions_End:
		end := s.node.log.durable.Load().end
		id, ok, err := s.node.log.streamID(name)
		if err != nil {
			return err
		}
		if ok {
			last, err := s.node.log.lastRevision(id, end)
			if err != nil {
				return err
			}
			src.from = uint64(last + 1) //nolint:gosec // not negative
		}
	case *streams.ReadReq_Options_StreamOptions_Revision:
		if p.Revision >= tombstoneRevision {
			return badRequest("revision %d is beyond every stream's end", p.Revision)
		}
		src.from = p.Revision + 1
	default:
		return badRequest("subscribing to a stream needs a revision, start or end")
	}
	return s.follow(src, stream)
}

var errStreamEnded = errors.New("stream has ended")

func (t *streamSource) next(end uint64, live bool) (c *chunk, more bool, err error) {
	log := t.server.node.log
	id, ok, err := log.streamID(t.name)
	if err != nil || !ok || id >= end {
		return nil, false, err
	}
	var v view
	if !live {
		// What is truncated is skipped while catching up. A live client gets
		// every event, also those which the next one makes obsolete.
		if v, err = log.view(t.name, end, t.server.node.opts.Now()); err != nil {
			return nil, false, err
		}
		switch v.state {
		case streamTombstoned:
			return nil, false, streamDeleted(t.name)
		case streamMissing:
			return nil, false, t.skip(id, end)
		case streamVisible:
			t.from = max(t.from, v.first)
		}
	}
	c = &chunk{limit: everything}
	err = log.walkStream(id, t.from, tombstoneRevision, end, false, func(r record) (bool, error) {
		if r.revision == tombstoneRevision {
			return false, errStreamEnded
		}
		c.considered++
		if !v.expired(&r) {
			if err := t.server.add(c, &r, end, &t.opts); err != nil {
				return false, err
			}
		}
		t.from = r.revision + 1
		more = c.full()
		return !more, nil
	})
	if errors.Is(err, errStreamEnded) {
		err = streamDeleted(t.name)
	}
	return c, more, err
}

// skip moves behind the events of a soft deleted stream.
func (t *streamSource) skip(id, end uint64) error {
	last, err := t.server.node.log.lastRevision(id, end)
	if err == nil {
		t.from = max(t.from, uint64(last+1)) //nolint:gosec // not negative
	}
	return err
}

func (t *streamSource) beforeLive(*head) *chunk { return nil }

func (t *streamSource) caughtUp(*head) []byte {
	// -1, in ten bytes, is the revision of a stream without events.
	return protowire.AppendVarint(protowire.AppendTag(nil, fieldCaughtUpRevision, protowire.VarintType), t.from-1)
}
