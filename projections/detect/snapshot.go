package detect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
)

// A snapshot of a full memory is tens of megabytes and takes a good part of a second,
// in which nothing is judged.
const (
	saveEvents = 100_000          // so many events are reason enough for another one
	saveAtMost = 30 * time.Second // but not sooner than this
	saveAfter  = 5 * time.Minute  // for any events
)

// The bounds of a snapshot: packed, and unpacked.
const (
	maxPacked   = 256 << 20
	maxUnpacked = 1 << 30
)

// formatVersion is raised when the header changes its form.
const formatVersion = 1

// Shelf keeps one snapshot.
type Shelf interface {
	// Load returns what was saved last, nil if there is nothing.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces it, whole or not at all.
	Save(ctx context.Context, data []byte) error
}

// snapshot is what the rules remember and where they stand. It saves reading the log
// again and is right or useless: the event that it stands at tells whether it is of
// this log.
type snapshot struct {
	Version  int             `json:"version"`
	Rules    string          `json:"rules"` // hash of the set
	Position domain.Position `json:"position"`
	Event    string          `json:"event"` // id in the store of the event there

	engine   []byte
	recorded time.Time // when the event was
}

// saved is when the last snapshot was taken.
type saved struct {
	position domain.Position
	when     time.Time
	events   int // judged since
}

func (t *turn) due() bool {
	passed := t.detector.Now().Sub(t.saved.when)
	return t.saved.events > 0 && passed >= saveAfter || t.saved.events >= saveEvents && passed >= saveAtMost
}

// save takes a snapshot. One that fails costs time after the next start, and nothing
// else. Packing may take longer than a lease lasts that nobody renews any more: what
// another process has saved by then is newer.
func (t *turn) save(ctx context.Context) {
	if t.at.event == "" {
		return // an event that is not ours: the next one will do
	}
	d := t.detector
	t.saved = saved{position: t.at.position, when: d.Now()}
	packed, err := t.pack()
	if err == nil {
		err = t.put(ctx, packed)
	}
	if err != nil {
		d.metrics.unsaved.Inc()
		d.Log.WarnContext(ctx, "the snapshot of the rules was not saved", slog.Any("error", err))
		return
	}
	d.metrics.bytes.Set(float64(len(packed)))
}

func (t *turn) put(ctx context.Context, packed []byte) error {
	taken, err := t.detector.lease.Taken(ctx)
	if err != nil {
		return err
	}
	if taken {
		return errors.New("another process judges")
	}
	return t.detector.Shelf.Save(ctx, packed)
}

func (t *turn) pack() ([]byte, error) {
	engine, err := t.engine.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("taking a snapshot of the rules: %w", err)
	}
	header, err := json.Marshal(snapshot{Version: formatVersion, Rules: t.detector.Rules.Hash(), Position: t.at.position, Event: t.at.event}, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encoding the head of a snapshot: %w", err)
	}
	var out bytes.Buffer
	encoder, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("packing a snapshot: %w", err)
	}
	_, err = encoder.Write(append(header, '\n'))
	_, engineErr := encoder.Write(engine)
	if err := errors.Join(err, engineErr, encoder.Close()); err != nil {
		return nil, fmt.Errorf("packing a snapshot: %w", err)
	}
	if out.Len() > maxPacked {
		return nil, fmt.Errorf("a snapshot of %d bytes is too large", out.Len())
	}
	return out.Bytes(), nil
}

func unpack(packed []byte) (*snapshot, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked))
	if err != nil {
		return nil, fmt.Errorf("unpacking a snapshot: %w", err)
	}
	defer decoder.Close()
	text, err := decoder.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("unpacking a snapshot: %w", err)
	}
	header, engine, _ := bytes.Cut(text, []byte("\n"))
	var s snapshot
	if err := json.Unmarshal(header, &s); err != nil {
		return nil, fmt.Errorf("reading the head of a snapshot: %w", err)
	}
	if s.Version != formatVersion {
		return nil, fmt.Errorf("a snapshot of version %d", s.Version)
	}
	s.engine = engine
	return &s, nil
}

// snapshot loads the latest snapshot of this log, nil if there is none.
func (d *Detector) snapshot(ctx context.Context) (*snapshot, error) {
	packed, err := d.Shelf.Load(ctx)
	if err != nil || packed == nil {
		return nil, err
	}
	s, err := unpack(packed)
	if err != nil {
		d.Log.WarnContext(ctx, "the snapshot of the rules is unreadable", slog.Any("error", err))
		return nil, nil // as good as none
	}
	record, err := d.Store.At(ctx, s.Position)
	refused, ok := errors.AsType[*domain.Error](err)
	switch {
	case ok && (refused.Class == domain.ClassNotFound || refused.Code == eventstore.CodeUnclassified):
		// Of a log that was cut, a server refuses a position where nothing begins
		// without saying more.
	case err != nil:
		return nil, fmt.Errorf("looking for the event of a snapshot: %w", err)
	case record.ID.String() == s.Event:
		s.recorded = record.Created
		return s, nil
	}
	d.Log.WarnContext(ctx, "the snapshot of the rules is of another log", slog.String("position", s.Position.String()))
	return nil, nil
}
