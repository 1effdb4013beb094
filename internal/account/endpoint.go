package account

import (
	"cmp"
	"context"
	"errors"

	"apitoken.dev/operator/internal/provider"
)

// Endpoint is where the requests of a provider go.
type Endpoint struct {
	// Driver is the driver's type.
	Driver string
	// URL of the API in its canonical form; unknownEndpoint if the driver does not report it.
	URL string
	// Field of the provider's spec that sets the URL.
	Field string
}

// unknownEndpoint is the URL if the driver does not report it.
const unknownEndpoint = "unknown"

// ErrEndpointUnverified is the cause of an error for a call that was not sent, because the
// endpoint is not the one that the provider's status records. It can be another server,
// and a credential that this server does not show can still exist.
var ErrEndpointUnverified = errors.New("the endpoint was not verified")

// EndpointOf returns the endpoint that a configuration declares.
func EndpointOf(ctx context.Context, driver provider.Driver, cfg provider.Config) Endpoint {
	s := ServerOf(ctx, driver, cfg)
	return Endpoint{Driver: driver.Type(), URL: cmp.Or(s.URL, s.Host, unknownEndpoint), Field: cmp.Or(s.Field, "spec")}
}

// Verified reports whether an endpoint is the one that the provider's status records.
func (o Object) Verified(e Endpoint) bool {
	return o.Status.Driver == e.Driver && o.Status.Endpoint == e.URL
}

// ServerOf returns the server that names the accounts of a driver.
func ServerOf(ctx context.Context, driver provider.Driver, cfg provider.Config) provider.Server {
	if l, ok := provider.As[provider.Located](driver); ok {
		return l.Server(ctx, cfg)
	}
	return provider.Server{Declared: true}
}
