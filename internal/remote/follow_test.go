package remote_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/remote"
)

// breaking is a live feed of the events 1 to 9 that breaks off again and again, also
// in the middle of a message, and is away for a while in between.
func breaking(w http.ResponseWriter, r *http.Request, request int64) {
	if request%3 == 2 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var last int
	if _, err := fmt.Sscanf(r.Header.Get("Last-Event-ID"), "C:%d/", &last); err != nil {
		last = 0
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, "retry: 1\nid: C:%d/P:%d\nevent: open\ndata: {}\n\n: alive\n\n", last, last)
	for i := last + 1; i <= last+2 && i <= 9; i++ {
		fmt.Fprintf(w, "id: C:%d/P:%d\nevent: event\ndata: {\"n\":%d}\n\n", i, i, i)
	}
	fmt.Fprintf(w, "id: C:%d/P:%d\nevent: event\ndata: {\"n\"", last+3, last+3)
}

func TestFollow_ResumesWithoutGapOrDuplicate(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/audit/live?account=A+B", r.URL.RequestURI())
		breaking(w, r, requests.Add(1))
	}))
	defer server.Close()
	client, err := remote.New(server.URL)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	require.NoError(t, client.Follow(ctx, "account", "A B", "", func(event []byte) error {
		if got = append(got, string(event)); len(got) == 9 {
			cancel()
		}
		return nil
	}))
	var want []string
	for i := range 9 {
		want = append(want, fmt.Sprintf(`{"n":%d}`, i+1))
	}
	assert.Equal(t, want, got)
}

func TestFollow_EndsForGoodReason(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		class   domain.Class
		is      error
	}{
		"refused": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"code":"invalid","detail":"no","field":"after"}`)
		}, class: domain.ClassRejected},
		"away from the start": {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, class: domain.ClassTransient},
		"not taken":           {handler: func(w http.ResponseWriter, r *http.Request) { breaking(w, r, 1) }, is: full},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.handler)
			defer server.Close()
			client, err := remote.New(server.URL)
			require.NoError(t, err)
			err = client.Follow(t.Context(), "user", "U", "C:0/P:0", func([]byte) error { return full })
			require.Error(t, err)
			assert.Equal(t, c.class, domain.ClassOf(err))
			if c.is != nil {
				assert.ErrorIs(t, err, c.is)
			}
		})
	}
}
