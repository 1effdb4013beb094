package connections

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/pacing"
	"apitoken.dev/operator/internal/provider"
)

// confirmTimeout bounds the live read before a Mint.
const confirmTimeout = 5 * time.Second

// verified returns an error unless the declared endpoint of a provider is verified.
func (p *Pool) verified(ctx context.Context, o account.Object) error {
	driver, settings, err := p.resolve(o, nil)
	if err != nil {
		return noDriver(o.Key())
	}
	if e := account.EndpointOf(ctx, driver, p.config(settings)); !o.Verified(e) {
		return unverified(o.Key(), e)
	}
	return nil
}

func unverified(key account.Key, e account.Endpoint) error {
	return &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Err: account.ErrEndpointUnverified,
		Message: fmt.Sprintf("%s: the endpoint of %s is not verified yet; nothing is sent to it until it is", e.Field, key)}
}

// stillVerified reads a provider live, and returns an error unless its verified endpoint is
// that of a connection. Call it after the reservation of a Mint: a process that accepts
// another endpoint reads the ledgers after that endpoint was declared, so either this
// read sees the new endpoint, or that one sees the reservation. Without this check a
// process with a stale cache could mint at the old endpoint, and the credential would be
// in no ledger that was compared with the new endpoint.
func (p *Pool) stillVerified(ctx context.Context, key account.Key, e account.Endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	o, err := p.live(ctx, key)
	if err != nil {
		return err
	}
	driver, settings, err := p.resolve(o, nil)
	if err != nil {
		return noDriver(key)
	}
	if now := account.EndpointOf(ctx, driver, p.config(settings)); now != e || !o.Verified(e) {
		return unverified(key, now)
	}
	return nil
}

// live reads a provider from the API server. It uses a list, because the operator has no
// permission to get single providers.
func (p *Pool) live(ctx context.Context, key account.Key) (account.Object, error) {
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
		return account.Object{}, notRead(key.String(), err)
	case len(found) != 1:
		return account.Object{}, &provider.Error{Code: provider.CodeUnavailable, NotExecuted: true, Err: pacing.ErrNotSent,
			Message: key.String() + " does not exist any more"}
	}
	return account.Of(found[0]), nil
}
