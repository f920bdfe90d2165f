package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/lru"
)

// What is remembered between requests, by anybody who can ask: so many texts, each
// of so many bytes. Longer queries are executed as well, but parsed each time.
const (
	maxRemembered      = 1000
	maxRememberedBytes = 8 << 10
)

// shortTexts is a cache for what belongs to short texts, the least recently used
// given up first.
type shortTexts[T any] struct {
	*lru.LRU[T]

	text func(key string, value T) string
}

var _ graphql.Cache[string] = shortTexts[string]{}

// parsedQueries is by text.
func parsedQueries[T any]() shortTexts[T] {
	return shortTexts[T]{lru.New[T](maxRemembered), func(key string, _ T) string { return key }}
}

// persistedQueries is by hash.
func persistedQueries() shortTexts[string] {
	return shortTexts[string]{lru.New[string](maxRemembered), func(_, text string) string { return text }}
}

// Add remembers a short text.
func (c shortTexts[T]) Add(ctx context.Context, key string, value T) {
	if len(c.text(key, value)) <= maxRememberedBytes {
		c.LRU.Add(ctx, key, value)
	}
}
