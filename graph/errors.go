package graph

import (
	"context"
	"errors"
	"log/slog"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/tradetrail/tradetrail/domain"
)

// present is the only place that turns our errors into GraphQL's: a stable code,
// the public message, the field; the cause stays in our log.
func (r *Resolver) present(ctx context.Context, err error) *gqlerror.Error {
	out := graphql.DefaultErrorPresenter(ctx, err)
	e, ok := errors.AsType[*domain.Error](err)
	if !ok {
		if parsing, isGraphQL := errors.AsType[*gqlerror.Error](err); isGraphQL && parsing.Err == nil {
			return out // gqlgen's own: syntax, validation
		}
		r.log.ErrorContext(ctx, "resolving failed", slog.String("path", out.Path.String()), slog.Any("error", err))
		out.Message = "internal error"
		out.Extensions = map[string]any{"code": "internal"}
		return out
	}
	if e.Class != domain.ClassRejected && e.Class != domain.ClassNotFound {
		r.log.WarnContext(ctx, "resolving failed", slog.String("path", out.Path.String()), slog.Any("error", err))
	}
	out.Message = e.Message
	out.Extensions = map[string]any{"code": e.Code, "class": e.Class.String()}
	if e.Field != "" {
		out.Extensions["field"] = e.Field
	}
	return out
}

// recovered turns a panic into an error; the stack goes to our log.
func (r *Resolver) recovered(ctx context.Context, cause any) error {
	r.log.ErrorContext(ctx, "resolver panicked", slog.Any("panic", cause))
	return &domain.Error{Class: domain.ClassUnknown, Code: "internal", Message: "internal error"}
}
