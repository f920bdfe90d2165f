// Package obs makes what the process says about itself: its log.
package obs

import (
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/tradetrail/tradetrail/domain"
)

// NewLogger makes the process's logger: text for people when out is a terminal,
// JSON lines otherwise.
func NewLogger(out io.Writer, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if file, ok := out.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return slog.New(slog.NewTextHandler(out, options))
		}
	}
	return slog.New(slog.NewJSONHandler(out, options))
}

// ParseLevel reads debug, info, warn or error.
func ParseLevel(text string) (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(text))); err != nil {
		return 0, domain.Rejectf(domain.CodeInvalid, "log-level", "%q is none of debug, info, warn, error", text)
	}
	return level, nil
}
