package tlog_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLog_EventNIsLeafN(t *testing.T) {
	w := newWorld(t)
	w.record(3)
	l := w.run()
	w.sealed(3)
	w.record(1)
	w.sealed(4)
	w.record(700)
	w.sealed(704)
	require.NoError(t, l.stop())
	w.check(704)

	w.record(9000)
	l = w.run()
	w.sealed(9704)
	require.NoError(t, l.Ready())
	require.NoError(t, l.stop())
	w.check(9704)
}
