package obs

import (
	"context"
	"log/slog"

	"k8s.io/klog/v2"
)

// AdoptTesseraLog brings what Tessera says into log, warnings and worse; it knows
// only one logger for the whole process, klog's.
func AdoptTesseraLog(log *slog.Logger) {
	klog.SetSlogLogger(slog.New(worse{log.Handler()}))
}

// worse leaves out what is below a warning: Tessera calls each start news.
type worse struct{ slog.Handler }

func (h worse) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h worse) WithAttrs(attrs []slog.Attr) slog.Handler { return worse{h.Handler.WithAttrs(attrs)} }

func (h worse) WithGroup(name string) slog.Handler { return worse{h.Handler.WithGroup(name)} }
