// Package exit has the exit codes of kubectl apitoken, and errors that carry one.
package exit

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Code is the exit code of a command. docs/kubectl-plugin.md lists them.
type Code int

// The exit codes.
const (
	// OK: the command succeeded, and found no problem.
	OK Code = 0
	// Failed: something is not ready or did not work.
	Failed Code = 1
	// Usage: the command line is wrong; nothing was done.
	Usage Code = 2
	// TimedOut: the command gave up waiting.
	TimedOut Code = 3
	// Refused: the API server, the declaration, the operator or the user said no.
	Refused Code = 4
	// NotFound: the named object does not exist.
	NotFound Code = 5
	// CannotRun: env found the command, but could not start it; as a shell says it.
	CannotRun Code = 126
	// NoCommand: env did not find the command; as a shell says it.
	NoCommand Code = 127
	// Interrupted: a signal ended the command.
	Interrupted Code = 130
)

// Error is an error that knows its exit code. Without an error of its own
// the output has said everything.
type Error struct {
	code Code
	err  error
}

// Error implements error.
func (e *Error) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.err }

// Errorf returns an error that carries an exit code.
func Errorf(code Code, format string, args ...any) error {
	return &Error{code: code, err: fmt.Errorf(format, args...)}
}

// Usagef returns an error about the command line.
func Usagef(format string, args ...any) error { return Errorf(Usage, format, args...) }

// Refusedf returns an error with the code Refused.
func Refusedf(format string, args ...any) error {
	return Errorf(Refused, format, args...)
}

// Failedf returns an error with the code Failed.
func Failedf(format string, args ...any) error { return Errorf(Failed, format, args...) }

// Silent ends with a code after everything was said.
func Silent(code Code) error {
	if code == OK {
		return nil
	}
	return &Error{code: code}
}

// CodeOf is the exit code of an error.
func CodeOf(err error) Code {
	var exit *Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &exit):
		return exit.code
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, context.DeadlineExceeded), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err):
		return TimedOut
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return Refused
	case apierrors.IsNotFound(err):
		return NotFound
	default:
		return Failed
	}
}
