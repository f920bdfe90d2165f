package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tradetrail/tradetrail/eventstore/internal/wire"
)

// ErrInUse says that another process, or another node of this one, holds the directory.
var ErrInUse = errors.New("in use by another process")

// ErrClosed is the answer to requests that a stopping node no longer takes.
var ErrClosed = errors.New("node is stopped")

// IntegrityError says that stored bytes are not what was once written. The
// node never serves such data: the request fails with DATA_LOSS instead.
type IntegrityError struct {
	Position uint64 // of the record, or of the good one beside it, as Err says; 0 if unknown
	Err      error
}

func (e *IntegrityError) Error() string {
	if e.Position == 0 {
		return fmt.Sprintf("stored data are damaged: %v", e.Err)
	}
	return fmt.Sprintf("record at position %d: %v", e.Position, e.Err)
}

// Unwrap gives the reason.
func (e *IntegrityError) Unwrap() error { return e.Err }

// The trailers through which EventStoreDB tells a client what a status code can't.
const (
	trailerException = "exception"
	trailerStream    = "stream-name"
	trailerGroup     = "group-name"

	exceptionStreamDeleted   = "stream-deleted"
	exceptionWrongVersion    = "wrong-expected-version"
	exceptionAppendSize      = "maximum-append-size-exceeded"
	exceptionMissingMetadata = "missing-required-metadata-property"
	exceptionNoGroup         = "persistent-subscription-does-not-exist"
)

// failure is an error with the status and trailers it has on the wire.
type failure struct {
	code     codes.Code
	message  string
	trailers metadata.MD
	limit    uint32 // with exceptionAppendSize
}

func (f *failure) Error() string { return f.message }

// GRPCStatus makes grpc answer with the failure's own code.
func (f *failure) GRPCStatus() *status.Status { return status.New(f.code, f.message) }

func badRequest(format string, args ...any) *failure {
	return &failure{code: codes.InvalidArgument, message: fmt.Sprintf(format, args...)}
}

func missingMetadata(key string) *failure {
	return &failure{
		code:    codes.InvalidArgument,
		message: fmt.Sprintf("required metadata property %q is missing", key),
		trailers: metadata.Pairs(
			trailerException, exceptionMissingMetadata,
			"required-metadata-properties", wire.MetadataType+","+wire.MetadataContentType,
		),
	}
}

func appendTooLarge(limit int) *failure {
	return &failure{
		code:    codes.InvalidArgument,
		message: fmt.Sprintf("maximum append size of %d bytes exceeded", limit),
		trailers: metadata.Pairs(
			trailerException, exceptionAppendSize,
			"maximum-append-size", strconv.Itoa(limit),
		),
		limit: uint32(limit), //nolint:gosec // far below maxMessageBytes
	}
}

// streamDeleted carries the stream's name because the official client indexes
// that trailer unconditionally, and dies without it.
func streamDeleted(stream string) *failure {
	return &failure{
		code:     codes.FailedPrecondition,
		message:  fmt.Sprintf("stream %q is deleted", stream),
		trailers: metadata.Pairs(trailerException, exceptionStreamDeleted, trailerStream, headerSafe(stream)),
	}
}

func wrongVersion(stream string, expected wire.Expectation, current int64) *failure {
	return &failure{
		code:    codes.FailedPrecondition,
		message: fmt.Sprintf("appending to %q: expected %s, current revision is %d", stream, expected, current),
		trailers: metadata.Pairs(
			trailerException, exceptionWrongVersion,
			trailerStream, headerSafe(stream),
			"expected-version", strconv.FormatInt(int64(expected), 10),
			"actual-version", strconv.FormatInt(current, 10),
		),
	}
}

func persistentSubscriptionNotFound(stream, group string) *failure {
	return &failure{
		code:    codes.NotFound,
		message: fmt.Sprintf("stream %q has no persistent subscription %q", stream, group),
		trailers: metadata.Pairs(
			trailerException, exceptionNoGroup,
			trailerStream, headerSafe(stream),
			trailerGroup, headerSafe(group),
		),
	}
}

func invalidPosition(code codes.Code) *failure {
	return &failure{code: code, message: "Trying to read from an invalid position."}
}

func unavailable(err error) *failure {
	return &failure{code: codes.Unavailable, message: err.Error()}
}

// headerSafe makes a value that grpc accepts in a header: it silently drops the others.
func headerSafe(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return url.PathEscape(s)
		}
	}
	return s
}

// wireError is the one place where an error of the node becomes a gRPC status.
func wireError(err error) *failure {
	if err == nil {
		return nil
	}
	var known *failure
	if errors.As(err, &known) {
		return known
	}
	var integrity *IntegrityError
	switch {
	case errors.As(err, &integrity), pebble.IsCorruptionError(err):
		return &failure{code: codes.DataLoss, message: err.Error()}
	case errors.Is(err, wire.ErrMalformed):
		return badRequest("%v", err)
	case errors.Is(err, context.Canceled):
		return &failure{code: codes.Canceled, message: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{code: codes.DeadlineExceeded, message: err.Error()}
	case errors.Is(err, ErrClosed):
		return unavailable(err)
	}
	if s, ok := status.FromError(err); ok {
		return &failure{code: s.Code(), message: s.Message()}
	}
	return &failure{code: codes.Internal, message: err.Error()}
}
