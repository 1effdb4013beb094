package operator

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"apitoken.dev/operator/internal/clock"
)

const (
	// awaitFirst and awaitMost are the delays between two requests to an API server that
	// does not answer: they double from the first to the most.
	awaitFirst = time.Second
	awaitMost  = 15 * time.Second
	// refusals is how often a refusal is tried again before it is believed: an API server
	// that has just started can refuse requests until it has read its own rules.
	refusals = 6
)

// await repeats a request to the API server until it is answered. While the API server
// is away it waits, as long as the context lives: a process that ended instead would be
// started again with ever longer pauses. What another try cannot change is returned.
func await(ctx context.Context, log logr.Logger, c clock.Clock, request func() error) error {
	wait := awaitFirst
	for refused := 0; ; {
		err := request()
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			if refused++; refused >= refusals {
				return err
			}
		case !away(err):
			return err
		}
		log.Info("the API server does not answer yet: trying again", "after", wait.String(), "error", err.Error())
		if sleep := c.Sleep(ctx, wait); sleep != nil {
			return errors.Join(sleep, err)
		}
		wait = min(2*wait, awaitMost)
	}
}

// away reports whether an error says that the API server is not there, or cannot serve
// yet. A certificate that does not verify is not that: it stays as it is.
func away(err error) bool {
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	if errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &hostname) {
		return false
	}
	for _, is := range []func(error) bool{
		apierrors.IsServiceUnavailable, apierrors.IsInternalError, apierrors.IsTimeout, apierrors.IsServerTimeout, apierrors.IsTooManyRequests,
		apierrors.IsUnexpectedServerError,
	} {
		if is(err) {
			return true
		}
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
