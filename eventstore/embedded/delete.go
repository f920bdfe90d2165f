package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

// Delete implements Streams.Delete: the stream disappears for readers, and
// continues with the next revision if it is written to again.
func (s *streamsServer) Delete(ctx context.Context, req *streams.DeleteReq) (*streams.DeleteResp, error) {
	options := req.GetOptions()
	r := &request{kind: kindDelete, expected: wire.Any}
	switch e := options.GetExpectedStreamRevision().(type) {
	case *streams.DeleteReq_Options_Revision:
		r.expected = wire.ExpectRevision(e.Revision)
	case *streams.DeleteReq_Options_NoStream:
		r.expected = wire.NoStream
	case *streams.DeleteReq_Options_Any:
	case *streams.DeleteReq_Options_StreamExists:
		r.expected = wire.StreamExists
	default:
		return nil, badRequest("delete has no expected revision")
	}
	position, err := s.remove(ctx, options.GetStreamIdentifier(), r)
	if err != nil {
		return nil, err
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{
		Position: &streams.DeleteResp_Position{CommitPosition: position, PreparePosition: position},
	}}, nil
}

// Tombstone implements Streams.Tombstone: the stream ends for ever.
func (s *streamsServer) Tombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	options := req.GetOptions()
	r := &request{kind: kindTombstone, expected: wire.Any}
	switch e := options.GetExpectedStreamRevision().(type) {
	case *streams.TombstoneReq_Options_Revision:
		r.expected = wire.ExpectRevision(e.Revision)
	case *streams.TombstoneReq_Options_NoStream:
		r.expected = wire.NoStream
	case *streams.TombstoneReq_Options_Any:
	case *streams.TombstoneReq_Options_StreamExists:
		r.expected = wire.StreamExists
	default:
		return nil, badRequest("tombstone has no expected revision")
	}
	position, err := s.remove(ctx, options.GetStreamIdentifier(), r)
	if err != nil {
		return nil, err
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{
		Position: &streams.TombstoneResp_Position{CommitPosition: position, PreparePosition: position},
	}}, nil
}

// remove has the writer carry out a delete or tombstone, and gives the
// position of the record that did it.
func (s *streamsServer) remove(ctx context.Context, identifier *shared.StreamIdentifier, r *request) (uint64, error) {
	position, err := s.tryRemove(ctx, identifier, r)
	return position, failCall(ctx, err)
}

func (s *streamsServer) tryRemove(ctx context.Context, identifier *shared.StreamIdentifier, r *request) (uint64, error) {
	var err error
	if r.stream, err = writableStream(string(identifier.GetStreamName())); err != nil {
		return 0, err
	}
	if _, ok := metastreamTarget(r.stream); ok {
		return 0, badRequest("metadata stream %q can't be deleted", r.stream)
	}
	res, err := s.node.writer.do(ctx, r)
	if err != nil {
		return 0, err
	}
	switch res.outcome {
	case outcomeWrongVersion:
		return 0, wrongVersion(r.stream, r.expected, res.current)
	case outcomeCommitted:
		return res.position, nil
	default:
		return 0, res.failure(r)
	}
}

// decideDelete hides the stream by truncating everything before a revision
// that it will never reach.
func (w *writer) decideDelete(r *request, h *streamHead) error {
	marker := metadataEvent(h.name, fmt.Appendf(nil, `{"$tb":%d}`, int64(tombstoneRevision)))
	d, err := w.checkRemoval(r, h, marker)
	if err != nil {
		return err
	}
	if d.verdict == verdictOK && h.last < 0 {
		d.verdict = verdictWrongVersion
	}
	if d.verdict != verdictOK {
		w.answer(r, d.result(h))
		return nil
	}
	meta, err := w.heads.get(metastreamOf(h.name))
	if err := errors.Join(w.space.err, err); err != nil {
		return err
	}
	w.tick()
	w.answer(r, result{current: h.last, position: w.append(meta, []proposal{marker})})
	return nil
}

func (w *writer) decideTombstone(r *request, h *streamHead) error {
	marker := newProposal(nil, h.name, uuid.New(), typeStreamDeleted, true, nil, nil)
	d, err := w.checkRemoval(r, h, marker)
	if err != nil {
		return err
	}
	if d.verdict != verdictOK {
		w.answer(r, d.result(h))
		return nil
	}
	if w.space.err != nil {
		return w.space.err
	}
	w.tick()
	w.answer(r, result{current: h.last, position: w.put(h, &marker, tombstoneRevision)})
	return nil
}

// checkRemoval: the version rules of an append of the event which removes the stream.
func (w *writer) checkRemoval(r *request, h *streamHead, marker proposal) (decision, error) {
	return w.check(&request{kind: r.kind, stream: r.stream, expected: r.expected, events: []proposal{marker}}, h)
}

// undelete makes a soft deleted stream continue after its hidden events. What
// else its metadata say is kept. The new metadata are part of the append that
// brings the stream back: both are stored or none.
func (w *writer) undelete(h *streamHead) error {
	// The newest metadata may be in the group that is being built.
	w.apply()
	w.heads.touched[h.name] = h
	document, err := w.log.rawMeta(h.name, everything)
	if err != nil {
		return err
	}
	properties := make(map[string]json.RawMessage)
	if err := json.Unmarshal(document, &properties); err != nil {
		clear(properties)
	}
	properties["$tb"] = strconv.AppendInt(nil, h.last+1, 10)
	if document, err = json.Marshal(properties); err != nil {
		return fmt.Errorf("rewriting metadata of stream %q: %w", h.name, err)
	}
	meta, err := w.heads.get(metastreamOf(h.name))
	if err != nil {
		return err
	}
	w.append(meta, []proposal{metadataEvent(h.name, document)})
	return nil
}

func metadataEvent(stream string, document []byte) proposal {
	return newProposal(nil, metastreamOf(stream), uuid.New(), typeMetadata, true, document, nil)
}
