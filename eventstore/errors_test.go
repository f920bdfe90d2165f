package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore"
)

func TestTranslate_ClassOfForeignErrors(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	grpcError := func(code codes.Code) error { return status.Error(code, "said the server") }
	for _, tc := range []struct {
		name  string
		ctx   context.Context
		err   error
		class domain.Class
		code  string
	}{
		{"unavailable", t.Context(), grpcError(codes.Unavailable), domain.ClassTransient, eventstore.CodeUnavailable},
		{"aborted", t.Context(), grpcError(codes.Aborted), domain.ClassTransient, eventstore.CodeUnavailable},
		{"deadline on the server", t.Context(), grpcError(codes.DeadlineExceeded), domain.ClassTransient, eventstore.CodeUnavailable},
		{"cancelled on the way", t.Context(), grpcError(codes.Canceled), domain.ClassTransient, eventstore.CodeUnavailable},
		{"exhausted", t.Context(), grpcError(codes.ResourceExhausted), domain.ClassTransient, eventstore.CodeUnavailable},
		{"cut in the middle", t.Context(), grpcError(codes.Internal), domain.ClassTransient, eventstore.CodeUnavailable},
		{"our own time-out", t.Context(), context.DeadlineExceeded, domain.ClassTransient, eventstore.CodeUnavailable},
		{"our own cancel", t.Context(), fmt.Errorf("closing: %w", context.Canceled), domain.ClassTransient, eventstore.CodeUnavailable},
		{"end of stream", t.Context(), io.EOF, domain.ClassTransient, eventstore.CodeUnavailable},
		{"context ended", ended, errors.New("anything"), domain.ClassTransient, eventstore.CodeUnavailable},
		{"damage", t.Context(), grpcError(codes.DataLoss), domain.ClassIntegrity, eventstore.CodeDamaged},
		{"damage, wrapped", t.Context(), fmt.Errorf("reading: %w", grpcError(codes.DataLoss)), domain.ClassIntegrity, eventstore.CodeDamaged},
		{"refused", t.Context(), grpcError(codes.InvalidArgument), domain.ClassRejected, eventstore.CodeRefused},
		{"not found", t.Context(), grpcError(codes.NotFound), domain.ClassNotFound, eventstore.CodeStreamMissing},
		{"denied", t.Context(), grpcError(codes.PermissionDenied), domain.ClassUnknown, eventstore.CodeAccessDenied},
		{"unauthenticated", t.Context(), grpcError(codes.Unauthenticated), domain.ClassUnknown, eventstore.CodeAccessDenied},
		{"never heard of", t.Context(), errors.New("what"), domain.ClassUnknown, eventstore.CodeUnclassified},
		{"already classified", t.Context(), &domain.Error{Class: domain.ClassConflict, Code: "c", Message: "m"}, domain.ClassConflict, "c"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := eventstore.Translate(tc.ctx, "appending to order-1", tc.err)
			assert.Equal(t, tc.class, domain.ClassOf(err))
			e, ok := errors.AsType[*domain.Error](err)
			if assert.True(t, ok) {
				assert.Equal(t, tc.code, e.Code)
			}
			require.ErrorIs(t, err, tc.err, "the cause is kept")
			require.ErrorContains(t, err, "appending to order-1")
			// Callers wrap: the class must be found all the same.
			assert.Equal(t, tc.class, domain.ClassOf(fmt.Errorf("recording: %w", err)))
		})
	}
	assert.NoError(t, eventstore.Translate(t.Context(), "appending", nil))
}
