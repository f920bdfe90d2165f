package obs_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/obs"
)

func TestNewLogger_WritesJSONLinesWhereNobodyLooks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := obs.NewLogger(&out, slog.LevelInfo)
	log.Debug("not this")
	log.Info("this", slog.String("order_id", "1"))
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line), "exactly one line")
	assert.Equal(t, "this", line["msg"])
	assert.Equal(t, "1", line["order_id"])

	file, err := os.CreateTemp(t.TempDir(), "log")
	require.NoError(t, err)
	defer file.Close()
	obs.NewLogger(file, slog.LevelInfo).Info("to a file")
	text, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	assert.True(t, json.Valid(text), "%s", text)
}

func TestNewLogger_WritesTextOnATerminal(t *testing.T) {
	t.Parallel()
	// A character device is what makes a terminal; this one keeps nothing.
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer null.Close()
	assert.IsType(t, &slog.TextHandler{}, obs.NewLogger(null, slog.LevelInfo).Handler())
}

func TestParseLevel(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError, "INFO": slog.LevelInfo,
	} {
		got, err := obs.ParseLevel(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "loud", "warning", "trace"} {
		_, err := obs.ParseLevel(text)
		assert.Equal(t, domain.ClassRejected, domain.ClassOf(err), text)
	}
}
