package apitoken

import (
	"context"
	"fmt"

	"apitoken.dev/operator/api/v1alpha1"
	"apitoken.dev/operator/internal/apierror"
	"apitoken.dev/operator/internal/audit/why"
	"apitoken.dev/operator/internal/ledger"
	"apitoken.dev/operator/internal/metrics"
	"apitoken.dev/operator/internal/plan"
)

// apply carries out one action. It changes the ledger in p.token; report writes it.
//
//nolint:gocyclo // one case per action, and a linter checks that each has one
func (r *Reconciler) apply(ctx context.Context, p *reconciliation, d plan.Decision) plan.Outcome {
	ctx = r.audited(ctx, p, d.Action)
	switch a := d.Action.(type) {
	case plan.AddFinalizer:
		return r.patchFinalizer(ctx, p, true)
	case plan.RemoveFinalizer:
		return r.removeFinalizer(ctx, p)
	case plan.Release:
		return r.release(ctx, p)
	case plan.Purge:
		return r.purge(ctx, p, a.Settled)
	case plan.Adopt:
		return r.adopt(p, a.Name, a.Terms)
	case plan.AdoptRestored:
		r.adoptRestored(p, a.Name, a.Terms)
	case plan.AdoptRetiring:
		r.adoptRetiring(p, a)
	case plan.Identify:
		return r.identify(ctx, p, a.Name)
	case plan.Confirm:
		return r.confirm(ctx, p, a.Name)
	case plan.Withdraw:
		return r.withdraw(p, a.Name)
	case plan.Abandon:
		return r.abandon(ctx, p, a)
	case plan.Issue:
		out := r.issue(ctx, p, a)
		rotationFailed(p.facts.DriverType, a.Reason, p.base, out)
		return out
	case plan.Update:
		return r.update(ctx, p)
	case plan.ConfirmEdit:
		return r.confirmEdit(ctx, p)
	case plan.Republish:
		return r.republish(ctx, p)
	case plan.GiveUp:
		giveUp(p, a)
	case plan.TryPublish:
		return r.tryPublish(ctx, p)
	case plan.EndOverlap:
		ledger.Retire(&p.token.Status, p.obs.Now, a.Name)
	case plan.BeginRevoke:
		ledger.Retire(&p.token.Status, p.obs.Now, a.Names...)
	case plan.Retire:
		if a.Expired {
			p.event(eventExpired, "Expire", "the expiry time has passed: credential %s is being revoked%s", a.Name, plan.SecretAtEnd(p.token.SecretName(), &p.seen.View))
		}
		ledger.Retire(&p.token.Status, p.obs.Now, a.Name)
	case plan.Revoke:
		return r.revoke(ctx, p, a.Names)
	case plan.SyncSecret:
		return r.syncSecret(ctx, p, a)
	case plan.DeleteSecret:
		return r.deleteSecret(ctx, p)
	case plan.ReadSecret, plan.FindRestored, plan.CountSlots, plan.Wait:
	default:
		return plan.Failed{Err: fmt.Errorf("unknown action %T", d.Action)}
	}
	return nil
}

// adopt makes the entry of an interrupted attempt Active, because the Secret holds its credential.
func (r *Reconciler) adopt(p *reconciliation, name string, terms ledger.Terms) plan.Outcome {
	if p.entry(name) == nil {
		return plan.Failed{Err: fmt.Errorf("credential %s is not in the ledger", name)}
	}
	r.adoptEntry(p, name, terms, "adopted credential %s: an interrupted attempt had already published it in the Secret")
	return nil
}

// adoptEntry makes an entry Active and emits an event. The note has one verb, for the
// credential.
func (r *Reconciler) adoptEntry(p *reconciliation, name string, terms ledger.Terms, note string) {
	ledger.Adopt(&p.token.Status, name, terms)
	e := p.entry(name)
	p.happened(adopted, e, why.Issued(e.Reason), note, plan.Named(e))
	r.activate(p, name)
}

// adoptRestored makes the Secret's credential the first entry of a lost ledger.
func (r *Reconciler) adoptRestored(p *reconciliation, name string, terms ledger.Terms) {
	fixed := ""
	if terms.Fingerprint == plan.Fingerprint(&p.token.Spec) {
		fixed = plan.Fixed(&p.token.Spec, p.facts.Capabilities.Updates)
	}
	ledger.Restore(&p.token.Status, name, string(plan.IssueRestored), fixed, r.strategyFor(p).isManual(), terms)
	r.adoptEntry(p, name, terms, "adopted credential %s: the Secret holds it and it is live at the provider, but the status had lost it; it stays in use")
}

// adoptRetiring adds a credential that is newer than the ledger as Retiring, so that it is
// revoked once another one has replaced it.
func (r *Reconciler) adoptRetiring(p *reconciliation, a plan.AdoptRetiring) {
	ledger.AdoptRetiring(&p.token.Status, a.Name, string(plan.IssueRestored), r.strategyFor(p).isManual(), a.RetireAt, a.Terms)
	if e := p.entry(a.Name); e != nil {
		p.happened(adopted, e, why.Issued(e.Reason),
			"credential %s in the Secret is newer than the status, which was restored: it will be replaced, then revoked", plan.Named(e))
	}
}

// abandon abandons an attempt that another process, or an earlier reconcile, reserved.
func (r *Reconciler) abandon(ctx context.Context, p *reconciliation, a plan.Abandon) plan.Outcome {
	if a.Fence {
		if err := r.secrets.Fence(ctx, p.target, p.seen, a.Name); err != nil {
			return apierror.PublishFailed(err)
		}
		clearPublishRefused(p)
	}
	p.abandon(a.Name)
	return nil
}

// tryPublish checks with a dry run whether the API server accepts the Secret now.
func (r *Reconciler) tryPublish(ctx context.Context, p *reconciliation) plan.Outcome {
	if err := r.secrets.TryPublish(ctx, p.target, p.seen); err != nil {
		backOff(p)
		return apierror.PublishFailed(err)
	}
	clearPublishRefused(p)
	return nil
}

// syncSecret updates parts of the Secret and records its version.
func (r *Reconciler) syncSecret(ctx context.Context, p *reconciliation, parts plan.SyncSecret) plan.Outcome {
	e := p.entry(p.seen.View.Credential)
	if e == nil {
		return plan.Superseded{What: "the Secret holds another credential"}
	}
	contest := p.obs.Secret.Contest
	seen, err := r.secrets.Sync(ctx, p.target, p.seen, e, parts)
	if err != nil {
		return apierror.PublishFailed(err)
	}
	if seen.Written {
		if pause := r.memory.Contests.Wrote(nameOf(p.token), p.target.Layout(), r.Clock.Monotonic()); pause > 0 {
			p.event(eventContested, "Sync", "%s of Secret %q was changed back by %s; the operator has restored it, and waits %s before it does so again",
				contest.What, p.token.SecretName(), plan.ManagedBy(contest.By), pause)
		}
	}
	p.published(seen)
	return nil
}

// deleteSecret deletes the Secret when access ends. The credential is revoked next, even
// if the Secret cannot be deleted.
func (r *Reconciler) deleteSecret(ctx context.Context, p *reconciliation) plan.Outcome {
	if err := r.secrets.Delete(ctx, p.target, p.seen); err != nil {
		return apierror.DeleteFailed(p.token.SecretName(), err)
	}
	seen, err := r.secrets.Read(ctx, p.target)
	if err != nil {
		return apierror.Failed(err)
	}
	p.published(seen)
	return nil
}

// rotationFailed counts a failed attempt to rotate a credential.
func rotationFailed(driver string, reason plan.IssueReason, before *v1alpha1.ApiTokenStatus, out plan.Outcome) {
	if plan.RotationFailed(reason, before, out) {
		metrics.RotationFailed(driver, string(reason))
	}
}
