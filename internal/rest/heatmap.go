package rest

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tradetrail/tradetrail/projections/views"
)

func heatmapParameters() []string {
	return append(append(without(filterParameters(), "type", "after", "before", "last"), anomalyLists()...), "from", "to", "bucket", "by", "rows", "not_older_than")
}

// heatmapBody counts anomalies by time, row and severity.
type heatmapBody struct {
	From    time.Time       `json:"from"`
	To      time.Time       `json:"to"`
	Bucket  nanoseconds     `json:"bucket_ns"`
	By      views.HeatmapBy `json:"by"`
	Total   int64           `json:"total"`
	Rest    int64           `json:"rest"` // in rows that are not there
	Rows    []heatmapRow    `json:"rows"`
	Cells   []heatmapCell   `json:"cells"` // those that are not 0, by time, value and severity
	Failed  int             `json:"failed,omitzero"`
	Failure string          `json:"failure,omitzero"`
}

type heatmapRow struct {
	Value *string `json:"value"` // null: of anomalies that name none
	Count int64   `json:"count"`
}

type heatmapCell struct {
	At       time.Time `json:"at"` // where the bucket begins
	Value    *string   `json:"value"`
	Severity *string   `json:"severity"`
	Count    int64     `json:"count"`
}

// heatmap is GET /audit/heatmap: how many anomalies were detected when.
func (a *Audit) heatmap(w http.ResponseWriter, r *http.Request, q query) error {
	if _, err := negotiate(r, mediaJSON); err != nil {
		return err
	}
	asked, err := a.heatmapOf(q)
	if err != nil {
		return err
	}
	var found views.Heatmap
	err = a.inTurn(r.Context(), func(ctx context.Context) (err error) {
		found, err = a.views.Heatmap(ctx, asked)
		return inParameter(err)
	})
	if err != nil {
		return err
	}
	body, err := json.Marshal(heatmapBodyOf(found), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return fmt.Errorf("encoding the heatmap: %w", err)
	}
	a.send(w, r, mediaJSON, body)
	return nil
}

func (a *Audit) heatmapOf(q query) (asked views.HeatmapQuery, err error) {
	f, err := a.filterOf(q)
	if err != nil {
		return asked, err
	}
	if asked.Of, err = anomalyQuery(q, views.Query{Filter: f}); err != nil {
		return asked, err
	}
	if asked.From, err = q.neededMoment("from"); err != nil {
		return asked, err
	}
	if asked.To, err = q.neededMoment("to"); err != nil {
		return asked, err
	}
	if asked.Bucket, err = q.span("bucket"); err != nil {
		return asked, err
	}
	asked.By = views.HeatmapBy(q.text("by"))
	asked.Rows, err = q.number("rows", views.MaxHeatmapRows)
	return asked, err
}

func heatmapBodyOf(found views.Heatmap) heatmapBody {
	named := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	out := heatmapBody{
		From: found.From, To: found.To, Bucket: nanoseconds(found.Bucket), By: found.By, Total: found.Total, Rest: found.Rest,
		Rows: make([]heatmapRow, len(found.Rows)), Cells: make([]heatmapCell, len(found.Cells)), Failed: found.Failed, Failure: found.Failure,
	}
	for i, row := range found.Rows {
		out.Rows[i] = heatmapRow{named(row.Value), row.Count}
	}
	for i, c := range found.Cells {
		out.Cells[i] = heatmapCell{c.At, named(c.Value), named(c.Severity), c.Count}
	}
	return out
}
