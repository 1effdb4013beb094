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
	// awaitFirst is the delay after the first request to an API server that does not
	// answer. It doubles with each request, up to awaitMost.
	awaitFirst = time.Second
	awaitMost  = 15 * time.Second
	// rejections is the number of rejected requests after which await gives up. An API server
	// that has just started can reject requests until it has read its own rules.
	rejections = 6
)

// await retries a request until the API server answers or the context ends. A process that
// ended instead would be restarted with an ever longer backoff. await returns errors that a
// retry cannot change.
func await(ctx context.Context, log logr.Logger, c clock.Clock, request func() error) error {
	wait := awaitFirst
	for rejected := 0; ; {
		err := request()
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			if rejected++; rejected >= rejections {
				return err
			}
		case !unavailable(err):
			return err
		}
		log.Info("the API server does not answer yet: retrying", "after", wait.String(), "error", err.Error())
		if sleep := c.Sleep(ctx, wait); sleep != nil {
			return errors.Join(sleep, err)
		}
		wait = min(2*wait, awaitMost)
	}
}

// unavailable reports whether an error means that the API server is unreachable or cannot
// serve yet. A certificate that does not verify does not count, because retries do not
// change it.
func unavailable(err error) bool {
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
