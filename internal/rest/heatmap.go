package rest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/projections/views"
)

// The bounds of a heatmap.
const (
	maxBuckets    = 1000
	maxLooks      = 100 // searches, each of which finds views.MaxPage anomalies at most
	defaultBucket = time.Hour
	unknownKind   = "unknown"
)

func heatmapParameters() []string {
	return append(without(filterParameters(), "type", "after", "before", "last"), "from", "to", "bucket", "not_older_than")
}

// heatmapBody counts anomalies by time and kind.
type heatmapBody struct {
	From   time.Time     `json:"from"`
	To     time.Time     `json:"to"`
	Bucket nanoseconds   `json:"bucket_ns"`
	Total  int           `json:"total"`
	Cells  []heatmapCell `json:"cells"` // those that are not 0, by time, then kind
}

type heatmapCell struct {
	At    time.Time `json:"at"` // where the bucket begins
	Kind  string    `json:"kind"`
	Count int       `json:"count"`
}

// heatmap is GET /audit/heatmap: how many anomalies of which kind were detected when.
func (a *Audit) heatmap(w http.ResponseWriter, r *http.Request, q query) error {
	if _, err := negotiate(r, mediaJSON); err != nil {
		return err
	}
	out, search, err := a.heatmapOf(q)
	if err != nil {
		return err
	}
	if err := a.inTurn(r.Context(), func(ctx context.Context) error { return a.count(ctx, &out, search) }); err != nil {
		return err
	}
	body, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("encoding the heatmap: %w", err)
	}
	a.send(w, r, mediaJSON, body)
	return nil
}

// count fills the cells with what a search finds.
func (a *Audit) count(ctx context.Context, out *heatmapBody, search views.Query) error {
	bucket := time.Duration(out.Bucket)
	type cell struct {
		bucket int64
		kind   string
	}
	counts := make(map[cell]int)
	for more, looks := true, 0; more; looks++ {
		if looks == maxLooks {
			return domain.Rejectf(domain.CodeTooLarge, "to", "there is too much to look at from %s to %s: ask for less time", timeText(out.From), timeText(out.To))
		}
		found, err := a.views.Search(ctx, search)
		if err != nil {
			return inParameter(err)
		}
		for _, e := range found.Events {
			counts[cell{int64(e.OccurredAt.Sub(out.From) / bucket), kindOf(e)}]++
			out.Total++
		}
		more, search.After = found.More, found.Reached
	}
	for c, n := range maps.All(counts) {
		out.Cells = append(out.Cells, heatmapCell{out.From.Add(time.Duration(c.bucket) * bucket), c.kind, n})
	}
	slices.SortFunc(out.Cells, func(a, b heatmapCell) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind)) })
	return nil
}

func (a *Audit) heatmapOf(q query) (heatmapBody, views.Query, error) {
	f, err := a.filterOf(q)
	if err != nil {
		return heatmapBody{}, views.Query{}, err
	}
	out := heatmapBody{Cells: []heatmapCell{}}
	if out.From, err = q.neededMoment("from"); err != nil {
		return heatmapBody{}, views.Query{}, err
	}
	if out.To, err = q.neededMoment("to"); err != nil {
		return heatmapBody{}, views.Query{}, err
	}
	bucket, err := q.span("bucket")
	if err != nil {
		return heatmapBody{}, views.Query{}, err
	}
	if bucket == 0 {
		bucket = defaultBucket
	}
	out.Bucket = nanoseconds(bucket)
	if !out.To.After(out.From) {
		return heatmapBody{}, views.Query{}, domain.Rejectf(domain.CodeInvalid, "to", "must be after from")
	}
	if (out.To.Sub(out.From)-1)/bucket >= maxBuckets {
		return heatmapBody{}, views.Query{}, domain.Rejectf(domain.CodeTooLarge, "bucket", "makes more than %d buckets", maxBuckets)
	}
	f.After, f.Before = out.From, out.To
	search := views.Query{Filter: f, Limit: views.MaxPage}
	onlyAnomalies(&search)
	return out, search, nil
}

// kindOf is what an anomaly's data say that it is.
func kindOf(e domain.Located) string {
	var data struct {
		Kind jsontext.Value `json:"kind"`
	}
	if json.Unmarshal(e.Data, &data) != nil || data.Kind.Kind() != '"' {
		return unknownKind
	}
	kind, err := jsontext.AppendUnquote(nil, data.Kind)
	if err != nil || len(kind) == 0 {
		return unknownKind
	}
	return string(kind)
}
