package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/tradetrail/tradetrail/internal/backoff"
)

// lockFile is held by whoever verifies a log, or certifies its days: what they leave in
// its folder has one writer, also when several processes work for the log.
const lockFile = ".audit.lock"

const (
	lockRetry    = 10 * time.Millisecond
	lastLockWait = time.Second
)

// lock waits until nobody else verifies the log of a folder. What was locked is free
// again when unlock is called or the process dies.
func lock(ctx context.Context, root *os.Root) (unlock func(), err error) {
	file, err := root.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o644)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return func() {}, nil // who can't write here leaves nothing
	}
	if err != nil {
		return nil, fmt.Errorf("locking the verification: %w", err)
	}
	for attempt := 0; ; attempt++ {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil // nothing was written
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking the verification: %w", err), file.Close())
		}
		if err := backoff.Wait(ctx, attempt, lockRetry, lastLockWait); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
}
