package report

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strconv"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/report/pdf"
	"github.com/tradetrail/tradetrail/tlog/prove"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// Log is the transparency log, which proves the events of a report.
type Log interface {
	Report(ctx context.Context, upTo domain.Position) (*prove.Report, error)
}

// proof is what the log says of one report. Without a log of this process it has no
// report, and says that.
type proof struct {
	ctx      context.Context //nolint:containedctx // of the one report, whose rows are read while they are written
	report   *prove.Report
	sealedTo domain.Position
	place    pdf.Place // of the bundle in a PDF, once it is closed
}

func openProof(ctx context.Context, log Log, upTo domain.Position) (*proof, error) {
	p := &proof{ctx: ctx}
	if log == nil {
		return p, nil
	}
	var err error
	if p.report, err = log.Report(ctx, upTo); err != nil {
		return nil, err
	}
	p.sealedTo, err = p.report.SealedTo(ctx)
	return p, err
}

// What stands in the place of a leaf's index.
const (
	noLog     = "no log"
	notSealed = "not sealed yet"
)

// shortHash is how many bytes of a leaf's hash stand in a row: enough to compare by
// eye. What counts is the whole one, in the proof.
const shortHash = 8

// leafColumns are behind all others of a row that stands for an event.
func leafColumns() []Column {
	return []Column{{"leaf_index", "Leaf", 5}, {"leaf_hash", "Leaf hash", 8}}
}

// leaf are the cells of the leaf of the event at a position.
func (p *proof) leaf(at domain.Position) ([]string, error) {
	if p.report == nil {
		return []string{noLog, ""}, nil
	}
	index, hash, ok, err := p.report.Leaf(p.ctx, at)
	if err != nil {
		return nil, err
	}
	if !ok {
		return []string{notSealed, ""}, nil
	}
	return []string{strconv.FormatUint(index, 10), hex.EncodeToString(hash[:shortHash])}, nil
}

// rows turns what stands for events into rows with their leaves.
func rows[T any](p *proof, items iter.Seq2[T, error], at func(T) domain.Position, row func(T) Row) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for item, err := range items {
			var r Row
			if err == nil {
				r = row(item)
				var leaf []string
				leaf, err = p.leaf(at(item))
				r.Cells = append(r.Cells, leaf...)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func eventAt(e domain.Located) domain.Position { return e.Position }

// facts say in the head of a report under what it is proven.
func (p *proof) facts() Facts {
	if p.report == nil {
		return Facts{{"sealing", "Transparency log", "this process has none: what is sealed is not known here"}}
	}
	c := p.report.Checkpoint()
	return Facts{
		{"sealing", "Transparency log", c.Origin},
		{"checkpoint_size", "Checkpoint, leaves", strconv.FormatUint(c.Size, 10)},
		{"checkpoint_root", "Checkpoint, root", c.Root.String()},
		{"log_key", "Key of the log", p.report.Key()},
	}
}

// sealed says how much of a window of events is sealed, of which so many are not.
func (p *proof) sealed(unsealed int64) Facts {
	if p.report == nil {
		return Facts{{"sealed", "Sealed in the transparency log", "not known: this process has no transparency log"}}
	}
	c := p.report.Checkpoint()
	text := "nothing yet"
	if c.Size > 0 {
		text = fmt.Sprintf("the first %d events of the log, up to %s", c.Size, p.sealedTo)
	}
	return Facts{
		{"sealed", "Sealed in the transparency log", text},
		{"unsealed_events", "Events of the window not sealed yet", strconv.FormatInt(unsealed, 10)},
		{"sealed_by", "Signed by", p.report.Key()},
		{"sealed_root", "Under the root", c.Root.String()},
	}
}

// isSealed reports whether the event at a position is under the checkpoint.
func (p *proof) isSealed(at domain.Position) bool { return at.Compare(p.sealedTo) <= 0 }

// attachment is the proof as a file within a PDF.
func attachment() pdf.Attachment {
	return pdf.Attachment{
		Name: "tradetrail-proof.json", Media: "application/json",
		Description: "Proof that the events of this report are in the transparency log. The PDF as a whole is verified with tradetrail-verify.",
	}
}

// close ends a PDF: with the proof in it and a seal around all if the log can give them.
func (p *proof) close(to *pdf.Writer, d Document) error {
	if p == nil || p.report == nil || !p.report.Seals() {
		return to.Close()
	}
	var err error
	p.place, err = to.Attach(attachment(), func(w io.Writer) error { return p.report.Bundle(p.ctx, w, d.Name+PDF.Extension()) })
	if err != nil {
		return err
	}
	return to.CloseSealed(pdf.Seal{Begins: verify.SealBegins, Text: func(digest [32]byte) (string, error) {
		note, err := p.report.Seal(d.Created, uint64(p.place.Offset), uint64(p.place.Length), digest) //nolint:gosec // not negative
		return base64.StdEncoding.EncodeToString(note), err
	}})
}
