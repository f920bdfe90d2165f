package graph_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/graph"
	"github.com/tradetrail/tradetrail/tlog"
	"github.com/tradetrail/tradetrail/tlog/verify"
)

// emptyLog is signed, and has no leaves; nobody has cosigned.
type emptyLog struct{}

func (emptyLog) State() (tlog.State, <-chan struct{}) {
	return tlog.State{Sealed: tlog.Checkpoint{Origin: "log.example", Root: verify.EmptyRoot(), Note: "a note"}}, nil
}

func (emptyLog) Index(context.Context, domain.Position) (uint64, bool, error) { return 0, false, nil }

func (l emptyLog) Checkpoint(context.Context) (tlog.Checkpoint, error) {
	state, _ := l.State()
	return state.Sealed, nil
}

func (emptyLog) Prove(context.Context, domain.Position) (tlog.Proof, bool, error) {
	return tlog.Proof{}, false, nil
}

func TestCheckpoint_OfAnEmptyLogIsNotWitnessed(t *testing.T) {
	t.Parallel()
	server := graph.NewServer(nil, nil, nil, emptyLog{}, slog.New(slog.DiscardHandler))
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", strings.NewReader(`{"query":"{ checkpoint { origin note rootHash seal } }"}`))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, request)
	var got struct {
		Data struct {
			Checkpoint struct{ Origin, Note, RootHash, Seal string }
		}
	}
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &got), "%s", answer.Body)
	c := got.Data.Checkpoint
	assert.Equal(t, [4]string{"log.example", "a note", verify.EmptyRoot().String(), "SEALED"}, [4]string{c.Origin, c.Note, c.RootHash, c.Seal}, "%s", answer.Body)
}
