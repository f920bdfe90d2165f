package graph_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/graph"
	"github.com/tradetrail/tradetrail/projections/views"
)

// Bodies that are big wait for a place until those before are answered; small ones
// need none.
func TestBodies_AreBounded(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	v := &fake{search: func(views.Query) (views.Found, error) {
		entered <- struct{}{}
		<-release
		return views.Found{}, nil
	}}
	server := graph.BoundBodies(handler(v), 150<<10, time.Millisecond)
	big := func(query string) *strings.Reader {
		return strings.NewReader(`{"query": "` + query + `", "extensions": {"x": "` + strings.Repeat("x", 100<<10) + `"}}`)
	}
	done := make(chan int)
	run := func() {
		answer, _ := send(t, server, http.MethodPost, "/graphql", big("{ events { examined } }"), "Content-Type", plain)
		done <- answer.Code
	}
	go run()
	<-entered // read, decoded, and not answered
	answer, problems := send(t, server, http.MethodPost, "/graphql", big("{ __typename }"), "Content-Type", plain)
	assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
	assert.Equal(t, "1", answer.Header().Get("Retry-After"))
	require.Len(t, problems, 1)
	assert.Equal(t, [2]string{"overloaded", "transient"}, [2]string{problems[0].Extensions.Code, problems[0].Extensions.Class})
	answer, problems = send(t, server, http.MethodPost, "/graphql", strings.NewReader(`{"query": "{ __typename }"}`), "Content-Type", plain)
	assert.Equal(t, http.StatusOK, answer.Code)
	assert.Empty(t, problems)
	close(release)
	assert.Equal(t, http.StatusOK, <-done)
	answer, _ = send(t, server, http.MethodPost, "/graphql", big("{ __typename }"), "Content-Type", plain)
	assert.Equal(t, http.StatusOK, answer.Code)
}

// A body of unknown length may be as long as any, and takes a place for that.
func TestBodies_OfUnknownLength(t *testing.T) {
	t.Parallel()
	long := func() io.Reader {
		return io.MultiReader(strings.NewReader(strings.Repeat(" ", 100<<10)), strings.NewReader("{}"))
	}
	answer, _ := send(t, graph.BoundBodies(handler(&fake{}), 150<<10, time.Millisecond), http.MethodPost, "/graphql", long(), "Content-Type", plain)
	assert.Equal(t, http.StatusServiceUnavailable, answer.Code)
	answer, _ = send(t, graph.BoundBodies(handler(&fake{}), 16<<20, time.Millisecond), http.MethodPost, "/graphql", long(), "Content-Type", plain)
	assert.Equal(t, http.StatusBadRequest, answer.Code)
}

// What a subscription was asked with stays in memory as long as it lasts.
func TestBodies_OfStreamsAreSmall(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{1 << 10: http.StatusOK, 64 << 10: http.StatusRequestEntityTooLarge} {
		body := `{"query": "{ __typename }", "extensions": {"x": "` + strings.Repeat("x", size) + `"}}`
		answer, _ := send(t, handler(&fake{}), http.MethodPost, "/graphql", strings.NewReader(body), "Content-Type", plain, "Accept", "text/event-stream")
		assert.Equal(t, want, answer.Code, size)
	}
}
