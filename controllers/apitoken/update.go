package apitoken

import (
	"context"
	"errors"

	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/observe"
	"apitoken.dev/operator/internal/plan"
	"apitoken.dev/operator/internal/provider"
)

// update changes the Active credential in place: mark, change, record. The mark
// is written like a reservation; whoever reads one that it did not write cannot
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
		return plan.LookAgain{Why: plan.TooLate}
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
		if plan.Unchanged(err) {
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

// countSlots asks what the account has.
func (r *Reconciler) countSlots(ctx context.Context, p *pass) plan.Outcome {
	conn, out := r.connect(ctx, p)
	if out != nil {
		return out
	}
	if out := r.knowsAccount(ctx, p, conn); out != nil {
		return out
	}
	var err error
	// Until now another reconcile may have had the place of this account.
	if p.obs.Provider.Shared, err = r.sources().Shared(ctx, p.token, &p.facts); err != nil {
		return failed(err)
	}
	counter, ok := provider.As[provider.Counter](conn.Client)
	if !ok {
		return plan.Failed{Err: errors.New("this provider has room for few credentials, and its driver cannot count them")}
	}
	all, err := counter.Occupied(ctx)
	if err != nil {
		return r.providerFailed(p, "list", err)
	}
	p.obs.Occupied = &plan.Occupied{Credentials: all}
	return nil
}

// giveUp ends the Active credential before there is another one.
func giveUp(p *pass, a plan.GiveUp) {
	if a.Charged {
		ledger.Charge(&p.token.Status, p.obs.Now)
	}
	ledger.BeginGap(&p.token.Status, a.Name, string(a.Reason), p.obs.Now)
}

// endGap says how long the workload was without access.
func (r *Reconciler) endGap(p *pass) {
	gap, ended := ledger.EndGap(&p.token.Status, p.obs.Now)
	if !ended {
		return
	}
	metrics.RotationGap(p.facts.DriverType, gap)
	p.event(eventGap, "Rotate", "the credential was replaced with a gap of %s: the provider has no room for two, and spec.rotation.strategy is RevokeFirst", gap)
}
