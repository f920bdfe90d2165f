package tlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tradetrail/tradetrail/domain"
	"github.com/tradetrail/tradetrail/internal/durable"
)

// What is in the folder of a log, besides the tiles.
const (
	checkpointFile = "checkpoint"
	witnessedFile  = "checkpoint.witnessed"
	keysFile       = "keys"
	historyDir     = "history"
	lockFile       = ".lock"
)

// publicMode is that of what the log is for all to read.
const publicMode = 0o644

// Place is where a log is: its folder, which is public and holds nothing secret,
// and the file of its salt key.
type Place struct{ Dir, SaltKey string }

// Exists says whether there is a log. A log whose salt key is there but whose
// folder is not has been lost, and is never begun anew: the error then has
// ClassIntegrity.
func (p Place) Exists() (bool, error) {
	_, err := os.Stat(filepath.Join(p.Dir, keysFile))
	switch {
	case err == nil:
		return true, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("looking for the log: %w", err)
	}
	if _, err := os.Stat(p.SaltKey); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if _, err := os.Stat(p.staged()); err == nil {
		return false, nil // Create died before its last step
	}
	return false, &domain.Error{Class: domain.ClassIntegrity, Code: CodeGone, Message: fmt.Sprintf(
		"the log in %s is gone, although its salt key is in %s: bring it back, or move the salt key away to begin another log", p.Dir, p.SaltKey)}
}

func (p Place) staged() string { return filepath.Clean(p.Dir) + ".new" }

// Create begins a log in a folder that is not there: an empty tree, signed, and a
// salt key. It does so as a whole: dying in between, it can be called again.
func Create(ctx context.Context, p Place, key Key, now func() time.Time) error {
	exists, err := p.Exists()
	if err != nil {
		return err
	}
	if exists {
		return domain.Rejectf(CodeExists, "", "there is a log in %s already", p.Dir)
	}
	if _, err := os.Stat(p.Dir); err == nil {
		return domain.Rejectf(CodeExists, "", "%s is there, and is not a log", p.Dir)
	}
	if _, err := os.Stat(p.SaltKey); errors.Is(err, fs.ErrNotExist) {
		if err := p.stage(ctx, key, now); err != nil {
			return err
		}
	}
	if err := os.Rename(p.staged(), p.Dir); err != nil {
		return fmt.Errorf("making the log in %s: %w", p.Dir, err)
	}
	return durable.SyncDir(filepath.Dir(filepath.Clean(p.Dir)))
}

// stage makes everything beside its place. The salt key comes last.
func (p Place) stage(ctx context.Context, key Key, now func() time.Time) error {
	dir := p.staged()
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("making the log in %s: %w", p.Dir, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, historyDir), 0o755); err != nil { //nolint:gosec // public
		return fmt.Errorf("making the log in %s: %w", p.Dir, err)
	}
	h, err := openHistory(filepath.Join(dir, historyDir), now)
	if err != nil {
		return err
	}
	if err := createTree(ctx, dir, signer{key.signer, h}); err != nil {
		return err
	}
	if err := writeKeys(dir, Keys{{Verifier: key.Verifier()}}); err != nil {
		return err
	}
	if err := p.keepFirstKey(key.Verifier()); err != nil {
		return err
	}
	return writeSaltKey(p.SaltKey, newSaltKey())
}

// firstKey is the file of the public key with which the log began. It stands beside the
// salt key: who can write to the log's folder alone can't exchange it.
func (p Place) firstKey() string { return filepath.Join(filepath.Dir(p.SaltKey), "first.vkey") }

func (p Place) keepFirstKey(verifier string) error {
	if err := os.MkdirAll(filepath.Dir(p.firstKey()), 0o700); err != nil {
		return fmt.Errorf("keeping the first public key of the log: %w", err)
	}
	return durable.Replace(p.firstKey(), []byte(verifier+"\n"), publicMode)
}

// FirstKey is the public key with which the log began, as Create kept it beside the salt
// key; empty where it is not there, since the log is older than this file.
func (p Place) FirstKey() (string, error) {
	text, err := readBounded(p.firstKey())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the first public key of the log: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// errHeld says that another process writes the log.
var errHeld = errors.New("another process writes the log")

// lock makes the caller the one who writes a log, until unlock is called or the
// process dies.
func lock(dir string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o644) //nolint:gosec // it holds nothing
	if err != nil {
		return nil, fmt.Errorf("locking the log: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return func() { _ = file.Close() }, nil
	}
	_ = file.Close() // nothing was written
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errHeld
	}
	return nil, fmt.Errorf("locking the log: %w", err)
}
