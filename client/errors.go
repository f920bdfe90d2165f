package client

import (
	"github.com/tradetrail/tradetrail/client/internal/spool"
	"github.com/tradetrail/tradetrail/domain"
)

// The errors that a caller may want to tell apart, with errors.Is.
var (
	// ErrSpoolFull: there is no room for the event, and it was not recorded.
	ErrSpoolFull = spool.ErrFull
	// ErrClosed: the client was closed, and the event was not recorded.
	ErrClosed = spool.ErrClosed
)

// The codes of what keeps events from being delivered, in Stats.Trouble.
const (
	CodeServerUnreachable = "server_unreachable" // no answer, or only a part of one
	CodeServerUnavailable = "server_unavailable" // it asks to come again
	CodeServerRefused     = "server_refused"     // it, or a proxy, will not have it; no event is at fault
	CodeNotUnderstood     = "not_understood"     // the answer is none of POST /v1/events
	CodeNotKept           = "not_kept"           // a rejected event is not in the dead-letter file
)

func transient(code, message string, err error) error {
	return &domain.Error{Class: domain.ClassTransient, Code: code, Message: message, Err: err}
}
