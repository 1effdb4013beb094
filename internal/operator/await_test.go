package operator

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"apitoken.dev/operator/internal/clock"
	"apitoken.dev/operator/test/support/fake"
	"apitoken.dev/operator/test/support/kit"
)

// instant is a clock on which every sleep ends at once.
type instant struct {
	clock.Clock
	slept []time.Duration
}

func (c *instant) Sleep(ctx context.Context, d time.Duration) error {
	c.slept = append(c.slept, d)
	return ctx.Err()
}

var resource = schema.GroupResource{Group: "apitoken.dev", Resource: "apitokens"}

// refused returns the error of a request to an address without a listener.
func refused(t *testing.T) error {
	t.Helper()
	_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address(t))
	if err == nil {
		t.Fatal("the address has a listener")
	}
	return &url.Error{Op: "Get", URL: "https://10.0.0.1/api", Err: err}
}

func TestAwaitWaitsForTheAPIServer(t *testing.T) {
	for name, err := range map[string]error{
		"connection refused":        refused(t),
		"no such host":              &url.Error{Op: "Get", URL: "https://api", Err: &net.DNSError{Err: "no such host", Name: "api", IsNotFound: true}},
		"no answer in time":         &url.Error{Op: "Get", URL: "https://api", Err: context.DeadlineExceeded},
		"starting":                  apierrors.NewServiceUnavailable("starting"),
		"its store does not answer": apierrors.NewInternalError(errors.New("etcd")),
		"overloaded":                apierrors.NewTooManyRequests("later", 1),
		"a timeout of its own":      apierrors.NewTimeoutError("later", 1),
		"a load balancer's page":    apierrors.NewGenericServerResponse(http.StatusBadGateway, "GET", resource, "x", "no backend", 0, true),
	} {
		t.Run(name, func(t *testing.T) {
			c, tries := &instant{}, 0
			got := await(t.Context(), logr.Discard(), c, func() error {
				if tries++; tries <= 7 {
					return fmt.Errorf("reading: %w", err)
				}
				return nil
			})
			if got != nil || tries != 8 {
				t.Errorf("%d tries, %v", tries, got)
			}
			if want := []time.Duration{1e9, 2e9, 4e9, 8e9, 15e9, 15e9, 15e9}; !slices.Equal(c.slept, want) {
				t.Errorf("it slept %v, want %v", c.slept, want)
			}
		})
	}
}

// TestAwaitReturnsErrorsThatARetryCannotChange: the process then exits with the error.
func TestAwaitReturnsErrorsThatARetryCannotChange(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		tries int
	}{
		"the CRDs are missing": {&meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "apitoken.dev", Kind: "ApiToken"}}, 1},
		"not found":            {apierrors.NewNotFound(resource, "x"), 1},
		"another authority":    {&url.Error{Op: "Get", URL: "https://api", Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}, 1},
		"another host":         {&url.Error{Op: "Get", URL: "https://api", Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "api"}}, 1},
		"missing permission":   {apierrors.NewForbidden(resource, "x", errors.New("no role")), rejections},
		"an invalid token":     {apierrors.NewUnauthorized("who"), rejections},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			got := await(t.Context(), logr.Discard(), &instant{}, func() error {
				tries++
				return fmt.Errorf("reading: %w", c.err)
			})
			if !errors.Is(got, c.err) || tries != c.tries {
				t.Errorf("%d tries, want %d: %v", tries, c.tries, got)
			}
		})
	}
}

// TestStopEndsTheWait: the process then exits without an error.
func TestStopEndsTheWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	probes := address(t)
	done := make(chan error, 1)
	nowhere := &rest.Config{Host: "https://" + address(t)}
	go func() {
		done <- Run(ctx, nowhere, Options{Registry: kit.Drivers(t, fake.New(fake.NewBackend(clock.NewReal()))), ProbeAddress: probes})
	}()
	kit.New(t, env).Eventually(func() error { return answers(t, "http://"+probes+"/healthz", http.StatusOK) })
	if err := answers(t, "http://"+probes+"/readyz", http.StatusInternalServerError); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// answers checks the status code of a probe.
func answers(t *testing.T, url string, want int) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	if res.StatusCode != want {
		return fmt.Errorf("%s answers %s, want %d", url, res.Status, want)
	}
	return nil
}
