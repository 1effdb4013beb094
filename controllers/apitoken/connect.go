package apitoken

import (
	"context"
	"errors"
	"fmt"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/pacing"
	"apitoken.dev/operator/internal/places"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// errNoAccess stops a pass that would call a provider for an ApiToken that does not
// exist for it. The rules do not lead there.
var errNoAccess = errors.New("the provider does not serve this namespace, and nothing was ever issued for this ApiToken: the provider is not called")

// connect opens or reuses the connection to the provider. Every call of a provider
// for an ApiToken goes through here, so this is where those that may not call it
// are turned away. It takes a place at the provider first: without one nothing is
// sent, and nothing is reserved.
func (r *Reconciler) connect(ctx context.Context, p *pass) (connections.Connection, plan.Outcome) {
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

func (r *Reconciler) connectFailed(p *pass, err error) plan.Outcome {
	var missing *connections.MissingCredentialsError
	if errors.As(err, &missing) {
		reason := missing.Error()
		if p.key.Kind == v1alpha1.KindClusterTokenProvider { // it names a Secret of the operator's namespace
			reason = fmt.Sprintf("the minting credentials of %s %q are missing", p.key.Kind, p.key.Name)
		}
		return plan.NotSent{Why: reason, Err: err}
	}
	return r.providerFailed(p, "connect", err)
}

// connectToMint connects, and stops before a reservation that would be in vain.
func (r *Reconciler) connectToMint(ctx context.Context, p *pass) (connections.Connection, plan.Outcome) {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return conn, out
	}
	for i := range p.token.Status.Credentials {
		if e := &p.token.Status.Credentials[i]; !conn.Account.Is(e.Account) {
			return conn, plan.AccountChanged{}
		}
	}
	return conn, r.providerFailed(p, "mint", pacing.Blocked(conn.Client))
}

// providerFailed is the outcome of a call of a provider. Credentials that are not accepted
// are read again at the next call.
func (r *Reconciler) providerFailed(p *pass, verb string, err error) plan.Outcome {
	if err == nil {
		return nil
	}
	e := provider.AsError(err)
	if e.Code == provider.CodeUnauthenticated {
		r.Providers.Forget(p.key)
	}
	if out, ok := failed(err).(plan.NotSent); ok {
		return out // what the call needs could not be read
	}
	return plan.CallFailed{Verb: verb, Cause: e, Unverified: errors.Is(err, account.ErrEndpointUnverified)}
}

// takePlace takes a place at the provider for the rest of this reconcile. It reports false
// if there is none now: the ApiToken is reconciled again when its turn comes.
func (r *Reconciler) takePlace(p *pass) bool {
	if p.place != nil {
		return true
	}
	p.asked = true
	place, ok := r.Places.Take(wanted(p))
	if ok {
		p.place = place
	}
	return ok
}

// wanted is the place that the action at hand needs.
func wanted(p *pass) places.Want {
	w := places.Want{Who: nameOf(p.token), Provider: p.key.String(), Shared: p.key.Kind == v1alpha1.KindClusterTokenProvider}
	if p.facts.Capabilities.MaxLive > 0 {
		w.Account = string(p.facts.AccountKey[:])
	}
	if p.obs.Access() == plan.ClaimedAccess {
		w.Class = places.Rest // what only a Secret speaks for comes last
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
