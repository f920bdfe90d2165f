package domain

import (
	"errors"
	"fmt"
)

// Class says what a caller can do about an error. The callee decides the class,
// the loop around it decides the action; text is never compared.
type Class int

// The classes of errors, from "unclassified" to "stop".
const (
	// ClassUnknown is an error nobody classified: treat it as a defect.
	ClassUnknown Class = iota
	// ClassRejected is the sender's fault: retrying the same input is useless.
	ClassRejected
	// ClassNotFound means that the object does not exist (yet).
	ClassNotFound
	// ClassConflict means that the state moved: read again, then decide.
	ClassConflict
	// ClassTransient means that the outcome is unknown or the service is away:
	// retry with the same ids.
	ClassTransient
	// ClassIntegrity means that what is stored contradicts itself: stop.
	ClassIntegrity
	// ClassDenied means that whoever asks may not: somebody else may.
	ClassDenied
)

// String returns the class's stable, lower-case name.
func (c Class) String() string {
	switch c {
	case ClassRejected:
		return "rejected"
	case ClassNotFound:
		return "not_found"
	case ClassConflict:
		return "conflict"
	case ClassTransient:
		return "transient"
	case ClassIntegrity:
		return "integrity"
	case ClassDenied:
		return "denied"
	default:
		return "unknown"
	}
}

// Error is a classified error. Code is stable and public, Message is for people
// and public, Err is the private cause and may be nil.
type Error struct {
	Class   Class
	Code    string
	Field   string // JSON path of the field at fault, for ClassRejected
	Message string
	Err     error
}

// Error implements error.
func (e *Error) Error() string {
	text := e.Message
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of the first classified error in err's tree.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return ClassUnknown
}

// The codes of rejected input. They are part of the HTTP and GraphQL contracts.
const (
	CodeMalformed = "malformed" // not one well-formed JSON object
	CodeMissing   = "missing"   // a required field is absent
	CodeWrongType = "wrong_type"
	CodeInvalid   = "invalid" // right type, impossible value
	CodeTooLarge  = "too_large"
	CodeConflict  = "id_conflict" // the event id is taken by a different event
)

// Rejectf makes a ClassRejected error about one field of the input.
func Rejectf(code, field, format string, args ...any) *Error {
	return &Error{Class: ClassRejected, Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}
