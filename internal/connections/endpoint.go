package connections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/provider"
)

// Endpoint is where the requests of a provider go.
type Endpoint struct {
	// Driver is the driver's type.
	Driver string
	// URL of the API in one spelling; unknownEndpoint where the driver does not tell.
	URL string
	// Field of the provider's object that has the URL, or leaves it to its default.
	Field string
}

// unknownEndpoint is the URL of a driver that does not tell it.
const unknownEndpoint = "unknown"

// ErrEndpointUnverified is the cause of an error for a call that was not sent, because
// the endpoint is not the one that the provider's status records: it may be another
// server, where nothing that it does not show is gone.
var ErrEndpointUnverified = errors.New("the endpoint was not verified")

// lookTimeout bounds the live read before a Mint.
const lookTimeout = 5 * time.Second

// EndpointOf returns the endpoint that a configuration declares.
func EndpointOf(ctx context.Context, driver provider.Driver, cfg provider.Config) Endpoint {
	s := serverOf(ctx, driver, cfg)
	return Endpoint{Driver: driver.Type(), URL: cmp.Or(s.URL, s.Host, unknownEndpoint), Field: cmp.Or(s.Field, "spec")}
}

// Verified reports whether an endpoint is the one that the provider's status records.
func (o Object) Verified(e Endpoint) bool {
	return o.Status.Driver == e.Driver && o.Status.Endpoint == e.URL
}

// verified returns an error unless the declared endpoint of a provider is the verified one.
func (p *Pool) verified(ctx context.Context, o Object) error {
	driver, settings, err := p.resolve(o, nil)
	if err != nil {
		return noDriver(o.Key())
	}
	if e := EndpointOf(ctx, driver, p.config(settings)); !o.Verified(e) {
		return unverified(o.Key(), e)
	}
	return nil
}

func unverified(key Key, e Endpoint) error {
	return &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Err: ErrEndpointUnverified,
		Message: fmt.Sprintf("%s: the endpoint of %s is not verified yet; nothing is sent to it until it is", e.Field, key)}
}

// still reads a provider live, and returns an error unless its verified endpoint is
// the one of a connection. It comes after the reservation of a Mint: a process that accepts
// another endpoint reads the ledgers after that endpoint was declared, so either this
// read sees the new endpoint, or that one sees the reservation. Without it an attempt
// of a process whose cache lags would mint at the old endpoint, in no ledger that was
// compared with the new one.
func (p *Pool) still(ctx context.Context, key Key, e Endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	o, err := p.live(ctx, key)
	if err != nil {
		return err
	}
	driver, settings, err := p.resolve(o, nil)
	if err != nil {
		return noDriver(key)
	}
	if now := EndpointOf(ctx, driver, p.config(settings)); now != e || !o.Verified(e) {
		return unverified(key, now)
	}
	return nil
}

// live reads a provider from the API server, as a list of one: the operator has no
// right to get single providers.
func (p *Pool) live(ctx context.Context, key Key) (Object, error) {
	only := []client.ListOption{client.InNamespace(key.Namespace), client.MatchingFields{"metadata.name": key.Name}}
	var found []client.Object
	var err error
	if key.Kind == v1alpha1.KindClusterTokenProvider {
		var list v1alpha1.ClusterTokenProviderList
		err = p.o.Live.List(ctx, &list, only...)
		for i := range list.Items {
			found = append(found, &list.Items[i])
		}
	} else {
		var list v1alpha1.TokenProviderList
		err = p.o.Live.List(ctx, &list, only...)
		for i := range list.Items {
			found = append(found, &list.Items[i])
		}
	}
	switch {
	case err != nil:
		return Object{}, notRead(key.String(), err)
	case len(found) != 1:
		return Object{}, &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Err: ErrNotSent,
			Message: key.String() + " does not exist any more"}
	}
	return Of(found[0]), nil
}

// writes are the operations that are never sent to an endpoint that is not verified.
var writes = map[operation]bool{opMint: true, opUpdate: true, opRevoke: true}
