package eventstore

import (
	"context"
	"errors"
	"io"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tradetrail/tradetrail/domain"
)

// Codes of the store's errors.
const (
	CodeWrongRevision = "wrong_revision" // ClassConflict: the stream is not where the caller thought
	CodeStreamMissing = "stream_not_found"
	CodeStreamDeleted = "stream_deleted"
	CodeRefused       = "store_refused" // ClassRejected: too large, or a name or position that can't be
	CodeAccessDenied  = "store_access_denied"
	CodeUnavailable   = "store_unavailable"
	CodeDamaged       = "store_damaged"
	CodeUnclassified  = "store_error"
)

func classified(class domain.Class, code, message string, err error) error {
	return &domain.Error{Class: class, Code: code, Message: message, Err: err}
}

// translate is the only place that knows the errors of the client and of gRPC.
// It uses errors.As throughout: esdb.FromError misses wrapped errors, and its
// bool means "no error". Once ctx has ended the outcome counts as unknown.
func translate(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return &domain.Error{Class: domain.ClassTransient, Code: CodeUnavailable, Message: doing, Err: errors.Join(ctxErr, err)}
	}
	if e, ok := errors.AsType[*domain.Error](err); ok {
		return &domain.Error{Class: e.Class, Code: e.Code, Field: e.Field, Message: doing, Err: err}
	}
	// A context of ours: the time-out of one call, or the store is being closed.
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return classified(domain.ClassTransient, CodeUnavailable, doing, err)
	}
	// The gRPC status below the client's own error says more than its code.
	if code := grpcCode(err); code != codes.OK && code != codes.Unknown {
		switch code {
		case codes.DataLoss:
			return classified(domain.ClassIntegrity, CodeDamaged, doing, err)
		case codes.InvalidArgument:
			return classified(domain.ClassRejected, CodeRefused, doing, err)
		case codes.NotFound:
			return classified(domain.ClassNotFound, CodeStreamMissing, doing, err)
		case codes.PermissionDenied, codes.Unauthenticated:
			// Wrong credentials are a fault of ours, not of whoever sent the event.
			return classified(domain.ClassUnknown, CodeAccessDenied, doing, err)
		case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted, codes.Canceled,
			codes.Internal: // what gRPC calls a connection that was cut in the middle of a message
			return classified(domain.ClassTransient, CodeUnavailable, doing, err)
		default:
		}
	}
	if e, ok := errors.AsType[*esdb.Error](err); ok {
		switch e.Code() {
		case esdb.ErrorCodeWrongExpectedVersion:
			return classified(domain.ClassConflict, CodeWrongRevision, doing, err)
		case esdb.ErrorCodeResourceNotFound:
			return classified(domain.ClassNotFound, CodeStreamMissing, doing, err)
		case esdb.ErrorCodeStreamDeleted:
			return classified(domain.ClassNotFound, CodeStreamDeleted, doing, err)
		case esdb.ErrorCodeAccessDenied, esdb.ErrorCodeUnauthenticated:
			return classified(domain.ClassUnknown, CodeAccessDenied, doing, err)
		case esdb.ErrorCodeConnectionClosed, esdb.ErrorCodeDeadlineExceeded, esdb.ErrorCodeNotLeader,
			esdb.ErrorAborted, esdb.ErrorUnavailable, esdb.ErrorCodeInternalClient:
			return classified(domain.ClassTransient, CodeUnavailable, doing, err)
		default:
		}
	}
	if errors.Is(err, io.EOF) {
		return classified(domain.ClassTransient, CodeUnavailable, doing, err)
	}
	return classified(domain.ClassUnknown, CodeUnclassified, doing, err)
}

// NoEvent says of an error of At that the store has answered, and has no event at the
// position: it refuses those at which none can be, such as behind its end.
func NoEvent(err error) bool {
	e, ok := errors.AsType[*domain.Error](err)
	return ok && (e.Class == domain.ClassNotFound || e.Code == CodeRefused || e.Code == CodeUnclassified)
}

// grpcCode finds the status in err's tree, also below the client's own type,
// which keeps the original in Err() but does not unwrap to it.
func grpcCode(err error) codes.Code {
	if e, ok := errors.AsType[*esdb.Error](err); ok && e.Err() != nil {
		err = e.Err()
	}
	var withStatus interface{ GRPCStatus() *status.Status }
	if errors.As(err, &withStatus) {
		return withStatus.GRPCStatus().Code()
	}
	return codes.OK
}
