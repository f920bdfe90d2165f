package rest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/internal/rest"
)

// dialed is a connection to a server, on which the client reads when it likes.
func dialed(t *testing.T, handler http.Handler) net.Conn {
	t.Helper()
	server := httptest.NewServer(handler)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		server.Close()
	})
	return conn
}

const plainGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// Whatever the handler writes, at once or not: who reads nothing of it is cut off.
func TestPatient_CutsOffWhoDoesNotRead(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(w http.ResponseWriter) error{
		"at once": func(w http.ResponseWriter) error {
			_, err := w.Write(make([]byte, 64<<20))
			return err
		},
		"in pieces": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, io.LimitReader(zeros{}, 64<<20))
			return err
		},
		"flushed": func(w http.ResponseWriter) error {
			for {
				if _, err := w.Write([]byte("piece")); err != nil {
					return err
				}
				if err := http.NewResponseController(w).Flush(); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failed := make(chan error, 1)
			conn := dialed(t, rest.Patient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { failed <- write(w) }), 100*time.Millisecond, time.Now))
			_, err := io.WriteString(conn, plainGet)
			require.NoError(t, err)
			var late net.Error
			require.ErrorAs(t, <-failed, &late)
			assert.True(t, late.Timeout())
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// The deadline of one answer is not that of the next on the same connection.
func TestPatient_LeavesTheConnectionUsable(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("x"), 200<<10)
	server := httptest.NewUnstartedServer(rest.Patient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }), time.Minute, time.Now))
	accepted := make(chan net.Conn, 1)
	server.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		accepted <- conn
		return ctx
	}
	server.Start()
	defer server.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for i := range 2 {
		_, err := io.WriteString(conn, plainGet)
		require.NoError(t, err)
		response, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		got, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Len(t, got, len(body))
		if i == 0 {
			require.NoError(t, (<-accepted).SetWriteDeadline(time.Unix(1, 0)), "as if the first had been long ago")
		}
	}
}

// A handler that sets a deadline itself keeps it: a stop that cuts off an answer by
// one in the past must not be overruled by the next piece.
func TestPatient_LeavesDeadlinesToTheHandler(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	conn := dialed(t, rest.Patient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		err := http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
		if err == nil {
			_, err = w.Write(make([]byte, 1<<20))
		}
		failed <- err
	}), time.Hour, time.Now))
	_, err := io.WriteString(conn, plainGet)
	require.NoError(t, err)
	var late net.Error
	require.ErrorAs(t, <-failed, &late)
	assert.True(t, late.Timeout())
}

func TestPatient_LetsConnectionsBeTakenOver(t *testing.T) {
	t.Parallel()
	taken := make(chan error, 1)
	conn := dialed(t, rest.Patient(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hijacker, ok := w.(http.Hijacker)
		if !ok {
			taken <- errors.New("the writer does not let itself be taken over")
			return
		}
		conn, _, err := hijacker.Hijack()
		if err == nil {
			_, err = io.WriteString(conn, "mine")
			_ = conn.Close()
		}
		taken <- err
	}), time.Minute, time.Now))
	_, err := io.WriteString(conn, plainGet)
	require.NoError(t, err)
	require.NoError(t, <-taken)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Equal(t, "mine", string(got))
}
