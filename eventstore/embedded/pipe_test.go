package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPipe_KeepsOrderBetweenTwoGoroutines(t *testing.T) {
	t.Parallel()
	const messages = 20_000
	p := newPipe()
	var putting sync.WaitGroup
	putting.Go(func() {
		for i := range uint32(messages) {
			if err := p.put(t.Context(), binary.BigEndian.AppendUint32(make([]byte, 0, 500), i)); err != nil {
				t.Error(err)
				return
			}
		}
		p.end(io.EOF)
	})
	for i := range uint32(messages) {
		m, err := p.take(t.Context())
		require.NoError(t, err)
		require.Equal(t, i, binary.BigEndian.Uint32(m))
	}
	_, err := p.take(t.Context())
	require.ErrorIs(t, err, io.EOF)
	putting.Wait()
}

func TestPipe_GivesWhatWasPutBeforeTheEnd(t *testing.T) {
	t.Parallel()
	p := newPipe()
	require.NoError(t, p.put(t.Context(), []byte("last words")))
	first := errors.New("first")
	p.end(first)
	p.end(errors.New("second"))
	require.ErrorIs(t, p.put(t.Context(), []byte("too late")), io.EOF)
	m, err := p.take(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "last words", string(m))
	for range 2 {
		_, err = p.take(t.Context())
		require.ErrorIs(t, err, first)
	}
}

func TestPipe_HoldsThePutterBackAtItsBound(t *testing.T) {
	t.Parallel()
	p := newPipe()
	large := make([]byte, pipeBytes)
	require.NoError(t, p.put(t.Context(), large), "one message of any size goes in")

	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.put(impatient, nil), context.Canceled)

	var putting sync.WaitGroup
	putting.Go(func() { assert.NoError(t, p.put(t.Context(), []byte("waits"))) })
	m, err := p.take(t.Context())
	require.NoError(t, err)
	assert.Len(t, m, pipeBytes)
	m, err = p.take(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "waits", string(m))
	putting.Wait()

	_, err = p.take(impatient)
	require.ErrorIs(t, err, context.Canceled)

	require.NoError(t, p.put(t.Context(), large))
	putting.Go(func() { assert.ErrorIs(t, p.put(t.Context(), []byte("never goes in")), io.EOF) })
	p.end(io.EOF)
	putting.Wait()
}
