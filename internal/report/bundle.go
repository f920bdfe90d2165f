package report

import (
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/report/pdf"
)

var errNoProof = &domain.Error{
	Class: domain.ClassNotFound, Code: "no_proof", Field: "id",
	Message: "the report carries no proof: a PDF does, if the process that makes it writes the transparency log",
}

// Bundle writes the proof bundle that a PDF carries, alone.
func (j *Jobs) Bundle(ctx context.Context, id string, to io.Writer) (err error) {
	file, _, err := j.Open(ctx, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	place, err := j.proofOf(ctx, id)
	if err != nil {
		return err
	}
	text, err := zlib.NewReader(io.NewSectionReader(file, place.Offset, place.Length))
	if err == nil {
		_, err = io.Copy(to, text) //nolint:gosec // this process has packed it
	}
	if err != nil {
		return fmt.Errorf("reading the proof of report %s: %w", id, err)
	}
	return nil
}

func (j *Jobs) proofOf(ctx context.Context, id string) (pdf.Place, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	one, err := j.of(ctx, id)
	if err == nil && one.proof == (pdf.Place{}) {
		err = errNoProof
	}
	if err != nil {
		return pdf.Place{}, err
	}
	return one.proof, nil
}
