package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
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
			if len(out.Path) > 0 && out.Path[0] == ast.PathName("variable") {
				place := dotted(out.Path[1:])
				out.Path = nil
				out.Extensions["field"] = "variables." + place
			}
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
	field := e.Field
	if inside := insideArguments(ctx, out); field == "" {
		field = inside
	}
	if field != "" {
		out.Extensions["field"] = field
	}
	return out
}

// insideArguments is where in the arguments of a field a value is wrong. gqlgen
// puts it behind the path, which is of the answer and has no such place.
func insideArguments(ctx context.Context, out *gqlerror.Error) string {
	resolving := graphql.GetFieldContext(ctx)
	if resolving == nil {
		return ""
	}
	path := resolving.Path()
	if len(out.Path) <= len(path) {
		return ""
	}
	place := dotted(out.Path[len(path):])
	out.Path = path
	return place
}

// dotted writes a place as fields are written: filter.accounts.1.
func dotted(path ast.Path) string {
	parts := make([]string, len(path))
	for i, part := range path {
		parts[i] = fmt.Sprint(part)
	}
	return strings.Join(parts, ".")
}

// notAvailable refuses what this version can't answer yet.
func notAvailable(message string) error { return reject("not_available", message) }

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
