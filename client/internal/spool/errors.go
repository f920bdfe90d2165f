package spool

import (
	"errors"
	"fmt"

	"github.com/tradetrail/tradetrail/domain"
)

// ErrFull says that there is no room for a record now: the bound is reached, the
// oldest record waits for too long, or the disk gives no more.
var ErrFull = errors.New("the spool is full")

// ErrClosed says that the spool was closed.
var ErrClosed = errors.New("the spool is closed")

// The codes of errors.
const (
	CodeFull      = "spool_full"
	CodeClosed    = "spool_closed"
	CodeInUse     = "spool_in_use"
	CodeUnusable  = "spool_unusable"
	CodeNotSynced = "spool_not_synced"
)

func full(dir string, cause error) error {
	return &domain.Error{Class: domain.ClassTransient, Code: CodeFull, Message: "no room in " + dir, Err: errors.Join(ErrFull, cause)}
}

func closed(dir string) error {
	return &domain.Error{Class: domain.ClassRejected, Code: CodeClosed, Message: dir, Err: ErrClosed}
}

func unusable(dir string, err error) error {
	return &domain.Error{Class: domain.ClassTransient, Code: CodeUnusable, Message: fmt.Sprintf("opening the spool in %q", dir), Err: err}
}
