package apitoken

import (
	"context"
	"errors"

	"apitoken.dev/operator/internal/account"
	"apitoken.dev/operator/internal/apierror"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// update changes the Active credential in place: mark, change, record. The mark is written
// like a reservation. A process that reads a mark that it did not write cannot know whether
// the change took effect or still will, so a new credential is issued.
func (r *Reconciler) update(ctx context.Context, p *reconciliation) plan.Outcome {
	conn, out := r.connectToMint(ctx, p)
	if out != nil {
		return out
	}
	updater, ok := provider.As[provider.Updater](conn.Client)
	if !ok {
		return plan.Failed{Err: errors.New("this provider's driver declares changes in place but does not implement them")}
	}
	e, err := p.active()
	if err != nil {
		return apierror.Failed(err)
	}
	began, monotonic := r.Clock.Now(), r.Clock.Monotonic()
	ledger.MarkUpdate(&p.token.Status, e.Name, plan.Fingerprint(&p.token.Spec))
	if err := r.save(ctx, p, plan.UnderWay(e), nil); err != nil {
		ledger.Replace(&p.token.Status, p.base)
		return apierror.ReserveFailed(err)
	}
	r.memory.Attempts.Begin(nameOf(p.token), e) // after the write: another process would write the same mark
	if r.pastDeadline(began, monotonic) {
		return plan.Unfinished{Why: plan.TooLate}
	}
	left := MintDeadline + RequestTimeout - (r.Clock.Monotonic() - monotonic) // other processes assume that the update has settled then
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), left)
	defer cancel()
	req := r.mintRequest(p, e.Name)
	if e.IssuedAt != nil {
		req.Grant.ExpiresAt = plan.ExpiryFor(&p.token.Spec, e.IssuedAt.Time, p.facts.Capabilities.MaxLifetime)
	}
	changed, err := updater.Update(ctx, account.RefOf(e), req)
	metrics.Operation(p.facts.DriverType, "update", err)
	if err != nil {
		if plan.UpdateCanRetry(err) {
			ledger.UnmarkUpdate(&p.token.Status, e.Name) // nothing changed, so a retry is safe
			backOff(p)
		}
		return r.providerFailed(p, "update", err)
	}
	p.happened(updated, e, p.subject.Why, "credential %s was changed in place at the provider; its secret is unchanged", plan.Named(e))
	return r.changed(ctx, p, &changed)
}

// changed records that the Active credential now matches the declaration.
func (r *Reconciler) changed(ctx context.Context, p *reconciliation, shown *provider.Credential) plan.Outcome {
	e, err := p.active()
	if err != nil {
		return apierror.Failed(err)
	}
	status, spec, caps := &p.token.Status, &p.token.Spec, &p.facts.Capabilities
	ledger.Updated(status, e.Name, plan.Fingerprint(spec), plan.Fixed(spec, caps.Updates))
	if shown != nil && e.IssuedAt != nil {
		ledger.Extend(status, e.Name, plan.ExpiryFor(spec, e.IssuedAt.Time, caps.MaxLifetime), shown.ExpiresAt)
	}
	// One write updates all that the Secret declares: its key may no longer have the old access.
	seen, err := r.secrets.Sync(ctx, p.target, p.seen, e, plan.SyncSecret{Metadata: true, Settings: observe.Verified(&p.facts), Declaration: true})
	if err != nil {
		return apierror.PublishFailed(err)
	}
	p.published(seen)
	return nil
}

// confirmEdit probes the data plane with a credential that a user says was edited, for the
// access that is now declared. The edit is recorded only if the probe succeeds: otherwise
// the workload would find a mistake in the edit. A probe that fails is retried every minute.
func (r *Reconciler) confirmEdit(ctx context.Context, p *reconciliation) plan.Outcome {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return out
	}
	e, err := p.active()
	if err != nil {
		return apierror.Failed(err)
	}
	values, _, ok, err := manual{r}.stored(ctx, p, e)
	prober, can := provider.As[provider.Prober](conn.Client)
	switch {
	case err != nil:
		return apierror.Failed(err)
	case !can:
		return plan.Failed{Err: errors.New("this provider's driver cannot verify a credential that a user edited")}
	case !ok:
		return plan.Superseded{What: "the Secret has changed since it was read"}
	}
	accepted, err := p.probe(ctx, prober, values, plan.GrantOf(&p.token.Spec))
	if accepted && err == nil {
		if err := r.secrets.RecordEdit(ctx, p.target, e.Name, plan.GrantOf(&p.token.Spec)); err != nil {
			return apierror.PublishFailed(err)
		}
		return r.changed(ctx, p, nil)
	}
	if err != nil && !plan.RefusesEdit(err) {
		return r.providerFailed(p, "probe", err) // the provider was unreachable, or limits requests
	}
	return plan.NeedsUser{Task: p.obs.EditTask(e, err)}
}

// republish publishes the stored copy of a credential again.
func (r *Reconciler) republish(ctx context.Context, p *reconciliation) plan.Outcome {
	e, err := p.active()
	if err != nil {
		return apierror.Failed(err)
	}
	kept, ok, err := r.secrets.ReadCopy(ctx, p.target, e.Name)
	if err != nil {
		return apierror.Failed(err)
	}
	if !ok {
		ledger.Retire(&p.token.Status, p.obs.Now, e.Name) // no copy is left: a new credential is needed
		return nil
	}
	to := p.target
	if e.Fingerprint != to.Fingerprint && (kept.Fingerprint == "" || kept.Fingerprint == e.Fingerprint) {
		// The Secret declares the access of this credential, not that of its successor.
		to.Connection.Declaration = provider.ConnectionOf(p.facts.Driver, p.facts.Config, kept.Grant).Declaration
		to.Fingerprint = e.Fingerprint
	}
	seen, err := r.secrets.Publish(ctx, to, p.seen, e, provider.Minted{Secret: kept.Values()})
	if err != nil {
		return apierror.PublishFailed(err)
	}
	p.published(seen)
	return nil
}
