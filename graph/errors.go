package graph

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/tradetrail/tradetrail/domain"
)

// maxMessage bounds what an error of gqlgen's repeats of a query.
const maxMessage = 500

// present is the only place that turns our errors into GraphQL's: a stable code,
// the public message, the field; the cause stays in our log.
func (r *Resolver) present(ctx context.Context, err error) *gqlerror.Error {
	out := graphql.DefaultErrorPresenter(ctx, err)
	e, ok := errors.AsType[*domain.Error](err)
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		// Whatever was under way failed because of it, and says something else.
		e = errTimeout
	case !ok:
		if parsing, isGraphQL := errors.AsType[*gqlerror.Error](err); isGraphQL && parsing.Err == nil {
			out.Message = cut(out.Message)
			if out.Extensions["code"] == nil {
				out.Extensions = map[string]any{"code": domain.CodeInvalid, "class": domain.ClassRejected.String()}
			}
			return out // gqlgen's own: syntax, validation
		}
		r.log.ErrorContext(ctx, "resolving failed", slog.String("path", out.Path.String()), slog.Any("error", err))
		out.Message = "internal error"
		out.Extensions = map[string]any{"code": "internal"}
		return out
	}
	switch e.Class {
	case domain.ClassRejected, domain.ClassNotFound, domain.ClassDenied:
	default:
		r.log.WarnContext(ctx, "resolving failed", slog.String("path", out.Path.String()), slog.Any("error", err))
	}
	out.Message = e.Message
	out.Extensions = map[string]any{"code": e.Code, "class": e.Class.String()}
	if e.Field != "" {
		out.Extensions["field"] = e.Field
	}
	return out
}

// cut shortens what repeats input.
func cut(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + "..."
}

// recovered turns a panic into an error; the stack goes to our log.
func (r *Resolver) recovered(ctx context.Context, cause any) error {
	r.log.ErrorContext(ctx, "resolver panicked", slog.Any("panic", cause))
	return &domain.Error{Class: domain.ClassUnknown, Code: "internal", Message: "internal error"}
}
