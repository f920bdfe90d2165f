package authz

import (
	"context"

	"github.com/tradetrail/tradetrail/ingest"
)

// Recorder is the door for events from principals.
type Recorder struct {
	recorder *ingest.Recorder
	policy   Policy
}

// NewRecorder guards a recorder.
func NewRecorder(recorder *ingest.Recorder, policy Policy) *Recorder {
	return &Recorder{recorder, policy}
}

// Record is ingest.Recorder's; it records nothing for a principal that may not, and
// does not begin to wait for an event store that does not answer.
func (r *Recorder) Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error) {
	if err := r.check(ctx, source); err != nil {
		return nil, err
	}
	return r.recorder.Record(ctx, source, items)
}

// Sequence is ingest.Recorder's, likewise.
func (r *Recorder) Sequence(ctx context.Context, source string) (ingest.Begin, error) {
	if err := r.check(ctx, source); err != nil {
		return nil, err
	}
	return r.recorder.Sequence(ctx, source)
}

// Available is ingest.Recorder's.
func (r *Recorder) Available() error { return r.recorder.Available() }

func (r *Recorder) check(ctx context.Context, source string) error {
	if err := Check(ctx, r.policy, Record, Resource{Kind: "source", ID: source}); err != nil {
		return err
	}
	return r.recorder.Available()
}
