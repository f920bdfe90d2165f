package graph

import (
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/tradetrail/tradetrail/graph/generated"
)

// Schema is what the server answers introspection with.
func Schema() *ast.Schema { return generated.NewExecutableSchema(generated.Config{}).Schema() }
