package rest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/tradetrail/tradetrail/domain"
)

// MakeBackup writes a copy of the event store. An error of class Conflict says
// that one is being made already; one of class Denied, that the principal may not.
type MakeBackup func(ctx context.Context, w io.Writer) error

// Backup is POST /admin/backup: a copy of the event store, as a tar. With nil
// there is no way to make one here.
//
// 200: the copy follows; only its own last entry says that it is whole, and if
// making it fails in the middle, the connection is cut. 409: one is being made
// for somebody else. 501: the event store is not ours to copy.
func Backup(makeBackup MakeBackup, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if makeBackup == nil {
			writeProblem(w, r, log, newProblem(http.StatusNotImplemented, "not_embedded",
				"the event store of this server is not the embedded one: use the backup of the cluster that it runs on"))
			return
		}
		// Whoever does not read any more must not keep the store from closing.
		control := http.NewResponseController(w)
		defer context.AfterFunc(r.Context(), func() { _ = control.SetWriteDeadline(time.Unix(1, 0)) })()
		out := &attachment{w: w, media: "application/x-tar", file: "tradetrail-backup.tar"}
		err := makeBackup(r.Context(), out)
		switch {
		case err == nil:
		case out.begun:
			log.WarnContext(r.Context(), "a backup was cut off", slog.Any("error", err))
			panic(http.ErrAbortHandler) // the only way to tell a client that what it has is not all
		case domain.ClassOf(err) == domain.ClassConflict, domain.ClassOf(err) == domain.ClassDenied:
			writeProblem(w, r, log, problemOf(err))
		default:
			log.ErrorContext(r.Context(), "a backup could not be made", slog.Any("error", err))
			writeProblem(w, r, log, newProblem(http.StatusInternalServerError, "backup_failed",
				"the backup could not be made; the server's log says why"))
		}
	})
}
