package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/eventstore/embedded"
	"github.com/tradetrail/tradetrail/internal/config"
	"github.com/tradetrail/tradetrail/internal/durable"
)

// Backup describes a copy of the embedded event store.
type Backup = embedded.Backup

const (
	partialSuffix   = ".partial"
	restoringSuffix = ".restoring"
	privateFile     = 0o600
)

// storeDir is where the embedded event store is.
func storeDir(dataDir string) string { return filepath.Join(dataDir, "events") }

// backup is what POST /admin/backup sends.
func (s *Store) backup(log *slog.Logger) func(ctx context.Context, w io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		b, err := s.Node.Backup(ctx, w)
		if errors.Is(err, embedded.ErrBackupRunning) {
			return &domain.Error{
				Class: domain.ClassConflict, Code: "backup_running", Message: "a backup is running already; there is one at a time", Err: err,
			}
		}
		if err != nil {
			return classify(err)
		}
		log.InfoContext(ctx, "backup made", slog.Uint64("events", b.Events), slog.Uint64("position", b.Position), slog.Int64("bytes", b.Bytes))
		return nil
	}
}

// BackupOf makes a copy of the event store below a data directory which no
// server uses; SaveBackup takes it.
func BackupOf(dataDir string, log *slog.Logger) func(context.Context) (io.ReadCloser, error) {
	return func(ctx context.Context) (io.ReadCloser, error) {
		dir := storeDir(dataDir)
		// Open would make a new one at a mistyped path.
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("looking for the event store: %w", err)
		}
		node, err := embedded.Open(dir, embedded.Options{Logger: log}) //nolint:contextcheck // it lives until it is closed
		if err != nil {
			return nil, classify(err)
		}
		out, in := io.Pipe()
		done := make(chan error, 1)
		go func() {
			_, err := node.Backup(ctx, in)
			_ = in.CloseWithError(classify(err)) // never fails
			done <- node.Close()
		}()
		return &localBackup{PipeReader: out, done: done}, nil
	}
}

// localBackup is closed when the store is.
type localBackup struct {
	*io.PipeReader

	done <-chan error
}

func (l *localBackup) Close() error { return errors.Join(l.PipeReader.Close(), <-l.done) }

// SaveBackup writes the backup that open gives into a new file. The file is
// there only after it was found to be whole, and is on disk; until then it is
// called path.partial, and removed if anything fails.
func SaveBackup(ctx context.Context, path string, open func(context.Context) (io.ReadCloser, error)) (b Backup, err error) {
	if _, err := os.Lstat(path); err == nil {
		return Backup{}, fmt.Errorf("%s is there already", path)
	}
	partial := path + partialSuffix
	file, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, privateFile)
	if errors.Is(err, fs.ErrExist) {
		return Backup{}, fmt.Errorf("%s is there: another backup is writing it, or was killed; remove it then", partial)
	}
	if err != nil {
		return Backup{}, fmt.Errorf("writing the backup: %w", err)
	}
	defer func() {
		if removal := os.Remove(partial); err != nil {
			err = errors.Join(err, removal)
		}
	}()
	b, err = receive(ctx, file, open)
	if err = errors.Join(err, file.Close()); err != nil {
		return Backup{}, err
	}
	if err := publish(partial, path); err != nil {
		return Backup{}, fmt.Errorf("writing the backup: %w", err)
	}
	return b, nil
}

func receive(ctx context.Context, file *os.File, open func(context.Context) (io.ReadCloser, error)) (b Backup, err error) {
	in, err := open(ctx)
	if err != nil {
		return Backup{}, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	b, err = embedded.CheckBackup(ctx, io.TeeReader(in, file))
	if err != nil {
		return Backup{}, classify(err)
	}
	if err := file.Sync(); err != nil {
		return Backup{}, fmt.Errorf("writing the backup: %w", err)
	}
	return b, nil
}

// publish gives the file its name. A link, unlike a renaming, never takes the
// place of a file that has appeared meanwhile.
func publish(partial, path string) error {
	if err := os.Link(partial, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return err
		}
		// A file system without links.
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, fs.ErrExist)
		}
		if err := os.Rename(partial, path); err != nil {
			return err
		}
	}
	return durable.SyncDir(filepath.Dir(path))
}

// Restore makes a data directory of a backup. The directory must be empty or not
// exist; if anything is wrong with the backup, it stays as it was.
func Restore(ctx context.Context, r io.Reader, cfg config.Config) (Backup, error) {
	store := storeDir(cfg.DataDir)
	entries, err := os.ReadDir(cfg.DataDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Backup{}, fmt.Errorf("looking at the data directory: %w", err)
	}
	for _, e := range entries {
		// What an interrupted restore left is removed by the next.
		if name := filepath.Join(cfg.DataDir, e.Name()); name != store && name != store+restoringSuffix {
			return Backup{}, fmt.Errorf("%s is not empty: %s is in it", cfg.DataDir, e.Name())
		}
	}
	b, err := embedded.Restore(ctx, r, store)
	return b, classify(err)
}
