package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/tradetrail/tradetrail/domain"
)

// Codes of the errors of this package.
const (
	CodeNoBucket = "no_such_bucket" // ClassNotFound
	CodeDenied   = "bucket_denied"  // ClassDenied: wrong credentials, or they may not
	CodeAway     = "bucket_away"    // ClassTransient: it does not answer, or not now
	CodeRefused  = "bucket_refused" // ClassRejected: another region, a request that it does not know
)

// maxText is how much is repeated of what a store says.
const maxText = 300

// translate gives what the client says a class; nil stays nil.
func (b *Bucket) translate(doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %s: %w", b.place, doing, err)
	}
	answer := minio.ToErrorResponse(err)
	if answer.StatusCode == http.StatusPreconditionFailed {
		return fmt.Errorf("%s: %s: %w", b.place, doing, fs.ErrExist)
	}
	class, code := classOf(answer)
	text := err.Error()
	return &domain.Error{Class: class, Code: code, Message: fmt.Sprintf("%s: %s: %.40s %s", b.place, doing, answer.Code, text[:min(len(text), maxText)])}
}

func classOf(answer minio.ErrorResponse) (domain.Class, string) {
	status := answer.StatusCode
	switch {
	case answer.Code == minio.NoSuchBucket:
		return domain.ClassNotFound, CodeNoBucket
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return domain.ClassDenied, CodeDenied
	// 409 is the answer to the one of two writers at a time who has lost, perhaps.
	case status == 0 || status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status == http.StatusConflict:
		return domain.ClassTransient, CodeAway
	default:
		return domain.ClassRejected, CodeRefused
	}
}
