package rest

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
)

// LogFiles are the files of the transparency log.
type LogFiles interface {
	// File reads a file by its path in https://c2sp.org/tlog-tiles; one that is not
	// there is fs.ErrNotExist.
	File(ctx context.Context, path string) ([]byte, error)
}

// logPath is what of the log is served: tiles, entry bundles and three small files,
// by the names that tlog-tiles gives them; timestamps and certificates of days; and
// nothing else.
var logPath = regexp.MustCompile(`^(?:checkpoint|checkpoint\.witnessed|keys|timestamps/[0-9]{4}-[0-9]{2}-[0-9]{2}\.jsonl|certificates/[0-9]{4}-[0-9]{2}-[0-9]{2}\.txt|tile/(?:entries|[0-9]|[1-5][0-9]|6[0-3])/(?:x[0-9]{3}/){0,6}[0-9]{3}(?:\.p/(?:[1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?)$`)

// Log serves the transparency log below /log/. Tiles never change; a partial one
// may be gone when a full one has taken its place, and clients then ask for that.
// files is nil in a process without the log.
func Log(files LogFiles, allowed func(ctx context.Context) error, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/log/")
		missing := newProblem(http.StatusNotFound, "no_such_file", "the transparency log has no such file, or not yet")
		if err := allowed(r.Context()); err != nil {
			writeProblem(w, r, log, problemOf(err))
			return
		}
		if files == nil || !logPath.MatchString(path) {
			writeProblem(w, r, log, missing)
			return
		}
		content, err := files.File(r.Context(), path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			writeProblem(w, r, log, missing)
			return
		case err != nil:
			log.WarnContext(r.Context(), "a file of the transparency log can't be read", slog.String("path", path), slog.Any("error", err))
			writeProblem(w, r, log, problemOf(err))
			return
		}
		h := w.Header()
		if strings.HasPrefix(path, "tile/") {
			h.Set("Content-Type", "application/octet-stream")
			// Leaves name streams: no cache that others share may keep them.
			h.Set("Cache-Control", "private, max-age=31536000, immutable")
		} else {
			h.Set("Content-Type", "text/plain; charset=utf-8")
			h.Set("Cache-Control", "no-cache")
		}
		_, _ = w.Write(content) //nolint:gosec // bytes of the log, which no browser takes for a page
	})
}
