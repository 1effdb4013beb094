package apitoken

import (
	"context"
	"errors"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/apierror"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/pacing"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// errNoAccess ends a reconcile that would call a provider for an ApiToken which must not
// use it. The rules never choose such an action.
var errNoAccess = errors.New("the provider does not admit this namespace, and nothing was ever issued for this ApiToken: the provider is not called")

// connect returns the connection to the provider. Every call of a provider for an ApiToken
// goes through here, so this is where access is checked. It takes a place at the provider
// first: without a place, nothing is sent and nothing is reserved.
func (r *Reconciler) connect(ctx context.Context, p *reconciliation) (connections.Connection, plan.Outcome) {
	access := p.obs.Access()
	if access == plan.NoAccess {
		return connections.Connection{}, plan.Failed{Err: errNoAccess}
	}
	if access == plan.ClaimedAccess {
		if wait := r.memory.Turns.Wait(nameOf(p.token), r.Clock.Monotonic()); wait > 0 {
			return connections.Connection{}, plan.Deferred{Wait: wait}
		}
	}
	if !r.takePlace(p) {
		return connections.Connection{}, plan.NoPlace{}
	}
	if access == plan.ClaimedAccess {
		if wait := r.memory.Turns.Take(nameOf(p.token), r.Clock.Monotonic()); wait > 0 {
			return connections.Connection{}, plan.Deferred{Wait: wait}
		}
	}
	conn, err := r.Providers.Connect(ctx, p.key, p.place)
	if err != nil {
		return connections.Connection{}, r.connectFailed(p, err)
	}
	return conn, nil
}

func (r *Reconciler) connectFailed(p *reconciliation, err error) plan.Outcome {
	var missing *connections.MissingCredentialsError
	if errors.As(err, &missing) {
		return plan.NotSent{Why: missing.ForTenant(p.key), Err: err}
	}
	return r.providerFailed(p, "connect", err)
}

// connectToMint is connect for an action that mints or updates. It fails early if the
// provider would not accept Mint now, so no reservation is wasted.
func (r *Reconciler) connectToMint(ctx context.Context, p *reconciliation) (connections.Connection, plan.Outcome) {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return conn, out
	}
	if out := p.inAccount(conn); out != nil {
		return conn, out
	}
	return conn, r.providerFailed(p, "mint", pacing.Blocked(conn.Client))
}

// inAccount returns AccountChanged if a credential of the ledger is of another account than
// the connection.
func (p *reconciliation) inAccount(conn connections.Connection) plan.Outcome {
	for i := range p.token.Status.Credentials {
		if !conn.Account.Is(p.token.Status.Credentials[i].Account) {
			return plan.AccountChanged{}
		}
	}
	return nil
}

// providerFailed is the outcome of a call of a provider. If the provider rejects the
// minting credentials, they are read again before the next call.
func (r *Reconciler) providerFailed(p *reconciliation, verb string, err error) plan.Outcome {
	if err == nil {
		return nil
	}
	e := provider.AsError(err)
	if e.Code == provider.CodeUnauthenticated {
		r.Providers.Forget(p.key)
	}
	if out, ok := apierror.Failed(err).(plan.NotSent); ok {
		return out // the API server failed, not the provider
	}
	return plan.CallFailed{Verb: verb, Cause: e, Unverified: errors.Is(err, account.ErrEndpointUnverified)}
}

// canProbe reports whether the driver can probe the data plane.
func canProbe(conn connections.Connection) bool {
	_, can := provider.As[provider.Prober](conn.Client)
	return can
}

// probe reports whether the data plane accepts a credential. Every probe for an ApiToken goes
// through here, so that it is counted.
func (p *reconciliation) probe(
	ctx context.Context, prober provider.Prober, values map[string]provider.Value, grant provider.Grant,
) (bool, error) {
	accepted, err := prober.Accepts(ctx, values, grant)
	metrics.Operation(p.facts.DriverType, "probe", err)
	return accepted, err
}

// takePlace takes a place at the provider for the rest of this reconcile. It reports false
// if no place is free: the ApiToken is reconciled again when its turn comes.
func (r *Reconciler) takePlace(p *reconciliation) bool {
	if p.place != nil {
		return true
	}
	p.asked = true
	place, ok := r.Places.Take(placeFor(p))
	if ok {
		p.place = place
	}
	return ok
}

// placeFor returns the place that the current action needs.
func placeFor(p *reconciliation) places.Want {
	w := places.Want{Who: nameOf(p.token), Provider: p.key.String(), Shared: p.key.Kind == v1alpha1.KindClusterTokenProvider}
	if p.facts.Capabilities.MaxLive > 0 {
		w.Account = string(p.facts.AccountKey[:])
	}
	if p.obs.Access() == plan.ClaimedAccess {
		w.Class = places.Rest // only a Secret claims that this ApiToken has a credential there
		return w
	}
	switch p.action.(type) { //nolint:gochecksumtype // every other action issues or replaces a credential, or calls no provider
	case plan.Purge, plan.Revoke:
		w.Class = places.Ends
		return w
	case plan.Confirm:
		w.Class = places.Rest
		return w
	case plan.Issue, plan.CountSlots:
		w.Mints = true
	}
	w.Class = places.Issues
	if e := p.inUse(); e != nil {
		w.Class = places.Rotates
		if e.ExpiresAt != nil {
			w.Due = e.ExpiresAt.Time
		}
	}
	return w
}
