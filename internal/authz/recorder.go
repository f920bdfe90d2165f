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

// Record is ingest.Recorder's; it records nothing for a principal that may not.
func (r *Recorder) Record(ctx context.Context, source string, items []ingest.Item) ([]ingest.Receipt, error) {
	if err := Check(ctx, r.policy, Record, Resource{Kind: "source", ID: source}); err != nil {
		return nil, err
	}
	return r.recorder.Record(ctx, source, items)
}
