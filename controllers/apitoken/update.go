package apitoken

import (
	"context"
	"errors"
	"fmt"

	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// update changes the Active credential in place: mark, change, record. The mark
// is written like a reservation; a process that reads one that it did not write cannot
// know whether the change happened, or may yet, and has a new credential issued.
func (r *Reconciler) update(ctx context.Context, p *pass) plan.Outcome {
	conn, out := r.connectToMint(ctx, p)
	if out != nil {
		return out
	}
	updater, ok := provider.As[provider.Updater](conn.Client)
	if !ok {
		return plan.Failed{Err: errors.New("this provider's driver says that it changes credentials in place, and cannot")}
	}
	e, err := p.active()
	if err != nil {
		return failed(err)
	}
	began, monotonic := r.Clock.Now(), r.Clock.Monotonic()
	ledger.MarkUpdate(&p.token.Status, e.Name, plan.Fingerprint(&p.token.Spec))
	if err := r.save(ctx, p, plan.UnderWay(e), nil); err != nil {
		p.token.Status = *p.base.DeepCopy()
		return reserveFailed(err)
	}
	r.memory.Attempts.Begin(nameOf(p.token), e) // another process writes the same mark, so only one that was written is ours
	if r.Clock.Now().Sub(began) >= MintDeadline || r.Clock.Monotonic()-monotonic >= MintDeadline {
		return plan.Unfinished{Why: plan.TooLate}
	}
	left := MintDeadline + RequestTimeout - (r.Clock.Monotonic() - monotonic) // others wait no longer
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), left)
	defer cancel()
	req := r.mintRequest(p, e.Name)
	if e.IssuedAt != nil {
		req.Grant.ExpiresAt = plan.ExpiryFor(&p.token.Spec, e.IssuedAt.Time, p.facts.Capabilities.MaxLifetime)
	}
	changed, err := updater.Update(ctx, refOf(e), req)
	metrics.Operation(p.facts.DriverType, "update", err)
	if err != nil {
		if plan.UpdateCanRetry(err) {
			ledger.UnmarkUpdate(&p.token.Status, e.Name) // nothing happened, and the same may work later
			backOff(p)
		}
		return r.providerFailed(p, "update", err)
	}
	p.happened(updated, e, p.subject.Why, "credential %s was changed at the provider; its secret stays", named(e))
	return r.changed(ctx, p, &changed)
}

// changed records that the Active credential is as declared now.
func (r *Reconciler) changed(ctx context.Context, p *pass, shown *provider.Credential) plan.Outcome {
	e, err := p.active()
	if err != nil {
		return failed(err)
	}
	status, spec, caps := &p.token.Status, &p.token.Spec, &p.facts.Capabilities
	ledger.Updated(status, e.Name, plan.Fingerprint(spec), plan.Fixed(spec, caps.Updates))
	if shown != nil && e.IssuedAt != nil {
		ledger.Extend(status, e.Name, plan.ExpiryFor(spec, e.IssuedAt.Time, caps.MaxLifetime), shown.ExpiresAt)
	}
	// What the Secret says follows in one write: the key may no longer do what it said before.
	seen, err := r.secrets.Sync(ctx, p.target, p.seen, e, plan.SyncSecret{Metadata: true, Settings: observe.Verified(&p.facts), Declaration: true})
	if err != nil {
		return publishFailed(err)
	}
	p.published(seen)
	return nil
}

// confirmEdit tries a credential that a user says was edited, with the access that is
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
		if err := r.secrets.RecordEdit(ctx, p.target, e.Name, plan.GrantOf(&p.token.Spec)); err != nil {
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
	return plan.NeedsUser{Task: fmt.Sprintf(
		"credential %s was edited, as an annotation says, and does not work as declared: %s. Correct it at the provider (%s); the operator tries it again every minute",
		plan.Called(e), why, p.obs.Provider.Form.Edit)}
}

// republish puts a credential that was kept back into the Secret.
func (r *Reconciler) republish(ctx context.Context, p *pass) plan.Outcome {
	e, err := p.active()
	if err != nil {
		return failed(err)
	}
	kept, ok, err := r.secrets.ReadCopy(ctx, p.target, e.Name)
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
