package embedded

import (
	"context"
	"fmt"
	"log/slog"
)

// pebbleLogger routes Pebble's own log into slog. Pebble's notes on its
// housekeeping are debugging matter to us.
type pebbleLogger struct{ logger *slog.Logger }

// Infof implements pebble.Logger.
func (p *pebbleLogger) Infof(format string, args ...any) {
	ctx := context.Background()
	if p.logger.Enabled(ctx, slog.LevelDebug) {
		p.logger.DebugContext(ctx, "pebble", slog.String("detail", fmt.Sprintf(format, args...)))
	}
}

// Errorf implements pebble.Logger.
func (p *pebbleLogger) Errorf(format string, args ...any) {
	p.logger.ErrorContext(context.Background(), "pebble", slog.String("detail", fmt.Sprintf(format, args...)))
}

// Fatalf implements pebble.Logger. Pebble calls it when an invariant of its
// own is broken and relies on not coming back. Failed writes don't get here:
// see freezer.
func (p *pebbleLogger) Fatalf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	p.logger.ErrorContext(context.Background(), "pebble", slog.String("detail", message))
	panic("embedded event store: pebble: " + message)
}
