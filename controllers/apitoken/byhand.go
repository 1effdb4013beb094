package apitoken

import (
	"context"
	"errors"
	"fmt"

	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// confirmEdit tries a credential that a person says was edited, with the access that is
// declared now. Only a credential that works counts as edited: a mistake in the edit would
// otherwise be found by the workload. One that does not work is tried again every minute.
func (r *Reconciler) confirmEdit(ctx context.Context, p *pass) plan.Outcome {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return out
	}
	e, err := p.active()
	if err != nil {
		return failed(err)
	}
	values, _, ok, err := manual{r}.stored(ctx, p, e)
	prober, can := provider.As[provider.Prober](conn.Client)
	switch {
	case err != nil:
		return failed(err)
	case !can:
		return plan.Failed{Err: errors.New("this provider's driver cannot try a credential that was edited by hand")}
	case !ok:
		return plan.Superseded{What: "the Secret has changed since it was read"}
	}
	accepted, err := prober.Accepts(ctx, values, plan.GrantOf(&p.token.Spec))
	metrics.Operation(p.facts.DriverType, "probe", err)
	if accepted && err == nil {
		if err := r.secrets.Edited(ctx, p.target, e.Name, plan.GrantOf(&p.token.Spec)); err != nil {
			return publishFailed(err)
		}
		return r.changed(ctx, p, nil)
	}
	why := "the provider does not accept it"
	if err != nil {
		if !plan.RefusesEdit(err) {
			return r.providerFailed(p, "probe", err) // the provider was not reached, or may not be asked now
		}
		why = provider.AsError(err).Message
	}
	return plan.NeedsPerson{Task: fmt.Sprintf(
		"credential %s was edited, as an annotation says, and does not work as declared: %s. Correct it at the provider (%s); the operator tries it again every minute",
		plan.Called(e), why, p.obs.Provider.Form.Edit)}
}

// republish puts a credential that was kept back into the Secret.
func (r *Reconciler) republish(ctx context.Context, p *pass) plan.Outcome {
	e, err := p.active()
	if err != nil {
		return failed(err)
	}
	kept, ok, err := r.secrets.Kept(ctx, p.target, e.Name)
	if err != nil {
		return failed(err)
	}
	if !ok {
		ledger.Retire(&p.token.Status, p.obs.Now, e.Name) // no copy is left: another one must be made
		return nil
	}
	to := p.target
	if e.Fingerprint != to.Fingerprint && (kept.Fingerprint == "" || kept.Fingerprint == e.Fingerprint) {
		// The Secret says what this credential gives, and not what another one will.
		to.Connection.Declaration = provider.ConnectionOf(p.facts.Driver, p.facts.Config, kept.Grant).Declaration
		to.Fingerprint = e.Fingerprint
	}
	seen, err := r.secrets.Publish(ctx, to, p.seen, e, provider.Minted{Secret: kept.Values()})
	if err != nil {
		return publishFailed(err)
	}
	p.published(seen)
	return nil
}
