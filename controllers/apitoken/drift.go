package apitoken

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/connections"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// confirm asks the provider how it shows the credential in use, and writes what it
// shows into the ledger. An answer that leaves it open changes nothing: the sweep
// reports the credential again.
func (r *Reconciler) confirm(ctx context.Context, p *pass, name string) error {
	e := p.entry(name)
	if e == nil {
		return nil
	}
	conn, err := r.connect(ctx, p)
	if errors.Is(err, errInLine) {
		return err // its turn comes
	}
	r.doubts.settle(nameOf(p.token), name)
	if err == nil && e.Account != "" && !conn.Account.Is(e.Account) {
		err = errAccountChanged
	}
	drift := e.Drift
	if err == nil {
		drift, err = r.shown(ctx, p, conn, e)
	}
	if err != nil {
		log.FromContext(ctx).Info("the provider could not be asked about a credential; the next sweep reports it again", "name", name, "error", err.Error())
		return nil
	}
	r.drifted(p, name, drift)
	return nil
}

// shown asks the provider about the credential of an entry.
func (r *Reconciler) shown(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (v1alpha1.CredentialDrift, error) {
	if e.ByHand {
		return r.triedByHand(ctx, p, conn, e)
	}
	found, err := conn.Client.Find(ctx, refOf(e))
	if err != nil {
		return "", r.providerFailed(p, "find", err)
	}
	return plan.DriftOf(e, &p.token.Spec, found), nil
}

// triedByHand tries a credential that a person made, which no API shows. A single
// refusal can be a mistake of the data plane: the credential is missing only if it is
// refused again an hour later. One that is limited to addresses may be refused to the
// operator alone, so nothing follows from that.
func (r *Reconciler) triedByHand(ctx context.Context, p *pass, conn connections.Connection, e *v1alpha1.LedgerEntry) (v1alpha1.CredentialDrift, error) {
	values, grant, ok, err := r.storedKey(ctx, p, e)
	prober, can := conn.Client.(provider.Prober)
	if err != nil || !ok || !can || len(grant.AllowedIPs)+len(grant.DeniedIPs) > 0 {
		return e.Drift, err
	}
	accepted, err := prober.Accepts(ctx, values, grant)
	operation(p.facts.DriverType, "probe", err)
	switch {
	case err != nil:
		return "", r.providerFailed(p, "probe", err)
	case accepted:
		r.doubts.accepted(nameOf(p.token))
		return "", nil
	case r.doubts.refused(nameOf(p.token), e.Name, r.Clock.Monotonic()):
		return v1alpha1.DriftMissing, nil
	default:
		return e.Drift, nil
	}
}

// drifted writes a drift into the ledger, and tells a user of a change.
func (r *Reconciler) drifted(p *pass, name string, drift v1alpha1.CredentialDrift) {
	e := p.entry(name)
	if e == nil || e.Drift == drift {
		return
	}
	ledger.MarkDrift(&p.token.Status, name, drift)
	r.refresh(p)
	if found, ok := p.obs.Drift(); ok {
		p.event(eventDrifted, "Confirm", "%s", found.Message)
		return
	}
	p.event(eventRecovered, "Confirm", "the provider shows credential %s as it was issued again", plan.Called(e))
}
