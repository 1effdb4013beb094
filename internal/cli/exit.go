package cli

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/clientcmd"

	"apitoken.dev/operator/internal/cli/reading"
)

// Code is the exit code of a command. docs/kubectl-plugin.md lists them.
type Code int

// The exit codes.
const (
	// OK: it is done, or as it should be.
	OK Code = 0
	// Failed: something is not ready or did not work.
	Failed Code = 1
	// Usage: the command line is wrong; nothing was done.
	Usage Code = 2
	// TimedOut: what was waited for has not happened yet.
	TimedOut Code = 3
	// Refused: the API server, the declaration, the operator or the user said no.
	Refused Code = 4
	// NotFound: what was named does not exist.
	NotFound Code = 5
	// CannotRun: env found the command, but could not start it; as a shell says it.
	CannotRun Code = 126
	// NoCommand: env did not find the command; as a shell says it.
	NoCommand Code = 127
	// Interrupted: a signal ended the command.
	Interrupted Code = 130
)

// exitError is an error that knows its exit code. Without an error of its own
// the output has said everything.
type exitError struct {
	code Code
	err  error
}

// Error implements error.
func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// Unwrap returns the cause.
func (e *exitError) Unwrap() error { return e.err }

// errorf returns an error that carries an exit code.
func errorf(code Code, format string, args ...any) error {
	return &exitError{code: code, err: fmt.Errorf(format, args...)}
}

func usage(format string, args ...any) error { return errorf(Usage, format, args...) }

func refused(format string, args ...any) error {
	return errorf(Refused, format, args...)
}

func failed(format string, args ...any) error { return errorf(Failed, format, args...) }

// quietly ends with a code after everything was said.
func quietly(code Code) error {
	if code == OK {
		return nil
	}
	return &exitError{code: code}
}

// codeOf is the exit code of an error.
func codeOf(err error) Code {
	var exit *exitError
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

// explain adds the way out to errors of the API server that do not name one.
func (a *app) explain(err error) string {
	switch {
	case meta.IsNoMatchError(err), reading.Unserved(err):
		return err.Error() + ": the kinds of apitoken.dev are not installed in this cluster. To see more: " + a.pluginCommand("", "doctor")
	case apierrors.IsUnauthorized(err):
		return err.Error() + ": log in again, or choose another --context"
	case apierrors.IsForbidden(err) && codeOf(err) == Refused && !isExit(err):
		return err.Error() + ": choose another --context, or ask for this right. To see which rights each command needs: " + a.pluginCommand(a.givenNamespace(), "doctor")
	case clientcmd.IsEmptyConfig(err):
		return errNoKubeconfig.Error()
	default:
		return err.Error()
	}
}

// isExit reports whether a command has explained the error already.
func isExit(err error) bool {
	var exit *exitError
	return errors.As(err, &exit)
}
